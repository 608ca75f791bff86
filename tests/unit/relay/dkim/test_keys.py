"""Keys as files: opened, proved, refused; and what is published for them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from relay.config.model import DkimKey
from relay.dkim.keys import KeyKind, new_pem, open_key, open_signer, prove
from relay.dkim.record import record_name, record_value, zone_line
from relay.dkim.signature import SigningKey
from relay.errors import ConfigurationError
from tests.signatures import Receiver

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def named(path: Path, content: bytes, mode: int = 0o600) -> DkimKey:
    path.write_bytes(content)
    path.chmod(mode)
    return DkimKey(domain="letter.example.org", selector="s1", key=path)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_new_key_signs_and_its_record_verifies(tmp_path: Path, kind: KeyKind) -> None:
    """What is made, written, opened and published fits together."""
    table = named(tmp_path / "key.pem", new_pem(kind))
    receiver = Receiver.knowing([zone_line(open_key(table))])
    signed = open_signer([table]).sign(b"From: notices@letter.example.org\r\n\r\nHello\r\n", NOON)
    assert receiver.verified(signed) == [f"s1.letter.example.org {kind}-sha256"]


def test_a_record_is_found_below_the_domain(keys: tuple[SigningKey, SigningKey]) -> None:
    """The name is selector, _domainkey and domain; the value has version, kind and key (RFC 8463: 32 octets)."""
    assert [record_name(key) for key in keys] == ["r1._domainkey.example.org", "e1._domainkey.example.org"]
    assert record_value(keys[0].private).startswith("v=DKIM1; k=rsa; p=MII")
    assert len(record_value(keys[1].private)) == len("v=DKIM1; k=ed25519; p=") + 44


def pem(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (b"", 0o600, "holds no private key in PEM form"),
        (pem(ec.generate_private_key(ec.SECP256R1())), 0o600, "is neither an RSA nor an Ed25519 key"),
        (pem(rsa.generate_private_key(65537, 1024)), 0o600, "is an RSA key of 1024 bits"),  # noqa: S505  # the case
        (new_pem("ed25519"), 0o640, "may be read or changed by other users of this machine: chmod 600"),
        (new_pem("ed25519"), 0o602, "may be read or changed by other users of this machine: chmod 600"),
    ],
)
def test_a_key_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes, mode: int, sentence: str) -> None:
    """No mail is sent unsigned because of a bad key: whoever opens it is told what is wrong."""
    with pytest.raises(ConfigurationError, match=sentence):
        open_signer([named(tmp_path / "key.pem", content, mode)])


def test_a_key_that_vanished_stops_the_start(tmp_path: Path) -> None:
    """A key file that is gone since the configuration was checked is an error, too."""
    with pytest.raises(ConfigurationError, match="cannot be read \\(No such file or directory\\)"):
        open_key(DkimKey(domain="letter.example.org", selector="s1", key=tmp_path / "gone.pem"))


class Broken(SigningKey):
    """A key whose signatures are worth nothing, as with a library that is broken."""

    __slots__ = ()

    def sign(self, data: bytes) -> bytes:
        return bytes(reversed(SigningKey.sign(self, data)))


def test_a_key_whose_signatures_do_not_verify_is_refused(keys: tuple[SigningKey, SigningKey]) -> None:
    """Each key signs a sample before it is used, and dkimpy must accept it."""
    for key in keys:
        prove(key, NOON)
        with pytest.raises(ValueError, match="cannot be verified"):
            prove(Broken(key.domain, key.selector, key.private), NOON)


def test_new_keys_differ() -> None:
    """Every key is drawn afresh."""
    assert new_pem("ed25519") != new_pem("ed25519")
