"""Header fields of ours are built in one place (R20): whatever else puts lines together is known here by name."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from relay.message.headers import prepend
from relay.message.values import field, structured

ROOT = Path(__file__).parents[4]

# Modules that join CRLF with something, and why no stranger's text becomes a field by it.
KNOWN = {
    "relay.message.values": "the one place",
    "relay.dkim.keys": "a sample that is signed to try a key, and thrown away",
    "relay.dkim.signature": "numbers, base64, and names out of fields that are signed as they stand",
    "relay.queue.dsn": "fields of message/delivery-status through the same function; fixed names of MIME types",
    "relay.queue.dialogue": "SMTP commands: RCPT and MAIL with mailboxes that were parsed",
    "relay.queue.content": "the end of data",
    "relay.notices.mime": "fixed fields of MIME parts, and one address beyond ASCII through the same function",
    "relay.notices.reply_mail": "fixed fields of MIME parts; names of files through the same function",
    "relay.message.calendar_text": "folds a line of a calendar, octet for octet",
    "relay.message.scrubbing": "encoded words and base64, in the place of what they replace",
    "relay.conversation.shown": "cuts a header off, to read it",
    "relay.smtp.session": "names of extensions, in a reply to EHLO",
    "relay.smtp.connection": "a reply of ours that was encoded",
    "relay.smtp.replies": "replies, printable and folded",
}
FOREIGN = {"email.message", "email.mime", "email.header", "email.headerregistry", "email.generator", "smtplib"}


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    return tuple(_modules())


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("relay", "portal", "policies"):
        for file in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            yield name, ast.parse(file.read_text(encoding="utf-8"))


def ends_line(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Constant) else None
    return (isinstance(value, str) and "\r\n" in value) or (isinstance(value, bytes) and b"\r\n" in value)


def puts_lines_together(tree: ast.AST) -> bool:
    """Say whether a line end is joined with something: an f-string, ``+``, ``%``, ``join`` or ``format``."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=parts) if any(isinstance(one, ast.FormattedValue) for one in parts):
                found = any(map(ends_line, parts))
            case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
                found = ends_line(left) or ends_line(right)
            case ast.Call(func=ast.Attribute(value=text, attr="join" | "format")):
                found = ends_line(text)
            case _:
                found = False
        if found:
            return True
    return False


def test_nothing_goes_around_the_one_place() -> None:
    """A module that begins to put lines together fails here until somebody has looked what it puts into them."""
    found = {name for name, tree in modules() if puts_lines_together(tree)}
    assert found == set(KNOWN)


def test_no_library_builds_headers_for_us() -> None:
    """Nobody uses Python's message classes (CVE-2024-6923) but the demo's mail program, which no organisation runs."""
    for name, tree in modules():
        if name == "portal.inbox.writing":
            continue
        imported = {
            module
            for node in ast.walk(tree)
            for module in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else []
            )
        }
        assert not imported & FOREIGN, name


@pytest.mark.parametrize("room", ["", "word " * 100, "x" * 1200], ids=["short", "words", "one word"])
@pytest.mark.parametrize(
    "hostile", ["a\r\nBcc: b", "a\nb", "a\rb", "a\0b", "a\u2028b", "a\x85b", "a\r\n\r\nbody", "\r\n"]
)
def test_every_way_in_makes_one_field(hostile: str, room: str) -> None:
    """Whatever is given as a value, what comes out is one field of whole lines without NUL, where it is folded too."""
    hostile = f"{room}{hostile}{room}"
    built = [
        field("X-Test", hostile),
        structured("X-Test", hostile.encode("ascii", "ignore").decode()),
        prepend([("X-Test", hostile)], b""),
    ]
    for octets in built:
        lines = octets.split(b"\r\n")
        assert lines.pop() == b""
        assert lines[0].startswith(b"X-Test:")
        assert all(line.startswith((b" ", b"\t")) and line.strip() for line in lines[1:])
        assert not any(one in b"".join(lines) for one in (b"\r", b"\n", b"\0"))
