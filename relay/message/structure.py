"""The parts of a message as a recipient's program would find them (RFC 2045, RFC 2046), and where programs differ.

Where two programs could see two structures, both are read where that is cheap, and the doubt becomes a problem: a part
that one of them shows must not be invisible to the policies. Own walker on offsets into the original, because neither
library at hand can say that it was in doubt: the standard one raises on great depth, fast-mail-parser raises for mail
that every program shows and leaves out the second of two subjects and the text around the parts (docs/decisions/0008).
"""

import re
from dataclasses import dataclass, field

from policies.prefilter import Expression, Prefilter
from relay.message.block import header_end, whole_fields
from relay.message.borders import next_border
from relay.message.parameters import Value, parse_value
from relay.message.transfer import BASE64, IDENTITY, PIECE, decode_base64, decode_transfer, encoding_of

MAX_DEPTH = 30  # multiparts within multiparts
MAX_ENTITIES = 600  # parts of every kind; a manifest holds 1,000
MAX_HEADER = 1 << 18  # octets of one header block
MAX_FIELDS = 2_000  # in one header block
_MAX_NEAR = 1_000
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_ONCE = (b"content-type", b"content-transfer-encoding", b"content-disposition")
_EMBEDDED = re.compile(
    rb"^--[^\n]+\n(?:[!-9;-~]++:[^\n]*+\n(?:[ \t][^\n]*+\n)*+){0,20}?content-(?:type|transfer-encoding)[ \t]*:",
    re.MULTILINE,
)
_PERHAPS_EMBEDDED = Prefilter([Expression(r"\ncontent-t", ignore_case=True)])
_MBOX = b"From "
_COLON = 0x3A
_DIFFERENTLY = "describes a part in a way that mail programs read differently"


@dataclass(slots=True)
class Leaf:
    """A part without parts: where its octets lie, and what its header says of it."""

    buffer: bytes
    start: int
    end: int
    type: Value
    disposition: Value
    encoding: str
    parent: str  # subtype of the multipart around it, empty for none
    headers: dict[bytes, list[bytes]]

    @property
    def raw(self) -> bytes:
        """The octets as they stand, still encoded for transfer."""
        return self.buffer[self.start : self.end]

    def decoded(self) -> bytes | None:
        """Return the octets without their encoding for transfer, None where that is unknown."""
        if self.encoding in BASE64:
            return decode_base64(self.buffer, self.start, self.end)  # large, and copied once less
        return decode_transfer(self.raw, self.encoding)


@dataclass(slots=True)
class Structure:
    """What a walk found: header of the whole, parts in order, doubts (as clauses), text outside of parts."""

    headers: dict[bytes, list[bytes]] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    problems: dict[str, None] = field(default_factory=dict)
    outside: list[bytes] = field(default_factory=list)
    entities: int = 0
    boundaries: set[bytes] = field(default_factory=set)
    near: set[bytes] = field(default_factory=set)


def walk(original: bytes) -> Structure:
    """Find the parts of a message. Bounded by depth, number of parts and size of headers; more is a problem."""
    found = Structure()
    start = original.find(b"\n") + 1 if original.startswith(_MBOX) else 0
    found.headers = _entity(found, original, start, len(original), (0, "text/plain", ""))
    if any(token not in found.boundaries for token in found.near):
        found.problems["has lines that some mail programs take for the border of a part"] = None
    return found


def walk_inside(found: Structure, inner: bytes) -> None:
    """Add the parts of a MIME entity that was wrapped in one of the parts (signed S/MIME)."""
    _entity(found, inner, 0, len(inner), (1, "text/plain", ""))


def holds_parts(text: bytes) -> bool:
    """Whether a text holds what looks like the border and header of a MIME part."""
    if not _PERHAPS_EMBEDDED.occurring(text):
        return False
    pieces = (text[max(0, start - 4096) : start + PIECE].lower() for start in range(0, len(text), PIECE))
    return any(_EMBEDDED.search(piece) for piece in pieces)


def _entity(
    found: Structure, buffer: bytes, start: int, end: int, place: tuple[int, str, str]
) -> dict[bytes, list[bytes]]:
    depth, default, parent = place
    found.entities += 1
    stop, body = header_end(buffer, start, end)
    headers = _headers(found, buffer, start, stop)
    for name in _ONCE:
        if len(values := headers.get(name, ())) > 1 and len(set(values)) > 1:
            found.problems["describes a part in two different ways"] = None
    type_ = _type(found, headers, default)
    encoding = encoding_of(headers[_ONCE[1]][0]) if _ONCE[1] in headers else ""
    if type_.word.startswith("multipart/"):
        if depth >= MAX_DEPTH:
            found.problems["has parts nested too deep to be read"] = None
        elif encoding not in IDENTITY:
            found.problems["encodes a group of parts, which only some mail programs read"] = None
            inner = b"\n" + (decode_transfer(buffer[body:end], encoding) or b"")
            _multipart(found, inner, (1, len(inner)), type_, depth)
        else:
            _multipart(found, buffer, (body, end), type_, depth)
        return headers
    disposition = parse_value(headers[_ONCE[2]][0]) if _ONCE[2] in headers else Value("")
    found.leaves.append(Leaf(buffer, body, end, type_, disposition, encoding, parent, headers))
    return headers


