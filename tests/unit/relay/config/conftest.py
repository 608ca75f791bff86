from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from relay.config import Inspection, inspect

SOUND = """
[organisation]
name = "Example Council"
domains = ["example.org"]
contact = "Help desk"
[gateway]
domain = "letter.example.org"
workers = 2
[keys]
folder = "keys"
# it holds public/recovery.pub
[listen.submission]
address = "127.0.0.1:2525"
[route.inside]
hosts = ["127.0.0.1:2526"]
[route.outside]
hosts = ["127.0.0.1:2526"]
[portal]
base_url = "https://letter.example.org"
listen = "127.0.0.1:8080"
[[rules]]
name = "nhs-numbers"
because = "the message contains an NHS number"
when = { identifier = "nhs" }
action = "seal"
[[dkim]]
domain = "letter.example.org"
selector = "s1"
key = "dkim.pem"
"""

Inspect = Callable[..., Inspection]


@pytest.fixture(scope="session")
def signing_key() -> bytes:
    """Make one RSA key for all tests."""
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def inspect_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signing_key: bytes) -> Inspect:
    """Return a function that inspects a sound configuration after replacing texts in it."""
    (tmp_path / "keys" / "public").mkdir(parents=True)
    (tmp_path / "keys" / "public" / "recovery.pub").write_text("public")
    (tmp_path / "dkim.pem").touch(0o600)
    (tmp_path / "dkim.pem").write_bytes(signing_key)
    monkeypatch.chdir(tmp_path)

    def run(*changes: tuple[str, str]) -> Inspection:
        text = SOUND
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        Path("relay.toml").write_text(text, encoding="utf-8")
        return inspect(Path("relay.toml"))

    return run
