"""Quoted-printable text changed in a few places: all other lines keep their octets (RFC 2045 section 6.7)."""

import re
from bisect import bisect_right
from collections.abc import Callable

from relay.message.spellings import Change, splice

_ESCAPE = re.compile(rb"=[ \t]*\r?\n|=[0-9A-Fa-f]{2}")
_UNPRINTABLE = re.compile(rb"[^!-<>-~]")
_LINE = 76  # characters of an encoded line
_EQUALS = 0x3D
_SOFT_BREAK = b"=\r\n"


def change_printable(raw: bytes, find: Callable[[bytes], list[Change]]) -> bytes:
    """Return ``raw`` with the changes that ``find`` asks for in the octets that it stands for."""
    places = _Places(raw)
    changes = []
    for start, end, instead in find(places.decoded):
        first, last = places.span(start, end)
        changes.append((first, last, _fitted(raw, first, last, instead)))
    return splice(raw, changes)


class _Places:
    """The decoded octets, and where each of them stands in the raw ones."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._decoded_at: list[int] = []
        self._raw_at: list[int] = []
        pieces: list[bytes] = []
        length = position = 0
        for match in _ESCAPE.finditer(raw):
            token = match[0]
            octet = b"" if token.endswith(b"\n") else bytes([int(token[1:], 16)])
            for piece, place in ((raw[position : match.start()], position), (octet, match.start())):
                if piece:
                    pieces.append(piece)
                    self._decoded_at.append(length)
                    self._raw_at.append(place)
                    length += len(piece)
            position = match.end()
        self._decoded_at.append(length)
        self._raw_at.append(position)
        self.decoded = b"".join([*pieces, raw[position:]])

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the decoded octets from ``start`` to ``end`` (exclusive) begin and end in the raw ones."""
        last = self._place(end - 1)
        return self._place(start), last + (3 if self._raw[last] == _EQUALS else 1)

    def _place(self, offset: int) -> int:
        segment = bisect_right(self._decoded_at, offset) - 1
        return self._raw_at[segment] + offset - self._decoded_at[segment]


def _fitted(raw: bytes, first: int, last: int, instead: bytes) -> bytes:
    """Return ``instead`` encoded, with soft line breaks around it where its line would become too long."""
    encoded = _UNPRINTABLE.sub(lambda match: b"=%02X" % match[0][0], instead)
    # No further than a line may be long: in text without line ends each change would cost a look at all of it.
    before = len(raw[max(0, first - _LINE) : first].rpartition(b"\n")[2])
    after = len(raw[last : last + _LINE + 1].partition(b"\n")[0].rstrip(b"\r"))
    lead = _SOFT_BREAK if before and before + len(encoded) >= _LINE else b""
    length = len(encoded) + (0 if lead else before)
    return lead + encoded + (_SOFT_BREAK if after and length + after > _LINE else b"")
