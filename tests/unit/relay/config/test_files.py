import os
import pwd
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from relay.config import Inspection, inspect

Inspect = Callable[..., Inspection]
TLS = (
    'address = "127.0.0.1:2525"',
    'address = "127.0.0.1:2525"\ntls = "starttls"\ncertificate = "relay.pem"\nkey = "relay.key"',
)


def issue(folder: Path, name: str = "letter.example.org", days: int = 90) -> None:
    """Write a certificate for a name with its key, as an operator would."""
    certificate = trustme.CA().issue_cert(name, not_after=datetime.now(UTC) + timedelta(days=days))
    (folder / "relay.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    (folder / "relay.key").write_bytes(certificate.private_key_pem.bytes())
    (folder / "relay.key").chmod(0o600)


def test_a_certificate_with_its_key_is_accepted(tmp_path: Path, inspect_with: Inspect) -> None:
    """A certificate for the gateway's name and its own key give neither problem nor warning."""
    issue(tmp_path)
    inspection = inspect_with(TLS)
    assert (inspection.problems, inspection.warnings) == ((), ())


@pytest.mark.parametrize(
    ("name", "days", "warning"),
    [
        ("letter.example.org", 20, "ends on"),
        ("letter.example.org", -1, "ended on"),
        ("mail.example.org", 90, 'is not for "letter.example.org" (it is for mail.example.org)'),
    ],
)
def test_a_doubtful_certificate_is_a_warning(
    tmp_path: Path, inspect_with: Inspect, name: str, days: int, warning: str
) -> None:
    """A certificate that ends soon, has ended or is for another name still lets the gateway start."""
    issue(tmp_path, name, days)
    inspection = inspect_with(TLS)
    assert inspection.problems == ()
    [line] = inspection.warnings
    assert line.startswith("relay.toml:15:15: listen.submission.certificate ")
    assert warning in line


def test_a_wildcard_certificate_covers_one_label(tmp_path: Path, inspect_with: Inspect) -> None:
    """A certificate for *.example.org is good for letter.example.org."""
    issue(tmp_path, "*.example.org")
    assert inspect_with(TLS).warnings == ()


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, inspect_with: Inspect) -> None:
    """Certificate and key must belong together."""
    issue(tmp_path)
    certificate = (tmp_path / "relay.pem").read_bytes()
    issue(tmp_path)
    (tmp_path / "relay.pem").write_bytes(certificate)
    assert inspect_with(TLS).problems == ("relay.toml:16:7: listen.submission.key does not belong to the certificate",)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path, inspect_with: Inspect) -> None:
    """A private key with open permissions stops the start."""
    issue(tmp_path)
    (tmp_path / "relay.key").chmod(0o644)
    [line] = inspect_with(TLS).problems
    assert line.endswith("every user of this machine may read or change relay.key (chmod 600 relay.key)")


def test_whoever_may_not_look_at_the_keys_is_told_so(inspect_with: Inspect) -> None:
    """An administrator who calls a command as another user reads a sentence, not of a fault."""
    inspect_with()
    text, own = Path("relay.toml").read_text(), os.geteuid()
    Path("keys").chmod(0)
    os.seteuid(own or pwd.getpwnam("nobody").pw_uid)
    try:
        problems = inspect(Path("relay.toml"), text).problems
    finally:
        os.seteuid(own)
        Path("keys").chmod(0o700)
    [line] = [problem for problem in problems if "keys.folder" in problem]
    assert "keys cannot be opened (Permission denied) (call letterlock as the gateway's user" in line


def test_a_key_with_a_password_is_refused(tmp_path: Path, inspect_with: Inspect) -> None:
    """A daemon has nobody to ask for a password."""
    issue(tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "relay.key").write_bytes(pem)
    [line] = inspect_with(TLS).problems
    assert line.endswith("relay.key is protected with a password: the gateway cannot ask for it")


def test_a_signing_key_that_others_may_read_is_refused(tmp_path: Path, inspect_with: Inspect) -> None:
    """A DKIM key is for the gateway's user alone: not even a group may read it."""
    inspect_with()
    (tmp_path / "dkim.pem").chmod(0o640)
    [line] = inspect(Path("relay.toml")).problems
    assert line.startswith("relay.toml:29:7: dkim[0].key: dkim.pem may be read or changed by other users")
    assert line.endswith("(chmod 600 dkim.pem)")


def test_a_domain_with_an_ed25519_key_alone_is_doubted(tmp_path: Path, inspect_with: Inspect) -> None:
    """Many receivers cannot check Ed25519; together with an RSA key it is welcome."""
    inspect_with()
    key = Ed25519PrivateKey.generate()
    (tmp_path / "ed.pem").touch(0o600)
    (tmp_path / "ed.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    [line] = inspect_with(('key = "dkim.pem"', 'key = "ed.pem"')).warnings
    assert line.startswith("relay.toml:29:7: dkim[0].key: all keys for letter.example.org are Ed25519 (")
    second = '[[dkim]]\ndomain = "letter.example.org"\nselector = "s2"\nkey = "ed.pem"'
    assert inspect_with(('key = "dkim.pem"', f'key = "dkim.pem"\n{second}')).warnings == ()
