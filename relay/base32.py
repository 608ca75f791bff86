"""Base32 as it stands in links, addresses and queue ids: lower case, without padding (RFC 4648 section 6)."""

import base64


def encode(octets: bytes) -> str:
    """Return octets as text: 26 characters for 16, 32 for 20, 52 for 32."""
    return base64.b32encode(octets).decode("ascii").rstrip("=").lower()


def decode(text: str) -> bytes:
    """Return the octets behind a text in any case; ValueError for what is no base32.

    Several texts stand for the same octets: where one may count only, encode what comes out and compare.
    """
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
