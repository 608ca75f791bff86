"""What is published for a key in the DNS (RFC 6376 section 3.6, RFC 8463 section 4)."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.dkim.signature import SigningKey

_STRING = 255  # octets of one string in a TXT record (RFC 1035 section 3.3.14)


def record_name(key: SigningKey) -> str:
    """Return the name that verifiers look up, without a final dot."""
    return f"{key.selector}._domainkey.{key.domain}"


def record_value(private: RSAPrivateKey | Ed25519PrivateKey) -> str:
    """Return the text of the record: of an Ed25519 key the 32 octets themselves, of an RSA key the DER structure."""
    if isinstance(private, RSAPrivateKey):
        kind = "rsa"
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, public = "ed25519", private.public_key().public_bytes_raw()
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode('ascii')}"


def zone_line(key: SigningKey) -> str:
    """Return the record as a line of a zone file, cut into strings as RFC 1035 wants it."""
    value = record_value(key.private)
    strings = " ".join(f'"{value[start : start + _STRING]}"' for start in range(0, len(value), _STRING))
    return f"{record_name(key)}. IN TXT ( {strings} )"
