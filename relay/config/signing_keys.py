"""DKIM keys as files: read only where nobody but the gateway's user can do so too."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from relay.config.certificates import private_key
from relay.config.contents import contents

SMALLEST, LARGEST = 2048, 4096  # bits of an RSA key: what RFC 8301 section 3.2 recommends, what every verifier takes
_LONGEST = 1 << 16  # octets of a PEM file


def read_signing_key(path: Path) -> RSAPrivateKey | Ed25519PrivateKey:
    """Return the private key in a PEM file.

    ``ValueError`` says in a clause why it cannot be used (`ExposedError`: others may read or change the file);
    ``OSError`` leaves as it is.
    """
    key = private_key(contents(path, _LONGEST, secret=True))
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is neither an RSA nor an Ed25519 key")  # noqa: TRY004  # the content is wrong, not its type
    if not SMALLEST <= key.key_size <= LARGEST:
        raise ValueError(f"is an RSA key of {key.key_size} bits; receivers want {SMALLEST} to {LARGEST}")
    return key
