"""Whether a block that says it is OpenPGP-encrypted really is (RFC 9580): only the first packet is looked at.

The label alone proves nothing: armour can hold plain text that every OpenPGP program shows.
"""

import binascii
import re

_ARMOUR = re.compile(
    rb"-----BEGIN PGP MESSAGE-----[ \t]*\r?\n((?:[^\r\n:]+: [^\r\n]*\r?\n)*)[ \t]*\r?\n([A-Za-z0-9+/=\r\n \t]{4,})"
)
BEGIN = b"-----BEGIN PGP MESSAGE-----"
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
# Public-key and symmetric-key encrypted session key, symmetrically encrypted data, the same with integrity, AEAD.
_ENCRYPTED_TAGS = frozenset({1, 3, 9, 18, 20})
_PACKET = 0x80
_NEW_FORMAT = 0x40


def is_encrypted(data: bytes) -> bool:
    """Whether ``data`` begins with an encrypted OpenPGP message, armoured or binary."""
    match = _ARMOUR.search(data) if BEGIN in data else None
    if match is None:
        return _encrypted_packet(data)
    text = match[2][:64].translate(None, b"\r\n \t").partition(b"=")[0]
    try:
        return _encrypted_packet(binascii.a2b_base64(text[: len(text) & ~3]))
    except binascii.Error:
        return False


def _encrypted_packet(data: bytes) -> bool:
    if not data or not data[0] & _PACKET:
        return False
    tag = data[0] & 0x3F if data[0] & _NEW_FORMAT else (data[0] >> 2) & 0x0F
    return tag in _ENCRYPTED_TAGS
