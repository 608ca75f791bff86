"""Delivery by MX: a real name server, and real mail servers at several loopback addresses that share one port."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import dns.name
import pytest
import trustme

from relay.config.values import Endpoint
from relay.dns.destination import Directory, Host
from relay.queue import destinations
from relay.queue.content import MemoryContent
from relay.queue.exchangers import Exchangers
from relay.queue.outcomes import Deferred, Delivered, Failed, Outcome
from relay.queue.patience import Patience
from relay.queue.routes import Route, Routes, TlsMode
from relay.queue.transaction import Path, Transaction
from relay.queue.transport import Transport
from tests.nameserver import NameServer, name_server
from tests.unit.relay.queue.nexthop import ALL, DROP, SILENCE, NextHop
from tests.unit.relay.queue.yard import LADDER, PATIENCE, Yard, until

LETTER = b"Subject: hello\r\n\r\nDear Ann\r\n"
QUICK = Patience(connect=1, greeting=1, command=1, final=1, transaction=5, goodbye=1)
BY_MX = Route("outside", (), TlsMode.OPPORTUNISTIC, mx=True)


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    """One name server for all tests; ``mN.test`` is the mail server at 127.0.0.N."""
    with name_server() as known:
        known.publish(*(f"m{number}.test. IN A 127.0.0.{number}" for number in range(2, 10)))
        yield known


@asynccontextmanager
async def at(*numbers: int, hops: dict[int, NextHop] | None = None) -> AsyncIterator[tuple[NextHop, ...]]:
    """Open mail servers at 127.0.0.N, all at one port: those in ``hops``, or ordinary ones."""
    async with AsyncExitStack() as stack:
        opened: list[NextHop] = []
        for number in numbers:
            hop = (hops or {}).get(number) or NextHop()
            hop.address, hop.port = f"127.0.0.{number}", opened[0].port if opened else 0
            opened.append(await stack.enter_async_context(hop))
        yield tuple(opened)


def exchangers(server: NameServer, port: int) -> Exchangers:
    def in_the_order_of_their_names(hosts: list[Host]) -> None:
        hosts.sort(key=lambda host: host.name)

    known = Directory(
        "gw.example.org", server=Endpoint(host="127.0.0.1", port=server.port), ours="127.0.0.9".__eq__, patience=2
    )
    return Exchangers(known, port=port, shuffle=in_the_order_of_their_names)


def transport(server: NameServer, hop: NextHop, **more: Any) -> Transport:
    return Transport(
        ehlo_name="gw.example.org", exchangers=exchangers(server, hop.port), **({"patience": QUICK} | more)
    )


def letter(*addresses: str, content: bytes = LETTER, **more: Any) -> Transaction:
    return Transaction("bob@example.org", tuple(map(Path, addresses)), MemoryContent(content), **more)


def test_the_preferred_exchanger_gets_the_mail_and_its_backup_when_it_is_down(server: NameServer) -> None:
    """Preference decides; a host that does not answer at one address is tried at its next, then the next host."""
    server.publish(
        "pref.test. IN MX 20 m3.test.",
        "pref.test. IN MX 10 two.pref.test.",
        "two.pref.test. IN A 127.0.0.8",  # where nobody listens
        "two.pref.test. IN A 127.0.0.2",
    )

    async def work() -> None:
        async with at(2, 3) as (preferred, backup):
            client = transport(server, preferred)
            (first,) = await client.send(BY_MX, letter("ann@pref.test"))
            await preferred.close()
            (second,) = await client.send(BY_MX, letter("ann@pref.test"))
            await client.close()
            assert (len(preferred.taken), len(backup.taken)) == (1, 1)
            assert isinstance(first, Delivered)
            assert first.answer.next_hop == f"two.pref.test[127.0.0.2]:{preferred.port}"
            assert second.answer.next_hop.startswith("m3.test[127.0.0.3]")

    asyncio.run(work())


def test_each_domain_goes_its_own_way(server: NameServer) -> None:
    """Of one message, each recipient has the outcome of its own domain; those of one domain travel together."""
    server.publish("a.ways.test. IN MX 10 m2.test.", "b.ways.test. IN MX 10 m3.test.", "null.ways.test. IN MX 0 .")
    server.publish("us.ways.test. IN A 127.0.0.9")

    async def work() -> None:
        async with at(2, 3) as (a, b):
            client = transport(server, a)
            addresses = ("1@a.ways.test", "2@null.ways.test", "3@b.ways.test", "4@a.ways.test", "5@us.ways.test")
            outcomes = await client.send(BY_MX, letter(*addresses))
            await client.close()
            kinds = [type(one) for one in outcomes]
            assert kinds == [Delivered, Failed, Delivered, Delivered, Failed]
            assert [one.answer.enhanced for one in outcomes if isinstance(one, Failed)] == ["5.1.10", "5.4.6"]
            assert [command.split("<")[1].split("@")[0] for command in a.taken[0].commands[1:]] == ["1", "4"]
            assert len(b.taken) == 1

    asyncio.run(work())


@pytest.mark.parametrize(
    ("domain", "kind"), [("nowhere.invalid", Failed), ("servfail.test", Deferred), ("no-route.test", Deferred)]
)
def test_what_the_dns_cannot_say_is_put_off(server: NameServer, domain: str, kind: type) -> None:
    """NXDOMAIN fails; SERVFAIL, and hosts of which none answers, wait."""
    server.publish("no-route.test. IN A 127.0.0.8")
    server.failing.add(dns.name.from_text("servfail.test."))

    async def work() -> Outcome:
        async with at(2) as (hop,):
            (outcome,) = await transport(server, hop).send(BY_MX, letter(f"ann@{domain}"))
            return outcome

    assert isinstance(asyncio.run(work()), kind)


def test_connections_to_a_mail_server_are_kept_and_forgotten(server: NameServer) -> None:
    """Two messages for two domains of one mail server: one connection; after its time nothing is remembered of it."""
    server.publish("one.kept.test. IN MX 10 m2.test.", "two.kept.test. IN MX 10 m2.test.")
    seconds = 0.0

    async def work() -> None:
        nonlocal seconds
        async with at(2) as (hop,):
            client = transport(server, hop, monotonic=lambda: seconds)
            for domain in ("one", "two", "one"):
                await client.send(BY_MX, letter(f"ann@{domain}.kept.test"))
            assert (hop.connections, len(hop.taken)) == (1, 3)
            seconds = 11
            client.tidy()
            client.tidy()
            assert client._pools == {}
            await until(lambda: hop.seen[-1] == "QUIT")
            await client.close()

    asyncio.run(work())


@pytest.mark.parametrize(("name", "kind"), [("m2.test", Delivered), ("other.test", Deferred)])
def test_required_tls_means_the_name_of_the_exchanger(server: NameServer, name: str, kind: type) -> None:
    """With tls = required the certificate must hold the name in the MX record; the address in it would prove nothing."""
    server.publish("tls.test. IN MX 10 m2.test.")
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(serving)
    asked: list[str | None] = []
    serving.sni_callback = lambda _socket, wanted, _context: asked.append(wanted)
    verifying = ssl.create_default_context()
    authority.configure_trust(verifying)

    async def work() -> Outcome:
        async with at(2, hops={2: NextHop(offers=(*ALL, "STARTTLS"), tls=serving)}) as (hop,):
            client = transport(server, hop, verifying=verifying)
            route = Route("outside", (), TlsMode.REQUIRED, mx=True)
            (outcome,) = await client.send(route, letter("ann@tls.test"))
            await client.close()
            return outcome

    assert isinstance(asyncio.run(work()), kind)
    assert asked == ["m2.test"]


PLAIN = ("PIPELINING", "SIZE 10000000", "DSN")


@pytest.mark.parametrize(
    ("backup", "kind"), [(NextHop(), Delivered), (NextHop(offers=PLAIN), Failed), (NextHop({"EHLO": DROP}), Deferred)]
)
def test_a_host_that_cannot_carry_a_message_is_passed_over(server: NameServer, backup: NextHop, kind: type) -> None:
    """8-bit mail goes to the host that takes it; it fails when none does, and waits while one cannot be asked."""
    server.publish("eight.test. IN MX 10 m2.test.", "eight.test. IN MX 20 m3.test.")
    content = "Subject: x\r\n\r\nGr\xfc\xdfe\r\n".encode("latin-1")

    async def work() -> Outcome:
        async with at(2, 3, hops={2: NextHop(offers=PLAIN), 3: backup}) as (hop, _):
            client = transport(server, hop)
            (outcome,) = await client.send(BY_MX, letter("ann@eight.test", content=content, eight_bit=True))
            await client.close()
            assert hop.taken == []
            return outcome

    outcome = asyncio.run(work())
    assert isinstance(outcome, kind)
    assert [mail.content for mail in backup.taken] == ([content] if kind is Delivered else [])


def test_an_address_beyond_ascii_takes_no_other_with_it(server: NameServer) -> None:
    """Without SMTPUTF8 at the mail server only the address that needs it fails, with 5.6.7; the others get the mail."""
    server.publish("utf8.test. IN MX 10 m2.test.")

    async def work() -> None:
        async with at(2, hops={2: NextHop(offers=PLAIN)}) as (hop,):
            client = transport(server, hop)
            outcomes = await client.send(BY_MX, letter("ann@utf8.test", "jürgen@utf8.test", "ben@utf8.test"))
            await client.close()
            assert [type(one) for one in outcomes] == [Delivered, Failed, Delivered]
            assert outcomes[1].answer.enhanced == "5.6.7"
            assert len(hop.taken) == 1

    asyncio.run(work())


def test_slow_destinations_delay_no_other(yard: Yard, server: NameServer) -> None:
    """Three domains that never answer, with more mail than anybody would hold in memory; another gets its mail at once."""
    slow = {number: NextHop({"GREETING": SILENCE}) for number in (2, 3, 4)}
    server.publish(*(f"slow{number}.test. IN MX 10 m{number}.test." for number in slow), "good.test. IN MX 1 m5.test.")
    for number in slow:
        for start in range(0, 60, 20):
            yard.queue(*(f"{each}@slow{number}.test" for each in range(start, start + 20)))
    yard.queue(*(f"{each}@good.test" for each in range(3)))

    async def work() -> None:
        async with at(2, 3, 4, 5, hops=slow) as hops:
            routes = Routes((BY_MX, Route("inside", (), TlsMode.NONE)), inside_domains=["example.org"])
            client = Transport(
                ehlo_name="gw.example.org", patience=PATIENCE, exchangers=exchangers(server, hops[0].port)
            )
            worker = yard.delivery(routes, transport=client, couriers=2)
            await worker.start()
            await until(lambda: yard.states().count("done") == 3)
            assert len(hops[3].taken) == 1
            assert all(hop.open_now <= 2 for hop in hops)
            await worker.stop(0.1)

    asyncio.run(work())
    assert set(yard.states()) == {"due", "done"}


def test_more_destinations_than_fit_in_memory(yard: Yard, server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays in the table is claimed as soon as there is room, without waiting for the next poll."""
    for name, value in {"MX_ENTRIES": 12, "PORTION": 4, "DESTINATION_ENTRIES": 3}.items():
        monkeypatch.setattr(destinations, name, value)
    server.publish(*(f"d{number}.many.test. IN MX 1 m2.test." for number in range(6)))
    for number in range(6):
        yard.queue(*(f"{each}@d{number}.many.test" for each in range(3)))
        yard.queue(*(f"{each}@d{number}.many.test" for each in range(3, 6)))

    async def work() -> None:
        async with at(2) as (hop,):
            routes = Routes((BY_MX,), inside_domains=["example.org"])
            client = transport(server, hop, patience=PATIENCE, connections=2)
            worker = yard.delivery(routes, transport=client, couriers=2, poll_seconds=60)
            await worker.start()
            await until(lambda: set(yard.states()) == {"done"})
            await worker.stop()
            assert hop.most_open <= 2

    asyncio.run(work())


