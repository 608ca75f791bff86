"""The keys that relay.toml names, opened for use; and new ones.

Each opened key signs a sample that dkimpy, which shares no code with our signer, must accept with the record that we
tell people to publish: a build of OpenSSL that refuses an algorithm shows at the start, and not in a spam folder.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import dkim
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from relay import clock
from relay.config.contents import ExposedError
from relay.config.model import DkimKey
from relay.config.signing_keys import read_signing_key
from relay.dkim.record import record_name, record_value
from relay.dkim.signature import SigningKey
from relay.dkim.signer import Signer
from relay.errors import ConfigurationError

RSA_BITS = 2048  # what RFC 8301 section 3.2 asks for; a larger key costs more with each mail
_EXPONENT = 65537

KeyKind = Literal["rsa", "ed25519"]


def open_signer(named: Iterable[DkimKey]) -> Signer:
    """Return the signer for the ``[[dkim]]`` tables of a configuration.

    ConfigurationError where a key cannot be used: mail is never sent unsigned because of that.
    """
    return Signer(open_key(one) for one in named)


def open_key(named: DkimKey) -> SigningKey:
    """Return one key, read and proved; ConfigurationError as for `open_signer`."""
    try:
        key = SigningKey(named.domain, named.selector, read_signing_key(named.key))
        prove(key, clock.now())
    except OSError as error:
        raise ConfigurationError((f"the DKIM key {named.key} cannot be read ({error.strerror})",)) from None
    except ValueError as error:
        remedy = f": chmod 600 {named.key}" if isinstance(error, ExposedError) else ""
        raise ConfigurationError((f"the DKIM key {named.key} {error}{remedy}",)) from None
    return key


def prove(key: SigningKey, at: datetime) -> None:
    """Raise ValueError with a clause unless a sample signed with ``key`` is verified with its own record."""
    sample = f"From: sample@{key.domain}\r\nSubject:  a\t sample \r\n\r\nTwo  words \r\n\r\n".encode("ascii")
    record = {f"{record_name(key)}.".encode("ascii"): record_value(key.private).encode("ascii")}
    try:
        proved = dkim.verify(Signer([key]).sign(sample, at), dnsfunc=lambda name, **_: record.get(name))
    except (UnsupportedAlgorithm, dkim.DKIMException):
        proved = False
    if not proved:
        raise ValueError("makes signatures that cannot be verified")


def new_pem(kind: KeyKind) -> bytes:
    """Return a fresh private key as an unencrypted PEM file (PKCS #8)."""
    private = (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(_EXPONENT, RSA_BITS)
    )
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
