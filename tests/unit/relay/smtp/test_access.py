"""Who may send, and how much."""

from ipaddress import ip_network

import pytest

from relay.smtp import replies
from relay.smtp.access import Access, Occupancy, client_address, client_network
from relay.smtp.values import ClientFacts


def test_addresses_are_canonical() -> None:
    """IPv4 inside IPv6 is IPv4, zone ids go, IPv6 is in its short form."""
    assert client_address(("::ffff:192.0.2.1", 25, 0, 0)) == ("192.0.2.1", 25)
    assert client_address(("fe80::1%eth0", 25, 0, 2)) == ("fe80::1", 25)
    assert client_address(("2001:db8:0:0::1", 25, 0, 0)) == ("2001:db8::1", 25)
    for gone in (None, "", ()):
        with pytest.raises(ValueError, match="no address"):
            client_address(gone)


def test_logs_and_counters_see_networks() -> None:
    """A client is shown as its IPv4 /24 or IPv6 /64."""
    assert client_network("192.0.2.77") == "192.0.2.0/24"
    assert client_network("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"


def test_trust() -> None:
    """Only addresses within the named networks are trusted, each in its own family."""
    access = Access(tuple(map(ip_network, ["10.0.0.0/8", "192.0.2.128/25", "2001:db8:1::/48"])))
    assert all(map(access.trusts, ["10.1.2.3", "192.0.2.128", "2001:db8:1:ffff::1"]))
    assert not any(map(access.trusts, ["11.0.0.1", "192.0.2.127", "2001:db8:2::1", "::a00:1"]))
    assert not Access().trusts("127.0.0.1")


def test_refusal() -> None:
    """Trusted and signed-in clients may send; all others hear 550 5.7.1."""
    access = Access()
    assert access.refusal(ClientFacts("192.0.2.1", 1), "ann@example.net") == replies.RELAYING_DENIED
    assert access.refusal(ClientFacts("192.0.2.1", 1, trusted=True), "ann@example.net") is None
    assert access.refusal(ClientFacts("192.0.2.1", 1, authenticated="ann"), "ann@example.net") is None


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "64.0.0.0/3", "2000::/3"])
def test_the_public_internet_cannot_be_trusted(text: str) -> None:
    """A network wider than any organisation's is refused: it would be an open relay."""
    with pytest.raises(ValueError, match="too wide"):
        Access((ip_network(text),))


def test_connections_are_counted() -> None:
    """Per client (an IPv6 /64 is one client) and in total; leaving makes room."""
    occupancy = Occupancy(connections=4, per_client=2)
    assert occupancy.enter("2001:db8::1") is None
    assert occupancy.enter("2001:db8::2") is None
    assert occupancy.enter("2001:db8::3") == replies.TOO_MANY_OF_YOURS
    assert occupancy.enter("192.0.2.1") is None
    assert occupancy.enter("192.0.2.2") is None
    assert occupancy.enter("192.0.2.3") == replies.TOO_MANY_CONNECTIONS
    assert occupancy.connections == 4
    occupancy.leave("2001:db8::1")
    assert occupancy.enter("2001:db8::9") is None


def test_strangers_leave_room_for_staff() -> None:
    """Of connections and of memory they get a part, together; what they give back they may have again."""
    occupancy = Occupancy(connections=4, per_client=9, memory=100)
    assert [occupancy.enter(f"192.0.2.{n}", stranger=True) for n in range(4)] == [None] * 3 + [
        replies.TOO_MANY_CONNECTIONS
    ]
    assert occupancy.enter("10.0.0.1") is None
    strangers = occupancy.strangers
    assert [strangers.take(20), strangers.take(6), occupancy.take(80)] == [True, False, True]
    strangers.give_back(20)
    assert strangers.take(20)
    assert occupancy.memory_left == 0
    strangers.give_back(20)
    assert occupancy.take(20)
    assert not strangers.take(1)