def test_a_route_may_change_to_mx_and_back_while_it_works(yard: Yard, server: NameServer) -> None:
    """A renewed configuration counts from the next message on, also for what already waits in memory; nothing is lost."""
    server.publish("change.test. IN MX 1 m3.test.")

    def routes(*hosts: Endpoint) -> Routes:
        return Routes((Route("outside", hosts, TlsMode.NONE, mx=not hosts),), inside_domains=["example.org"])

    async def work() -> None:
        async with at(2, 3) as (smarthost, exchanger):
            found = exchangers(server, smarthost.port)
            worker = yard.delivery(routes(smarthost.endpoint), transport=transport(server, smarthost), couriers=1)
            await worker.start()
            for number, way in enumerate([routes(), routes(smarthost.endpoint), routes()]):
                for each in range(5):
                    yard.queue(f"{number}.{each}@change.test", "same@other.change.test")
                worker.renew(
                    routes=way,
                    ladder=LADDER,
                    reports=worker._recorder._reports,
                    ehlo_name="gw.example.org",
                    couriers=1,
                    patience=QUICK,
                    exchangers=found,
                )
            await until(lambda: all(row.state in {"done", "bounced"} for row in yard.entries()))
            yard.queue("last@change.test")
            await until(lambda: any("last@" in mail.commands[1] for mail in exchanger.taken))
            await worker.stop()

    server.publish("other.change.test. IN MX 1 m3.test.")
    asyncio.run(work())
    assert set(yard.states()) == {"done"}
