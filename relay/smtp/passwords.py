"""Passwords of users: Argon2id (RFC 9106), and the same work for a name that nobody has.

The cost is what OWASP asks for at least (19 MiB, two passes): 50 ms that each connection of a mail program pays. A
guesser pays it five times in five minutes (`relay.smtp.signing_in`).
"""

import secrets
import unicodedata
from base64 import b64encode

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

_MEMORY, _PASSES, _LANES, _LENGTH, _SALT = 19456, 2, 1, 32, 16  # KiB, passes, lanes, octets, octets


def hash_password(password: str) -> str:
    """Return the hash to keep, in PHC form, with a fresh salt. Takes 50 ms and 19 MiB."""
    argon = Argon2id(
        salt=secrets.token_bytes(_SALT), length=_LENGTH, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY
    )
    return argon.derive_phc_encoded(_prepared(password))


def is_password(password: str, kept: str) -> bool:
    """Say whether a password is the one whose hash is kept. Takes as long as making that hash, right or wrong."""
    try:
        Argon2id.verify_phc_encoded(_prepared(password), kept)
    except (InvalidKey, ValueError):
        return False
    return True


def nobodys() -> str:
    """Return a hash like those that are kept, of no password: to verify against where there is no such user."""
    salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (_SALT, _LENGTH))
    return f"$argon2id$v=19$m={_MEMORY},t={_PASSES},p={_LANES}${salt}${digest}"


def _prepared(password: str) -> bytes:
    """Return the octets of a password that is typed the same on every keyboard (RFC 8265 section 4.2)."""
    spaced = "".join(" " if unicodedata.category(sign) == "Zs" else sign for sign in password)
    return unicodedata.normalize("NFC", spaced).encode()
