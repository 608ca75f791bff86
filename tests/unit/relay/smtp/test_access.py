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
    """A quarter of the connections is not for them; what they give back they may have again."""
    occupancy = Occupancy(connections=4, per_client=9)
    came = [occupancy.enter(f"192.0.{n}.1", stranger=True) for n in range(4)]
    assert came == [None] * 3 + [replies.TOO_MANY_CONNECTIONS]
    assert occupancy.enter("10.0.0.1") is None
    occupancy.leave("10.0.0.1")
    occupancy.leave("192.0.0.1", stranger=True)
    assert occupancy.enter("192.0.3.1", stranger=True) is None


@pytest.mark.parametrize(
    ("crowd", "other"), [("192.0.2.{}", "192.0.3.1"), ("2001:db8:7:{}::1", "2001:db8:8::1")], ids=["ipv4", "ipv6"]
)
def test_one_network_of_strangers_leaves_room_for_the_others(crowd: str, other: str) -> None:
    """A sixteenth of the connections for a /24 or a /48, whatever address in it; whom somebody vouches for is free."""
    occupancy = Occupancy(connections=64, per_client=4)
    addresses = [crowd.format(number) for number in range(1, 7)]
    assert [occupancy.enter(ip, stranger=True) for ip in addresses[:4]] == [None] * 4
    assert occupancy.enter(addresses[4], stranger=True) == replies.TOO_MANY_OF_YOURS
    assert occupancy.enter(other, stranger=True) is None
    assert occupancy.enter(addresses[4]) is None
    occupancy.vouch(addresses[0])
    assert occupancy.enter(addresses[5], stranger=True) is None
    occupancy.leave(addresses[0])
    assert occupancy.enter(addresses[0], stranger=True) == replies.TOO_MANY_OF_YOURS
    occupancy.leave(addresses[1], stranger=True)
    assert occupancy.enter(addresses[0], stranger=True) is None


def test_memory_for_strangers_is_a_part_and_that_of_a_network_a_part_of_it() -> None:
    """A quarter of the memory for all of them, a quarter of that for one network, however many messages it brings."""
    occupancy = Occupancy(memory=1600)
    crowd, again = occupancy.strangers("192.0.2.1"), occupancy.strangers("192.0.2.99")
    assert [crowd.left, crowd.take(60), again.left, again.take(50), again.take(40), crowd.left] == [
        100, True, 40, False, True, 0,
    ]  # fmt: skip
    others = [occupancy.strangers(f"192.0.{number}.1") for number in range(3, 7)]
    assert [one.take(100) for one in others] == [True, True, True, False]
    assert occupancy.memory.left == 1200
    assert occupancy.memory.take(1200)
    crowd.give_back(60)
    assert (again.left, others[3].left) == (60, 60)
    del crowd, again
    assert occupancy.strangers("192.0.2.1").left == 60
