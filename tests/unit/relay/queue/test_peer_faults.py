"""What else a next hop can do: every code at every verb, a crawl, a flood, faults of kept and of several connections.

The ordinary faults stand in test_transport.py and test_tls.py, those of the DNS in test_mx.py; docs/threats.md, R6, has
the list. `make drill` takes every code from 400 to 599 instead of those that servers are known to send.
"""

import asyncio
import os
from collections.abc import Iterable
from typing import Any

import pytest

from relay.queue.content import MemoryContent
from relay.queue.outcomes import Deferred, Delivered, Failed
from relay.queue.patience import Patience
from relay.queue.routes import Route, TlsMode
from relay.queue.transaction import Path, Transaction
from relay.queue.transport import Transport
from tests.unit.relay.queue.nexthop import DROP, SILENCE, NextHop

QUICK = Patience(connect=1, greeting=1, command=1, final=1, transaction=5, goodbye=1)
PLAIN = ("8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN")
KNOWN = (400, 420, 421, 422, 431, 432, 441, 442, 446, 447, 449, 450, 451, 452, 454, 455, 458, 471)
KNOWN_NEVER = (500, 501, 502, 503, 504, 510, 511, 512, 513, 521, 523, 530, 535, 541, 550, 551, 552, 553, 554, 555, 556)
CODES: Iterable[int] = range(400, 600) if os.environ.get("LETTERLOCK_DRILL") else (*KNOWN, *KNOWN_NEVER)


def letter(*addresses: str) -> Transaction:
    paths = tuple(map(Path, addresses or ("ann@example.net",)))
    return Transaction("bob@example.org", paths, MemoryContent(b"Subject: hello\r\n\r\nDear Ann\r\n"))


def route(*hops: NextHop) -> Route:
    return Route("outside", tuple(hop.endpoint for hop in hops), TlsMode.NONE)


def transport(**more: Any) -> Transport:
    return Transport(ehlo_name="gw.example.org", **{"patience": QUICK, **more})


def meant(code: int, verb: str) -> type:
    """Return what a code means at a verb: 4xx is for now, 5xx for good, but for what speaks of us or of too many."""
    if code < 500 or (code == 530 and verb != ".") or (code, verb) == (552, "RCPT"):
        return Deferred
    return Failed


