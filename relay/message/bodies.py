"""Text that a mail program shows as the message itself: plain or HTML, in whichever charset it really is."""

import re
from typing import Literal

from relay.message.charsets import decode
from relay.message.parts import Part
from relay.message.pgp import BEGIN, is_encrypted
from relay.message.structure import Leaf, Structure, holds_parts

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)


def body(kind: Literal["text", "html"], data: bytes, leaf: Leaf, problem: str, found: Structure) -> Part:
    """Return the body that a leaf holds; ``data`` are its octets without transfer encoding; doubts go to ``found``."""
    parameters = leaf.type.parameters
    label = parameters.get("charset", "")
    if kind == "html" and not label and (match := _META_CHARSET.search(data[:2048])):
        label = match[1].decode("ascii")
    text = decode(data, label)
    if not text.sure:
        found.problems["has a text in an unknown character set"] = None
    if problem:
        found.problems[f"has a text that {problem}"] = None
    if holds_parts(data):
        found.problems["holds text that some mail programs read as further parts"] = None
    shown = text.text
    if parameters.get("format", "").lower() == "flowed":
        shown = _unflowed(shown, joined=parameters.get("delsp", "").lower() == "yes")
    encrypted = BEGIN in data and is_encrypted(data)
    where = "HTML text" if kind == "html" else "text"
    return Part(
        kind, where, type=leaf.type.word, data=data, text=shown, problem=problem, encrypted=encrypted, other=text.other
    )


def _unflowed(text: str, *, joined: bool) -> str:
    """Put soft line breaks back together (RFC 3676 section 4); the ``-- `` of a signature and quotes stay lines."""
    lines: list[str] = []
    open_ = False
    for line in text.replace("\r\n", "\n").split("\n"):
        unstuffed = line.removeprefix(" ")
        quoted = unstuffed.startswith(">")
        soft = unstuffed.endswith(" ") and unstuffed != "-- " and not quoted
        piece = unstuffed[:-1] if soft and joined else unstuffed
        if open_ and not quoted:
            lines[-1] += piece
        else:
            lines.append(piece)
        open_ = soft
    return "\n".join(lines)
