"""Addresses that carry a secret."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.secret_address import AddressKind, SecretAddress, read_secret_address

DOMAIN = "letter.example.org"


@given(st.sampled_from(AddressKind), st.binary(min_size=16, max_size=16), st.binary(min_size=20, max_size=20))
def test_what_was_written_is_read(kind: AddressKind, identifier: bytes, secret: bytes) -> None:
    """Every address reads back, in any case, and its local part fits RFC 5321."""
    address = SecretAddress(kind, identifier, secret)
    text = address.write(DOMAIN)
    assert len(text.partition("@")[0]) == 61
    assert read_secret_address(text, DOMAIN) == address
    assert read_secret_address(text.upper(), DOMAIN) == address


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("@", "@x."),
        lambda text: text.replace("r.", "x.", 1),
        lambda text: "r" + text[2:],
        lambda text: text.replace("@", "a@"),
        lambda text: "x" + text,
        lambda text: text.partition("@")[0],
        lambda text: text.replace("@", "\u0131@"),
        lambda _text: "",
    ],
)
def test_anything_else_is_none(change: object) -> None:
    """An address of another domain, kind, length or spelling is not one of these."""
    text = SecretAddress(AddressKind.READER, bytes(16), bytes(20)).write(DOMAIN)
    assert callable(change)
    assert read_secret_address(change(text), DOMAIN) is None


def test_one_address_has_one_spelling() -> None:
    """The bits that base32 leaves over must be zero."""
    text = SecretAddress(AddressKind.READER, bytes(16), bytes(20)).write(DOMAIN)
    assert read_secret_address(text.replace("a.a", "b.a", 1), DOMAIN) is None


def test_secret_is_not_in_the_representation() -> None:
    """A logged address shows no secret, and a wrong length is refused."""
    secret = secrets.token_bytes(20)
    assert repr(secret) not in repr(SecretAddress(AddressKind.CONTROL, bytes(16), secret))
    with pytest.raises(ValueError, match="16 octets"):
        SecretAddress(AddressKind.CONTROL, bytes(15), secret).write(DOMAIN)
