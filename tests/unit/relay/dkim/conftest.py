"""Two keys for example.org, made once, and a receiver that knows their records."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from relay.dkim.record import zone_line
from relay.dkim.signature import SigningKey
from relay.dkim.signer import Signer
from tests.signatures import Receiver


@pytest.fixture(scope="session")
def keys() -> tuple[SigningKey, SigningKey]:
    """An RSA and an Ed25519 key of example.org."""
    rsa = SigningKey("example.org", "r1", generate_private_key(65537, 2048))
    return rsa, SigningKey("example.org", "e1", Ed25519PrivateKey.generate())


@pytest.fixture(scope="session")
def signer(keys: tuple[SigningKey, SigningKey]) -> Signer:
    """A signer with both keys."""
    return Signer(keys)


@pytest.fixture(scope="session")
def receiver(keys: tuple[SigningKey, SigningKey]) -> Receiver:
    """A receiver that looks both keys up."""
    return Receiver.knowing(map(zone_line, keys))
