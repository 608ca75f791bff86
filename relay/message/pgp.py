"""Whether a block that says it is OpenPGP-encrypted really is (RFC 9580): only the first packet is looked at.

The label alone proves nothing: armour can hold plain text that every OpenPGP program shows.
"""

import binascii
import re

_ARMOUR = re.compile(
    rb"-----BEGIN PGP MESSAGE-----[ \t]*\r?\n((?:[^\r\n:]+: [^\r\n]*\r?\n)*)[ \t]*\r?\n([A-Za-z0-9+/=\r\n \t]{4,})"
)
# The same as the whole of a text: headers that OpenPGP programs write, lines without a space, checksum (RFC 9580
# section 6.2). A Comment is free text, so it is no armour for us.
_NOTHING_ELSE = re.compile(
    rb"\s*-----BEGIN PGP MESSAGE-----[ \t]*\r?\n(?:(?:Version|Hash|Charset): [\w .()/+-]{1,60}\r?\n){0,3}[ \t]*\r?\n"
    rb"(?:[A-Za-z0-9+/=]{1,76}\r?\n)+-----END PGP MESSAGE-----\s*"
)
BEGIN = b"-----BEGIN PGP MESSAGE-----"
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
# Tag -> versions: session keys for a public key and for a passphrase, encrypted data with integrity and with AEAD
# (RFC 9580 section 5). Old data without integrity (9) has no version and proves nothing: it never comes first.
_VERSIONS = {1: {2, 3, 6}, 3: {4, 5, 6}, 18: {1, 2}, 20: {1}}
_PACKET = 0x80
_NEW_FORMAT = 0x40
_SHORTEST = 8  # octets: tag, length and version


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


def is_nothing_but_armour(data: bytes) -> bool:
    """Whether ``data`` is one block of armour and white space: no word in clear before, between or after."""
    return _NOTHING_ELSE.fullmatch(data) is not None


def _encrypted_packet(data: bytes) -> bool:
    """Look at the tag of the first packet, and at the version behind its length."""
    if len(data) < _SHORTEST or not data[0] & _PACKET:
        return False
    if data[0] & _NEW_FORMAT:
        tag, first = data[0] & 0x3F, data[1]
        position = 6 if first == 255 else 3 if 192 <= first < 224 else 2  # noqa: PLR2004  # RFC 9580 section 4.2.1
    else:
        tag, position = (data[0] >> 2) & 0x0F, (2, 3, 5, 1)[data[0] & 3]  # section 4.2.2
    return data[position] in _VERSIONS.get(tag, ())
