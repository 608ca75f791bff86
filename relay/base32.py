"""Base32 as it stands in links, addresses and queue ids: lower case, without padding (RFC 4648 section 6)."""

import base64
from functools import cache

_BITS, _OCTET = 5, 8  # of a character
_ALPHABET = b"abcdefghijklmnopqrstuvwxyz234567".ljust(256, b"=")


def encode(octets: bytes) -> str:
    """Return octets as text: 26 characters for 16, 32 for 20, 52 for 32.

    The library's encoder looks pairs up in a table of 50 KB, which a message never finds in the processor's cache.
    """
    characters = -(-len(octets) * _OCTET // _BITS)
    width = 1 << (characters - 1).bit_length()
    number = int.from_bytes(octets, "big") << (width * _BITS - len(octets) * _OCTET)
    for low, high, gap in _steps(width):
        number = number & low | (number & high) << gap
    return number.to_bytes(width, "big").translate(_ALPHABET)[:characters].decode("ascii")


def decode(text: str) -> bytes:
    """Return the octets behind a text in any case; ValueError for what is no base32.

    Several texts stand for the same octets: where one may count only, encode what comes out and compare.
    """
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


@cache
def _steps(width: int) -> tuple[tuple[int, int, int], ...]:
    """Return how a number of ``width`` times five bits, a power of two, is drawn apart until each five fill an octet.

    In each step every piece falls into halves: which bits stay, which move up, and how far.
    """
    steps = []
    places = [0]
    while width > 1:
        width //= 2
        half = (1 << width * _BITS) - 1
        low = sum(half << place for place in places)
        steps.append((low, low << width * _BITS, width * (_OCTET - _BITS)))
        places = [place + more for place in places for more in (0, width * _OCTET)]
    return tuple(steps)
