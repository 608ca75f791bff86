"""Content lines of iCalendar (RFC 5545 section 3.1): cut wherever 75 octets end, in the middle of an address too."""

import re

_FOLD = re.compile(rb"\r?\n[ \t]")
_LINE = 75  # octets of a line without its end
_CONTINUES = range(0x80, 0xC0)  # octets within a UTF-8 sequence


def unfold(data: bytes) -> bytes:
    """Return content lines in one piece each."""
    return _FOLD.sub(b"", data)


def fold(data: bytes) -> bytes:
    """Return content lines cut as the RFC asks for; no character of UTF-8 is cut."""
    return b"".join(_folded(line) for line in data.splitlines(keepends=True))


def _folded(line: bytes) -> bytes:
    text = line.rstrip(b"\r\n")
    pieces, start = [], 0
    while len(text) - start > _LINE - bool(start):
        end = start + _LINE - bool(start)
        while text[end] in _CONTINUES and end > start + 1:
            end -= 1
        pieces.append(text[start:end])
        start = end
    return b"\r\n ".join([*pieces, text[start:]]) + line[len(text) :]
