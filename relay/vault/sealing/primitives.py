"""Labels, key derivation, MAC and one-time ciphers of suite 1: each constant with the reason beside it.

Suite 1 is AES-256-GCM (NIST SP 800-38D), HKDF-SHA256 (RFC 5869), HMAC-SHA256 (RFC 2104) and HPKE base mode
(RFC 9180). Every use of a key starts with its own label, so that no output of one use is an output of
another.
"""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from relay.vault.sealing.errors import Layer, SealingError

ID_LENGTH = 16  # random identifiers: 128 bits never collide by chance, and fit a link
KEY_LENGTH = 32  # every secret key of the format; 256 bits keep 128 against a quantum search
MAC_LENGTH = 32  # HMAC-SHA256, never cut
TAG_LENGTH = 16  # AES-GCM, never cut
NONCE_LENGTH = 12  # the only nonce length for which GCM does not hash the nonce first

# A nonce of zeros is right exactly where a key encrypts once: each such key is derived from fresh randomness.
ZERO_NONCE = bytes(NONCE_LENGTH)


def lab(name: str) -> bytes:
    """Return the label ``letterlock/1 <name>`` ended by a zero byte.

    The zero keeps one label from being the beginning of another; the 1 is the version of the format.
    """
    return b"letterlock/1 " + name.encode("ascii") + b"\x00"


# key derivation (info of HKDF)
COMMIT = lab("commit")  # DEK -> commitment in the header
PART = lab("part")  # DEK -> key of one part
WRAP = lab("wrap")  # file KEK -> key of one wrapping
LINK = lab("link")  # L -> private key of a link
SENDER = lab("sender")  # S -> private key of a sender
VISIT = lab("visit")  # V -> key over a visit's link key
SPOOL = lab("spool")  # epoch key -> key of one spooled item
# HPKE (info)
STANZA = lab("stanza")
QUEUE = lab("queue")
# MAC input
QUEUE_ITEM = lab("queue item")
ROW_PARTICIPANT = lab("row participant")
ROW_KEY = lab("row key")
TICKET = lab("ticket")

LABELS = (
    COMMIT,
    PART,
    WRAP,
    LINK,
    SENDER,
    VISIT,
    SPOOL,
    STANZA,
    QUEUE,
    QUEUE_ITEM,
    ROW_PARTICIPANT,
    ROW_KEY,
    TICKET,
)


def require_id(value: bytes, layer: Layer) -> bytes:
    """Return ``value`` when it is 16 bytes; SealingError of ``layer`` otherwise."""
    if len(value) != ID_LENGTH:
        raise SealingError(layer, "an identifier has 16 bytes")
    return value


def require_key(value: bytes) -> bytes:
    """Return ``value`` when it is 32 bytes; ValueError otherwise (a mistake of the caller)."""
    if len(value) != KEY_LENGTH:
        raise ValueError("a key has 32 bytes")
    return value


def kdf(ikm: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869) from input key material, salt and info."""
    return HKDF(SHA256(), KEY_LENGTH, salt, info).derive(ikm)


def mac(key: bytes, data: bytes) -> bytes:
    """Return the 32 bytes of HMAC-SHA256 (RFC 2104) over ``data``."""
    return hmac.digest(require_key(key), data, "sha256")


def same(one: bytes, other: bytes) -> bool:
    """Say whether two byte strings are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)


def seal_once(key: bytes, data: bytes, associated: bytes) -> bytes:
    """Return AES-256-GCM of ``data`` under a key that encrypts nothing else, with the nonce of zeros."""
    return AESGCM(key).encrypt(ZERO_NONCE, data, associated)


def open_once(key: bytes, sealed: bytes, associated: bytes, *, layer: Layer, sentence: str) -> bytes:
    """Undo ``seal_once``; SealingError of ``layer`` with ``sentence`` when it does not open."""
    return open_gcm(AESGCM(key), ZERO_NONCE, sealed, associated, layer=layer, sentence=sentence)


def open_gcm(
    cipher: AESGCM,
    nonce: bytes,
    sealed: bytes | bytearray | memoryview,
    associated: bytes,
    *,
    layer: Layer,
    sentence: str,
) -> bytes:
    """Return the plain text of an AES-GCM cipher text; SealingError of ``layer`` when it does not open."""
    try:
        return cipher.decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise SealingError(layer, sentence) from None