@pytest.mark.parametrize("offers", [("PIPELINING", *PLAIN), PLAIN], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_every_code_at_every_verb(offers: tuple[str, ...], verb: str) -> None:
    """Each code has its meaning wherever it comes, the server's words are kept, and the next message still arrives."""

    async def work() -> None:
        async with NextHop(offers=offers) as hop:
            client = transport(monotonic=iter(range(0, 10**9, 60)).__next__)  # a hop that was avoided is tried again
            for code in CODES:
                hop.answers = {verb: f"{code} {str(code)[0]}.7.{code} thus"}
                (outcome,) = await client.send(route(hop), letter())
                assert type(outcome) is meant(code, verb), code
                assert (outcome.answer.code, outcome.answer.text) == (code, "thus")
                assert hop.taken == []
            hop.answers = {}
            assert isinstance((await client.send(route(hop), letter()))[0], Delivered)
            await client.close()

    asyncio.run(work())


@pytest.mark.parametrize("answer", ["421 4.3.2 closing", "451 4.3.0 no", "550 5.0.0 no", DROP, SILENCE])
def test_rset_on_a_kept_connection(answer: str) -> None:
    """Whatever is said to RSET, the message that follows gets through: on this connection or on a new one."""

    async def work() -> None:
        async with NextHop({"RCPT TO:<BEN@": "550 no", "RSET": answer}) as hop:
            client = transport(patience=Patience(command=0.1, final=1, goodbye=0.1))
            assert isinstance((await client.send(route(hop), letter("ben@example.net")))[0], Failed)
            assert isinstance((await client.send(route(hop), letter()))[0], Delivered)
            await client.close()
            assert len(hop.taken) == 1

    asyncio.run(work())


def test_answers_that_crawl() -> None:
    """One octet at a time is slow and no fault: the message arrives, and its reply is whole."""

    async def work() -> None:
        async with NextHop(pause=0) as hop:
            client = transport()
            (outcome,) = await client.send(route(hop), letter())
            assert isinstance(outcome, Delivered)
            assert outcome.answer.text == "taken"
            await client.close()

    asyncio.run(work())


@pytest.mark.parametrize("patience", [Patience(greeting=0.05), Patience(greeting=5, command=0.05)])
def test_answers_that_crawl_for_ever(patience: Patience) -> None:
    """A reply has its time as a whole: octets that keep coming do not lengthen it."""

    async def work() -> None:
        async with NextHop({"EHLO": "250 " + "x" * 10_000}, pause=0.01) as hop:
            (outcome,) = await transport(patience=patience).send(route(hop), letter())
            assert isinstance(outcome, Deferred)
            assert "timed out" in outcome.answer.text

    asyncio.run(work())


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_ten_megabytes_of_reply(verb: str) -> None:
    """A line without end is cut off after 32 KiB, at every stage: deferred, and next to nothing of it was taken in."""

    async def work() -> None:
        async with NextHop({verb: "250" + "x" * (10 << 20)}) as hop:
            (outcome,) = await transport().send(route(hop), letter())
            assert isinstance(outcome, Deferred)
            assert len(outcome.answer.text) <= 500

    asyncio.run(work())


@pytest.mark.parametrize("greeting", ["", "hello", "220", "250 hop.test", "999 hop.test", "220 hop.test\r\n220 again"])
def test_odd_greetings(greeting: str) -> None:
    """Only 220 opens a session (RFC 5321 section 3.1); a bare one counts, everything else puts the message off."""

    async def work() -> None:
        async with NextHop({"GREETING": greeting} if greeting else {"GREETING": "\r\n"}) as hop:
            (outcome,) = await transport().send(route(hop), letter())
            assert type(outcome) is (Delivered if greeting == "220" else Deferred)

    asyncio.run(work())


@pytest.mark.parametrize("fate", ["550 5.1.1 no", "450 4.2.1 later"])
def test_what_one_host_has_decided_is_not_asked_of_another(fate: str) -> None:
    """A host that refused a recipient has decided; the next one of the route is for hosts that cannot be used."""

    async def work() -> None:
        async with NextHop({"RCPT TO:<BEN@": fate}) as first, NextHop() as second:
            client = transport()
            outcomes = await client.send(route(first, second), letter("ann@example.net", "ben@example.net"))
            await client.close()
            assert [type(one) for one in outcomes] == [Delivered, Failed if fate[0] == "5" else Deferred]
            assert second.connections == 0

    asyncio.run(work())


@pytest.mark.parametrize("verb", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fate", [DROP, "421 4.3.2 closing", "nonsense"])
def test_the_next_host_takes_over(verb: str, fate: str) -> None:
    """Whatever breaks before anything was decided, the next host of the route gets the message in the same attempt."""

    async def work() -> None:
        async with NextHop({verb: fate}) as first, NextHop() as second:
            client = transport()
            (outcome,) = await client.send(route(first, second), letter())
            await client.close()
            assert isinstance(outcome, Delivered)
            assert (len(first.taken), len(second.taken)) == (0, 1)

    asyncio.run(work())


def test_a_host_that_lacks_what_a_message_needs_is_passed_over() -> None:
    """SIZE too small at the first host: the second one gets it; too small at both: 5.3.4."""

    async def work() -> None:
        async with NextHop(offers=("SIZE 10",)) as first, NextHop() as second:
            client = transport()
            assert isinstance((await client.send(route(first, second), letter()))[0], Delivered)
            (outcome,) = await client.send(route(first), letter())
            await client.close()
            assert isinstance(outcome, Failed)
            assert outcome.answer.enhanced == "5.3.4"
            assert first.connections == 1

    asyncio.run(work())


def test_nobody_waits_for_the_same_disappointment() -> None:
    """Twenty messages for a host that never greets: two find out, the others are put off with them."""

    async def work() -> None:
        async with NextHop({"GREETING": SILENCE}) as hop:
            client = transport(connections=2, patience=Patience(greeting=0.2))
            outcomes = await asyncio.gather(*(client.send(route(hop), letter()) for _ in range(20)))
            assert {type(one) for (one,) in outcomes} == {Deferred}
            assert hop.connections == 2

    asyncio.run(work())
