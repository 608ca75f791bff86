"""TLS certificates and keys as files: whether they can be used, for which names, and until when."""

import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtensionOID

from relay.config.contents import contents

_LARGEST = 1 << 20  # octets of a PEM file


@dataclass(frozen=True, slots=True)
class Certificate:
    """What matters of a server certificate: DNS names in lower case, and its time."""

    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    public: bytes  # SubjectPublicKeyInfo, DER

    def covers(self, host: str) -> bool:
        """Whether the certificate is for this host name (RFC 9525 section 6.3: one wildcard label on the left)."""
        return host.lower() in self.names or f"*.{host.lower().partition('.')[2]}" in self.names


def read_certificate(path: Path) -> Certificate:
    """Return the first certificate of a PEM file; ``ValueError`` with a clause where there is none."""
    pem = contents(path, _LARGEST)
    try:
        leaf = x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise ValueError("holds no certificate in PEM form") from None
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        names = x509.SubjectAlternativeName(extension.value).get_values_for_type(x509.DNSName)  # type: ignore[arg-type]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    public = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        tuple(name.lower() for name in names), leaf.not_valid_before_utc, leaf.not_valid_after_utc, public
    )


def read_public_of_key(path: Path) -> bytes:
    """Return the public half (SubjectPublicKeyInfo, DER) of a private key file; ``ValueError`` with a clause."""
    public = private_key(contents(path, _LARGEST)).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def private_key(pem: bytes) -> PrivateKeyTypes:
    """Return the private key in the content of a PEM file; ``ValueError`` with a clause where there is none."""
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError("is protected with a password: the gateway cannot ask for it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("holds no private key in PEM form") from None


def readable_by_others(path: Path) -> bool:
    """Whether the permissions let every user of the machine read or change a file."""
    return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))
