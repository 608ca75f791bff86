"""S/MIME: what kind of CMS a p7m is, and the content of one that is only signed (RFC 5652, RFC 8551).

A signed-only message is plain text in a wrapper: every mail program shows it, so the policies have to see it. The
wrapper is walked as BER with definite or indefinite lengths; nothing is verified, and nothing is believed beyond
the content type.
"""

from typing import NamedTuple

MAX_DEPTH = 12
MAX_ELEMENTS = 200_000
_SEQUENCE, _OCTETS, _OCTETS_IN_PIECES, _OID, _EXPLICIT = 0x30, 0x04, 0x24, 0x06, 0xA0
_SIGNED = bytes.fromhex("2a864886f70d010702")
_ENCRYPTED = (bytes.fromhex("2a864886f70d010703"), bytes.fromhex("2a864886f70d010910010117"))  # and with authentication
_INDEFINITE, _LONG = 0x80, 0x80  # first octet of a length: exactly this, or more than this


class Cms(NamedTuple):
    """``content`` of a signed-only message, or ``encrypted``, or a detached ``signature``.

    None of them: the structure could not be read.
    """

    content: bytes | None = None
    encrypted: bool = False
    signature: bool = False


class _Element(NamedTuple):
    tag: int
    start: int  # of the content
    end: int  # of the content
    next: int  # behind the element


def read_cms(data: bytes) -> Cms:
    """Tell what a CMS structure holds. Never raises; damaged structures hold nothing."""
    ber = _Ber(data)
    try:
        outer = ber.element(0, len(data), 0)
        kind = ber.element(outer.start, outer.end, 1)
        if outer.tag != _SEQUENCE or kind.tag != _OID:
            return Cms()
        oid = data[kind.start : kind.end]
        if oid in _ENCRYPTED:
            return Cms(encrypted=True)
        if oid != _SIGNED:
            return Cms()
        content = _signed_content(ber, kind.next, outer.end)
        return Cms(content=content, signature=content is None)
    except (IndexError, ValueError):
        return Cms()


def _signed_content(ber: "_Ber", position: int, end: int) -> bytes | None:
    wrapped = ber.element(position, end, 1)  # [0] SignedData
    signed = ber.element(wrapped.start, wrapped.end, 2)
    version = ber.element(signed.start, signed.end, 3)
    digests = ber.element(version.next, signed.end, 3)
    info = ber.element(digests.next, signed.end, 3)  # encapContentInfo
    kind = ber.element(info.start, info.end, 4)
    if wrapped.tag != _EXPLICIT or info.tag != _SEQUENCE or kind.tag != _OID:
        raise ValueError("not signed data")
    if kind.next >= info.end:
        return None  # detached: the content is elsewhere
    content = ber.element(kind.next, info.end, 4)
    return ber.octets(ber.element(content.start, content.end, 5))


class _Ber:
    """Elements of BER (X.690), counted so that a million tiny ones cost no minute."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = MAX_ELEMENTS

    def element(self, position: int, end: int, depth: int) -> _Element:
        """Read one tag and length; raise ValueError where it does not fit into its parent."""
        self._left -= 1
        if position + 2 > end or depth > MAX_DEPTH or self._left < 0:
            raise ValueError("nothing there, or too much")
        tag, length = self._data[position], self._data[position + 1]
        start = position + 2
        if length == _INDEFINITE:
            return self._indefinite(tag, start, end, depth)
        if length > _LONG:
            count = length & 0x7F
            length = int.from_bytes(self._data[start : start + count], "big")
            start += count
        if start + length > end:
            raise ValueError("longer than its parent")
        return _Element(tag, start, start + length, start + length)

    def octets(self, element: _Element) -> bytes:
        """Return an octet string, put together where it comes in pieces."""
        if element.tag == _OCTETS:
            return self._data[element.start : element.end]
        if element.tag != _OCTETS_IN_PIECES:
            raise ValueError("not an octet string")
        pieces, position = [], element.start
        while position < element.end:
            piece = self.element(position, element.end, 6)
            if piece.tag != _OCTETS:
                raise ValueError("not a piece of an octet string")
            pieces.append(self._data[piece.start : piece.end])
            position = piece.next
        return b"".join(pieces)

    def _indefinite(self, tag: int, start: int, end: int, depth: int) -> _Element:
        position = start
        while self._data[position : position + 2] != b"\0\0":
            position = self.element(position, end, depth + 1).next
        return _Element(tag, start, position, position + 2)
