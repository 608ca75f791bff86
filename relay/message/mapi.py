"""A stream of MAPI properties as it stands in winmail.dat ([MS-OXTNEF] section 2.1.3.4): texts and octets of it."""

import struct
from collections.abc import Callable

from relay.message.charsets import decode_short

MAX_PROPERTIES = 5_000  # in one stream, and values of one property
Value = bytes | str

_UINT32 = struct.Struct("<I")
# Sizes in the stream; two-octet kinds are padded to four.
_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_OBJECT, _STRING8, _UNICODE, _BINARY = 0x0D, 0x1E, 0x1F, 0x102
_SIZED = frozenset({_OBJECT, _STRING8, _UNICODE, _BINARY})
_MULTIPLE = 0x1000
_NAMED = 0x8000
_SET_ID = 16  # octets in front of the name of a named property


def read_properties(view: memoryview, code_page: str) -> dict[int, Value]:
    """Return texts and octets by property identifier, the first of several values; numbers and dates are left out.

    Raises ValueError when a length does not fit or the counts are absurd.
    """
    found: dict[int, Value] = {}
    count = _number(view, 0)
    if count > MAX_PROPERTIES:
        raise ValueError("too many properties")
    position = _UINT32.size
    for _ in range(count):
        tag = _number(view, position)
        kind, identifier = tag & 0xFFFF, tag >> 16
        position += 4
        if identifier & _NAMED:
            position = _after_name(view, position)

        def keep(content: bytes, kind: int = kind & ~_MULTIPLE, identifier: int = identifier) -> None:
            found.setdefault(identifier, _value(kind, content, code_page))

        position = _after_values(view, position, kind, keep)
    return found


def _after_values(view: memoryview, position: int, kind: int, keep: Callable[[bytes], None]) -> int:
    base = kind & ~_MULTIPLE
    if base not in _FIXED and base not in _SIZED:
        raise ValueError("a property of an unknown kind")
    values = 1
    if kind & _MULTIPLE or base in _SIZED:
        values = _number(view, position)
        position += 4
    if values > MAX_PROPERTIES:
        raise ValueError("too many values")
    if base in _FIXED:
        return position + values * _FIXED[base]
    for _ in range(values):
        length = _number(view, position)
        content = bytes(view[position + 4 : position + 4 + length])
        if len(content) != length:
            raise ValueError("a property is cut off")
        keep(content)
        position += 4 + length + -length % 4
    return position


def _value(kind: int, content: bytes, code_page: str) -> Value:
    if kind == _UNICODE:
        return content.decode("utf_16_le", "replace").rstrip("\0")
    if kind == _STRING8:
        return decode_short(content, code_page).rstrip("\0")
    return content


def _after_name(view: memoryview, position: int) -> int:
    """Step over the name of a named property: a set, a kind, then a number or a text."""
    position += _SET_ID
    if _number(view, position) == 0:
        return position + 8
    length = _number(view, position + 4)
    return position + 8 + length + -length % 4


def _number(view: memoryview, position: int) -> int:
    if position + _UINT32.size > len(view):
        raise ValueError("a property is cut off")
    number: int = _UINT32.unpack_from(view, position)[0]
    return number
