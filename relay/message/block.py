"""The header block as it lies in the bytes of a message: where fields begin and end, nothing decoded.

A header ends at the first empty line (RFC 5322 section 2.1); a line that begins with space or tab continues the
field before it, even when nothing else stands in it. Lines end with CRLF, or LF where a client sent that. Lines that
are no field (no colon, or an odd name) are stepped over as most mail programs do; `BlockField` offsets let callers
see that they are there.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

USUAL = 1 << 18  # octets of a header block; nobody honest comes near
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"^(([!-9;-~]++)[ \t]*+:([^\n]*+\n?(?:[ \t][^\n]*+\n?)*+))", re.MULTILINE)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class BlockField(NamedTuple):
    """One field: its name in lower case, its raw value (with folds and final line end), its place in the bytes."""

    name: bytes
    value: bytes
    start: int
    end: int


def header_end(original: bytes, start: int = 0, end: int | None = None) -> tuple[int, int]:
    """Return where the header ends (after its last line end) and where the body begins (after the empty line).

    Without an empty line everything is header, and both are the end of the bytes.
    """
    stop = len(original) if end is None else end
    if original.startswith((b"\r\n", b"\n"), start, stop):
        return start, start + (2 if original.startswith(b"\r", start) else 1)
    match = _EMPTY_LINE.search(original, start, stop)
    return (stop, stop) if match is None else (match.start() + 1, match.end())


def fields(original: bytes, start: int = 0, end: int | None = None) -> Iterator[BlockField]:
    """Yield the fields of the header that begins at ``start``, in order."""
    stop = header_end(original, start, end)[0]
    block = original[start:stop]
    for match in _FIELD.finditer(block):
        yield BlockField(match[2].lower(), match[3], start + match.start(), start + match.end())


def whole_fields(block: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return each field of a header block as (whole field, name as written, raw value): the fast form of `fields`."""
    return _FIELD.findall(block)


def named_values(block: bytes) -> Iterable[tuple[bytes, bytes]]:
    """Return each field of a header block as its name in lower case and its raw value, in order.

    A list, made several times as fast as one by one; one by one where a block is larger than `USUAL`, whose fields
    would take several times its memory.
    """
    if len(block) <= USUAL:
        return [(name.lower(), value) for _, name, value in _FIELD.findall(block)]
    return ((match[2].lower(), match[3]) for match in _FIELD.finditer(block))


def values_by_name(named: Iterable[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    """Return the raw values of `named_values` by their names, each name's in order."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in named:
        found.setdefault(name, []).append(value)
    return found


def unfold(value: bytes) -> bytes:
    """Return a raw value in one line: folds removed (RFC 5322 section 2.2.3), outer space too."""
    return _FOLD.sub(b"", value).strip() if b"\n" in value[:-2] else value.strip()
