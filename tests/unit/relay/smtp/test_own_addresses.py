from ipaddress import ip_network
from pathlib import Path

import pytest

from relay.message.secret_address import AddressKind, SecretAddress
from relay.queue.return_path import ReturnPaths
from relay.smtp import replies
from relay.smtp.access import Access
from relay.smtp.own_addresses import OwnAddresses
from relay.smtp.values import ClientFacts, Reply
from relay.vault.keyring import Keyring

DOMAIN = "letter.example.org"
STRANGER = ClientFacts("192.0.2.1", 25)
STAFF = ClientFacts("127.0.0.1", 25, trusted=True)
ID = b"m" * 16


@pytest.fixture
def returns(tmp_path: Path) -> ReturnPaths:
    """Bounce addresses under real keys."""
    Keyring.create(tmp_path / "keys")
    return ReturnPaths(Keyring.open(tmp_path / "keys", role="relay"), DOMAIN)


@pytest.fixture
def access(returns: ReturnPaths) -> Access:
    return Access((ip_network("127.0.0.0/8"),), own=OwnAddresses(DOMAIN, returns.genuine))


def test_a_bounce_address_of_ours_is_open_to_the_world(access: Access, returns: ReturnPaths) -> None:
    """A server that nobody knows may report about a mail that it got from us."""
    assert access.refusal(STRANGER, returns.of(ID)) is None
    assert access.refusal(STAFF, returns.of(ID)) is None


def test_a_made_up_bounce_address_is_refused_to_everybody(access: Access, returns: ReturnPaths) -> None:
    """The tag of one message opens no other, and no tag at all opens none."""
    right, other = (returns.of(one).partition("@")[0].split(".") for one in (ID, b"n" * 16))
    for identifier, tag in ((right[1], other[2]), (other[1], right[2]), (right[1], "a" * 32)):
        made_up = f"b.{identifier}.{tag}@{DOMAIN}"
        assert access.refusal(STRANGER, made_up) == replies.NO_SUCH_ADDRESS
        assert access.refusal(STAFF, made_up) == replies.NO_SUCH_ADDRESS


@pytest.mark.parametrize(
    ("address", "stranger", "staff"),
    [
        (SecretAddress(AddressKind.READER, ID, bytes(20)).write(DOMAIN), replies.STAFF_ONLY, None),
        (SecretAddress(AddressKind.CONTROL, ID, bytes(20)).write(DOMAIN), replies.STAFF_ONLY, None),
        (f"abuse@{DOMAIN}", None, None),
        (f"ABUSE@{DOMAIN.upper()}", None, None),
        (f"jane@{DOMAIN}", replies.NO_SUCH_ADDRESS, replies.NO_SUCH_ADDRESS),
        ("postmaster@example.org", replies.RELAYING_DENIED, None),
        ("jane@example.net", replies.RELAYING_DENIED, None),
    ],
)
def test_who_may_write_where(access: Access, address: str, stranger: Reply | None, staff: Reply | None) -> None:
    """Reader and control addresses are for staff, the two roles for everybody, other domains as ever."""
    assert access.refusal(STRANGER, address) == stranger
    assert access.refusal(STAFF, address) == staff