def _headers(found: Structure, buffer: bytes, start: int, stop: int) -> dict[bytes, list[bytes]]:
    if stop - start > MAX_HEADER:
        found.problems["has a header that is too long to be read"] = None
        stop = start + MAX_HEADER
    block = buffer[start:stop]
    found_fields = whole_fields(block)
    if len(found_fields) > MAX_FIELDS:
        found.problems["has too many header fields to be read"] = None
        del found_fields[MAX_FIELDS:]
    elif sum([len(whole) for whole, _, _ in found_fields]) != len(block):
        found.problems["has lines in a header that are no header fields"] = None
    if b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        found.problems["has control characters in a header that some mail programs take for its end"] = None
    headers: dict[bytes, list[bytes]] = {}
    for whole, name, value in found_fields:
        if whole[len(name)] != _COLON and name.lower() in _ONCE:
            found.problems[_DIFFERENTLY] = None  # "Content-Type : text/html"
        headers.setdefault(name.lower(), []).append(value)
    return headers


def _type(found: Structure, headers: dict[bytes, list[bytes]], default: str) -> Value:
    if _ONCE[0] not in headers:
        return Value(default)
    value = parse_value(headers[_ONCE[0]][0])
    if value.odd:
        found.problems[_DIFFERENTLY] = None
    if not _MEDIA_TYPE.fullmatch(value.word):
        # RFC 2045 section 5.2: what cannot be understood is plain text, unless it has the name of a file.
        value.word = "application/octet-stream" if "name" in value.parameters else "text/plain"
    return value


def _multipart(found: Structure, buffer: bytes, span: tuple[int, int], type_: Value, depth: int) -> None:
    body, end = span
    subtype = type_.word.partition("/")[2]
    boundary = type_.parameters.get("boundary", "").rstrip().encode("latin-1", "replace")
    if not boundary.isascii():
        found.problems[_DIFFERENTLY] = None
    if not boundary:
        found.problems["has parts without saying where they begin"] = None
        found.outside.append(buffer[body:end])
        return
    if boundary in found.boundaries:
        found.problems["marks two groups of parts with the same border"] = None
    found.boundaries |= {boundary, boundary + b"--"}
    spans, outside = _split(found, buffer, span, boundary)
    found.outside += outside
    if not spans and any(piece.strip() for piece in outside):
        found.problems["announces parts and has none"] = None
    default = "message/rfc822" if subtype == "digest" else "text/plain"
    for start, stop in spans:
        if found.entities >= MAX_ENTITIES:
            found.problems[f"has more than {MAX_ENTITIES} parts"] = None
            return
        _entity(found, buffer, start, stop, (depth + 1, default, subtype))


def _split(
    found: Structure, buffer: bytes, span: tuple[int, int], boundary: bytes
) -> tuple[list[tuple[int, int]], list[bytes]]:
    """Return the spans of the parts, and the text before, between and after them.

    A part ends before the line end in front of the next border (RFC 2046 section 5.1.1); the last may lack its border.
    Parts behind a closing border are read too, as some programs do.
    """
    body, end = span
    border = b"\n--" + boundary
    spans: list[tuple[int, int]] = []
    outside: list[bytes] = []
    inside, begun = False, body
    # The line end of the empty line before the body belongs to the first border.
    position = body - 1
    while (at := next_border(buffer, border, position, end)) >= 0:
        line_end = buffer.find(b"\n", at + len(border), end)
        line_end = end if line_end < 0 else line_end
        rest = buffer[at + len(border) : min(line_end, at + len(border) + 256)].rstrip(b" \t\r")
        position = at + 1
        if rest not in {b"", b"--"}:
            if len(found.near) < _MAX_NEAR:
                found.near.add(boundary + rest)
            continue
        stop = max(begun, at - 1 if buffer[at - 1 : at] == b"\r" else at)
        if inside:
            spans.append((begun, stop))
        elif stop > begun:
            outside.append(buffer[begun:stop])
        inside, begun = not rest, min(line_end + 1, end)
        position = max(line_end, at + 1) if line_end < end else end
        if len(spans) > MAX_ENTITIES:
            break
    if inside:
        spans.append((begun, end))
    elif begun < end:
        outside.append(buffer[begun:end])
    return spans, outside
