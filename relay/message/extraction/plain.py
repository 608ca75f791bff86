"""Text files of every kind: read as they are, and once more as what they mean."""

import json
import re

from relay.message.charsets import decode
from relay.message.extraction.budget import UnreadableError
from relay.message.extraction.findings import Findings
from relay.message.extraction.xml_text import xml_text
from relay.message.html_text import html_text

_FOLD = re.compile(r"\r?\n[ \t]")
_VALUE = re.compile(r"\\([nN,;\\])")
_INLINE_FILE = re.compile(r"^(?:ATTACH|PHOTO|LOGO)[^:\n]*ENCODING=(?:BASE64|B)\b", re.IGNORECASE | re.MULTILINE)
_PRINTABLE = re.compile(rb"[ -~]{6,}|(?:[ -~]\0){6,}|(?:\0[ -~]){6,}")


def read_text(data: bytes, where: str, found: Findings) -> str:
    """Add a text file in every reading of its octets; return the likeliest."""
    text = decode(data)
    found.add(where, text.text)
    found.add(where, text.other)
    return text.text


def read_html(data: bytes, where: str, found: Findings) -> None:
    """Add what an HTML file shows."""
    text = decode(data)
    for source in (text.text, text.other):
        if source:
            found.add(where, html_text(source))


def read_xml(data: bytes, where: str, found: Findings) -> None:
    """Add an XML file as it is, and its texts, attributes and comments with their references resolved."""
    read_text(data, where, found)
    try:
        found.add(where, xml_text(data, breaks=(), attributes=None))
    except UnreadableError as error:
        if "entities" in str(error):
            raise  # a program that expands them would show something else
        # Damaged XML is shown as the text that was added above.


def read_json(data: bytes, where: str, found: Findings) -> None:
    """Add a JSON file as it is, and its strings and numbers with their escapes resolved."""
    text = read_text(data, where, found)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return  # not JSON, or nested beyond reason: it was read as text
    pieces: list[str] = []
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.values(), *value.keys()]
        elif isinstance(value, list):
            waiting += value
        else:
            pieces.append(str(value))
    found.add(where, "\n".join(reversed(pieces)))


def read_calendar(data: bytes, where: str, found: Findings) -> None:
    """Add a calendar entry or a visiting card, folded lines joined (RFC 5545 section 3.1, RFC 6350 section 3.2)."""
    text = _FOLD.sub("", decode(data).text)
    if _INLINE_FILE.search(text):
        found.fail(UnreadableError("holds a file inside a calendar entry or visiting card"))
    found.add(where, _VALUE.sub(lambda match: "\n" if match[1] in "nN" else match[1], text))


def read_printable(data: bytes, where: str, found: Findings) -> None:
    """Add the runs of printable characters in a binary file: all there is to read in a desktop's own notes."""
    runs = [run.replace(b"\0", b"").decode("ascii") for run in _PRINTABLE.findall(data)]
    found.add(where, "\n".join(runs))
