"""Where mail for a domain goes, asked of a real name server on loopback (RFC 5321 section 5.1, RFC 7505)."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import dns.name
import pytest

from relay.config.values import Endpoint
from relay.dns.destination import MOST_HOSTS, Destination, Directory, Host, NoDestination, of_this_machine
from tests.nameserver import NameServer, name_server, silent_port

OWN = "192.0.2.99"


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    """One name server for all tests of this module; each publishes names of its own."""
    with name_server() as known:
        known.publish(f"gw.example.org. IN A {OWN}")
        yield known


def directory(server: NameServer, *, ours: Callable[[str], bool] = lambda _: False, **more: Any) -> Directory:
    return Directory("gw.example.org", server=Endpoint(host="127.0.0.1", port=server.port), ours=ours, **more)


def found(server: NameServer, domain: str, **more: Any) -> Destination | NoDestination:
    return asyncio.run(directory(server, **more).find(domain))


def names(answer: Destination | NoDestination) -> list[list[str]]:
    assert isinstance(answer, Destination)
    return [sorted(host.name for host in tier) for tier in answer.tiers]


def test_exchangers_stand_in_the_order_of_their_preference(server: NameServer) -> None:
    """The lowest preference first, equals together, each host with its addresses, IPv6 and IPv4 in turn."""
    server.publish(
        "order.test. IN MX 20 c.order.test.",
        "order.test. IN MX 10 a.order.test.",
        "order.test. IN MX 10 B.order.test.",
        "a.order.test. IN A 192.0.2.1",
        "a.order.test. IN A 192.0.2.2",
        "a.order.test. IN AAAA 2001:db8::1",
        "b.order.test. IN A 192.0.2.3",
        "c.order.test. IN A 192.0.2.4",
    )
    answer = found(server, "order.test")
    assert names(answer) == [["a.order.test", "b.order.test"], ["c.order.test"]]
    assert isinstance(answer, Destination)
    (first,) = (host for host in answer.tiers[0] if host.name == "a.order.test")
    assert first.addresses[0] == "2001:db8::1"
    assert sorted(first.addresses[1:]) == ["192.0.2.1", "192.0.2.2"]


def test_equals_are_tried_in_any_order_but_never_before_the_preferred() -> None:
    """Among equals chance decides anew for each message (RFC 5321 section 5.1); a backup never comes first."""
    hosts = [Host(f"{name}.test", ("192.0.2.1",)) for name in "abcd"]
    answer = Destination((tuple(hosts[:3]), (hosts[3],)))
    drawn = {tuple(host.name for host in answer.in_order()) for _ in range(200)}
    assert len(drawn) == 6
    assert all(order[-1] == "d.test" for order in drawn)


def test_a_domain_without_mx_is_its_own_exchanger(server: NameServer) -> None:
    """No MX record: the address of the domain itself."""
    server.publish("plain.test. IN A 192.0.2.5")
    assert names(found(server, "plain.test")) == [["plain.test"]]


def test_aliases_are_followed(server: NameServer) -> None:
    """A domain that is an alias, and an exchanger that is one although RFC 2181 forbids it, are reached all the same."""
    server.publish(
        "alias.test. IN CNAME real.test.",
        "real.test. IN A 192.0.2.6",
        "odd.test. IN MX 10 mail.odd.test.",
        "mail.odd.test. IN CNAME real.test.",
    )
    assert names(found(server, "alias.test")) == [["alias.test"]]
    answer = found(server, "odd.test")
    assert isinstance(answer, Destination)
    assert answer.tiers == ((Host("mail.odd.test", ("192.0.2.6",)),),)


@pytest.mark.parametrize(
    ("records", "status", "words"),
    [
        ([], "5.1.2", "does not exist"),
        (["{} IN TXT x"], "5.1.2", "neither a mail server nor an address"),
        (["{} IN MX 0 ."], "5.1.10", "null MX"),
        (["{} IN MX 10 gone.invalid."], "5.4.4", "no mail server"),
        (["{} IN MX 10 fails.test."], "4.4.3", "DNS servers refuse"),
        (["{} IN MX 10 gone.invalid.", "{} IN MX 20 fails.test."], "4.4.3", "addresses of the mail servers"),
        (["{} IN A 224.0.0.1"], "5.1.2", "nor an address"),
    ],
    ids=["NXDOMAIN", "nothing", "null MX", "no addresses", "SERVFAIL", "partly SERVFAIL", "multicast"],
)
def test_why_there_is_no_way(server: NameServer, records: list[str], status: str, words: str) -> None:
    """What cannot change by waiting fails at once; what nobody could answer is put off."""
    domain = f"{words.replace(' ', '-').lower()}.test"
    server.publish(*(line.format(f"{domain}.") for line in records))
    server.failing.add(dns.name.from_text("fails.test."))
    answer = found(server, domain)
    assert isinstance(answer, NoDestination)
    assert answer.enhanced == status
    assert words in answer.text


def test_a_null_mx_among_others_does_not_count(server: NameServer) -> None:
    """RFC 7505 section 3 allows a null MX only alone; where there is a real exchanger, that one is used."""
    server.publish("mixed.test. IN MX 0 .", "mixed.test. IN MX 10 a.mixed.test.", "a.mixed.test. IN A 192.0.2.7")
    assert names(found(server, "mixed.test")) == [["a.mixed.test"]]


def test_a_failing_server_defers(server: NameServer) -> None:
    """SERVFAIL for the domain itself says nothing about the domain."""
    server.failing.add(dns.name.from_text("broken.test."))
    answer = found(server, "broken.test")
    assert isinstance(answer, NoDestination)
    assert answer.enhanced == "4.4.3"


def test_a_silent_server_defers() -> None:
    """No answer within the patience: put off, and the sentence says why."""
    listening, port = silent_port()
    with listening:
        silent = Directory("gw.example.org", server=Endpoint(host="127.0.0.1", port=port), patience=0.3)
        answer = asyncio.run(silent.find("example.net"))
    assert isinstance(answer, NoDestination)
    assert (answer.enhanced, "do not answer" in answer.text) == ("4.4.3", True)


@pytest.mark.parametrize("how", ["name", "address of the name", "address of the machine"])
def test_no_mail_turns_in_circles(server: NameServer, how: str) -> None:
    """An exchanger that is ourselves is left out with all that are preferred no more; alone it means 5.4.6."""
    domain = f"{how.replace(' ', '-')}.test"
    own = {
        "name": "gw.example.org.",
        "address of the name": f"nat.{domain}.",
        "address of the machine": f"if.{domain}.",
    }[how]
    server.publish(
        f"{domain}. IN MX 10 better.{domain}.",
        f"{domain}. IN MX 20 {own}",
        f"{domain}. IN MX 20 equal.{domain}.",
        f"{domain}. IN MX 30 worse.{domain}.",
        f"only-us.{domain}. IN MX 10 {own}",
        f"only-us.{domain}. IN MX 20 worse.{domain}.",
        f"nat.{domain}. IN A {OWN}",
        f"if.{domain}. IN A 192.0.2.50",
        *(f"{name}.{domain}. IN A 192.0.2.8" for name in ("better", "equal", "worse")),
    )
    ours = {"192.0.2.50"}.__contains__
    assert names(found(server, domain, ours=ours)) == [[f"better.{domain}"]]
    answer = found(server, f"only-us.{domain}", ours=ours)
    assert isinstance(answer, NoDestination)
    assert answer.enhanced == "5.4.6"


def test_addresses_of_this_machine_are_recognised() -> None:
    """Loopback is ours in every spelling, a documentation address is not; nothing is sent to find out."""
    assert of_this_machine("127.0.0.7")
    assert of_this_machine("::1")
    assert not of_this_machine("192.0.2.1")


@pytest.mark.parametrize(("domain", "address"), [("[192.0.2.1]", "192.0.2.1"), ("[IPv6:2001:db8::1]", "2001:db8::1")])
def test_an_address_literal_needs_no_dns(domain: str, address: str) -> None:
    """RFC 5321 section 4.1.3: mail for a literal goes to that address; our own, or none, is refused."""
    nobody = Directory("gw.example.org", server=Endpoint(host="127.0.0.1", port=1), ours=lambda _: False)
    answer = asyncio.run(nobody.find(domain))
    assert answer == Destination(((Host(domain, (address,)),),))
    for refused in ("[127.0.0.1]", "[0.0.0.0]", "[IPv6:::ffff:127.0.0.1]"):
        here = asyncio.run(Directory("gw.example.org").find(refused))
        assert isinstance(here, NoDestination)
        assert here.enhanced[0] == "5"


def test_a_name_in_unicode_is_asked_for_in_its_ascii_form(server: NameServer) -> None:
    """The DNS knows A-labels only (RFC 5891); what has none is no domain."""
    server.publish("xn--bcher-kva.test. IN A 192.0.2.9")
    assert isinstance(found(server, "bücher.test"), Destination)
    assert isinstance(found(server, "a\N{SOFT HYPHEN}..test"), NoDestination)


def test_a_domain_with_too_many_exchangers_is_not_asked_for_all(server: NameServer) -> None:
    """Only the preferred ones are looked at: nobody makes us ask a thousand questions."""
    server.publish(*(f"many.test. IN MX {number} m{number}.many.test." for number in range(40)))
    server.publish(*(f"m{number}.many.test. IN A 192.0.2.10" for number in range(40)))
    assert len(names(found(server, "many.test"))) == MOST_HOSTS


def test_answers_are_kept_for_their_time_and_shared(server: NameServer) -> None:
    """Many messages at once ask once; an answer holds as long as its time to live, at most five minutes."""
    server.publish("kept.test. IN MX 10 old.kept.test.", "old.kept.test. IN A 192.0.2.11")
    seconds = 0.0

    async def work() -> None:
        nonlocal seconds
        known = Directory(
            "gw.example.org",
            server=Endpoint(host="127.0.0.1", port=server.port),
            ours=lambda _: False,
            monotonic=lambda: seconds,
        )
        both = await asyncio.gather(known.find("kept.test"), known.find("kept.test"))
        assert both[0] is both[1]
        server.withdraw("kept.test.", "MX")
        server.publish("kept.test. IN MX 10 new.kept.test.", "new.kept.test. IN A 192.0.2.12")
        seconds = 59
        assert names(await known.find("kept.test")) == [["old.kept.test"]]
        seconds = 61
        assert names(await known.find("kept.test")) == [["new.kept.test"]]

    asyncio.run(work())
