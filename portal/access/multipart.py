"""``multipart/form-data`` (RFC 7578) taken apart as it comes: fields and files as events, bounded, nothing on disk.

The boundary search is python-multipart's low-level parser; what a part is called, and what is refused, is decided here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from portal.access.forms import FormError

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046 section 5.1.1
_HEADERS = 8  # fields of one part
_HEADER = 4096  # octets of one of them: a file name takes most of it
_NAME = 100  # characters of a field's name
_PARTS = 300
_PLAIN = frozenset({b"", b"7bit", b"8bit", b"binary"})
_ESCAPES = (("%22", '"'), ("%0D", ""), ("%0A", ""), ("%0d", ""), ("%0a", ""))  # HTML, multipart/form-data encoding


@dataclass(frozen=True, slots=True)
class PartHead:
    """Where a field or file begins. ``file_name`` is None for a field, empty where no file was chosen."""

    name: str
    file_name: str | None = None
    type: str = ""


class Mark(Enum):
    """What stands between parts."""

    END = "end of a part"


Event = PartHead | bytes | Mark


def events_of(content_type: str, body: Iterable[bytes], form_octets: int) -> Iterator[Event]:
    """Yield the parts of a form: for each a `PartHead`, its octets in pieces, ``Mark.END``. ``body`` is read as needed.

    A urlencoded form (at most ``form_octets``) has fields only. FormError: 415 for another kind of body, 400 for one
    that is damaged, ends early or has over 300 parts, 413 for a urlencoded one that is too long.
    """
    kind, options = parse_options_header(content_type.encode("latin-1", "replace"))
    if kind == b"application/x-www-form-urlencoded":
        return _urlencoded(body, form_octets)
    if kind != b"multipart/form-data":
        raise FormError(415)
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise FormError(400)
    return _Multipart(boundary).events(body)


class _Multipart:
    """One body. The parser's callbacks gather events; ``events`` hands them out after each piece of the body."""

    def __init__(self, boundary: bytes) -> None:
        self._gathered: list[Event] = []
        self._header: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._parts = 0
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_field,
                "on_headers_finished": self._end_header,
                "on_part_data": lambda data, start, end: self._gathered.append(data[start:end]),
                "on_part_end": lambda: self._gathered.append(Mark.END),
                "on_end": self._end,
            },
            max_header_count=_HEADERS,
            max_header_size=_HEADER,
        )
        # It would tell the log what stood where; the status of the response says enough.
        self._parser.logger = _Silence()  # type: ignore[assignment]

    def events(self, body: Iterable[bytes]) -> Iterator[Event]:
        for piece in body:
            try:
                self._parser.write(piece)
            except FormParserError:
                raise FormError(400) from None
            yield from self._gathered
            self._gathered.clear()
        if not self._ended:
            raise FormError(400)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _PARTS:
            raise FormError(400)
        self._header = {}

    def _end_field(self) -> None:
        name = bytes(self._name).lower()
        if name in self._header:  # two readers could see two names in one part
            raise FormError(400)
        self._header[name] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _end_header(self) -> None:
        kind, options = parse_options_header(self._header.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise FormError(400)
        if self._header.get(b"content-transfer-encoding", b"").strip().lower() not in _PLAIN:  # RFC 7578 section 4.7
            raise FormError(400)
        media_type, _ = parse_options_header(self._header.get(b"content-type", b""))
        file_name = options.get(b"filename")
        self._gathered.append(
            PartHead(
                _text(options[b"name"])[:_NAME],
                None if file_name is None else _text(file_name),
                media_type.decode("latin-1"),
            )
        )

    def _end(self) -> None:
        self._ended = True


class _Silence:
    """In place of the parser's logger."""

    def warning(self, *_: object) -> None:
        """Say nothing."""


def _text(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    for escape, sign in _ESCAPES:
        text = text.replace(escape, sign)
    return text


def _urlencoded(body: Iterable[bytes], limit: int) -> Iterator[Event]:
    whole = bytearray()
    for piece in body:
        whole += piece
        if len(whole) > limit:
            raise FormError(413)
    try:
        pairs = parse_qsl(whole.decode("ascii"), keep_blank_values=True, max_num_fields=_PARTS, errors="replace")
    except ValueError:
        raise FormError(400) from None
    for name, value in pairs:
        yield PartHead(name[:_NAME])
        yield value.encode("utf-8", "replace")
        yield Mark.END
