"""A reader's answer that its next hop does not take: to the organisation's mailbox, and told on the reader's page."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from relay.queue.backoff import Ladder
from relay.queue.delivery import Delivery
from relay.queue.reply_state import ReplyProgress, ReplyState, reply_state
from relay.queue.reports import Reports
from relay.queue.routes import Route, Routes, TlsMode
from relay.queue.transport import Transport
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from tests.unit.relay.conversation.exchange import Exchange
from tests.unit.relay.conversation.office import ANNA, JANE
from tests.unit.relay.queue.nexthop import NextHop, Taken
from tests.unit.relay.queue.yard import PATIENCE, Clock, until

ENTRY = Entry.__table__  # type: ignore[attr-defined]
LADDER = Ladder((timedelta(hours=6),), timedelta(days=5), timedelta(hours=4))
MAILBOX = "post@example.org"


class Relay:
    """The delivery of one relay, with a next hop for answers and another for everything else."""

    def __init__(self, exchange: Exchange, folder: Path) -> None:
        self._office = exchange.office
        self._lost = exchange.lost
        self._folder = folder
        self.clock = Clock()
        self.clock.pass_(timedelta(minutes=1))  # the answers were written by then

    def deliver(self, answers: Mapping[str, str], *, for_: timedelta = timedelta(0)) -> tuple[list[Taken], list[Taken]]:
        """Deliver for so long; return what the next hop for answers took, and what the other took."""

        async def work() -> tuple[list[Taken], list[Taken]]:
            async with NextHop(answers=dict(answers)) as replies, NextHop() as others:
                worker = self._worker(replies, others)
                end = self.clock() + for_
                await worker.start()
                while True:
                    await until(lambda: self._due() == 0 and worker.holding == 0)
                    if self.clock() >= end:
                        break
                    self.clock.pass_(min(LADDER.pauses[0], end - self.clock()))
                await worker.stop()
                return replies.taken, others.taken

        return asyncio.run(work())

    def _due(self) -> int:
        with self._office.store.read() as conn:
            wanted = select(func.count()).where(
                ENTRY.c.state.in_([EntryState.DUE.value, EntryState.LEASED.value]), ENTRY.c.due_at <= self.clock()
            )
            return int(conn.execute(wanted).scalar_one())

    def _worker(self, replies: NextHop, others: NextHop) -> Delivery:
        office = self._office
        hops = {"replies": replies, "inside": others, "outside": others}
        routes = Routes(
            (Route(name, (hop.endpoint,), TlsMode.NONE) for name, hop in hops.items()), inside_domains=["example.org"]
        )
        reporter: Any = None  # no report to a sender is written here
        return Delivery(
            store=office.store,
            keyring=office.keyring,
            blobs=FileBlobs(self._folder / "blobs"),
            audit=office.audit,
            routes=routes,
            transport=Transport(ehlo_name="gw.example.org", patience=PATIENCE),
            ladder=LADDER,
            reports=Reports(office.store, reporter, office.spooler, routes, LADDER.give_up_after, self._lost),
            owner=b"w" * 16,
            now=self.clock,
            spread=lambda low, high: (low + high) / 2,
            poll_seconds=0.01,
            retry_seconds=0.01,
        )


@pytest.fixture
def exchange(store: Store, tmp_path: Path) -> Exchange:
    """Anna's letter to Jane, once on each kind of database."""
    opened = Exchange.open(store, tmp_path)
    opened.begin(JANE)
    return opened


@pytest.fixture
def relay(exchange: Exchange, tmp_path: Path) -> Relay:
    """Its delivery."""
    return Relay(exchange, tmp_path)


def state(exchange: Exchange, answer_id: bytes) -> ReplyState:
    with exchange.office.store.read() as conn:
        return reply_state(conn, answer_id)


@pytest.mark.parametrize(
    ("answer", "days", "why"),
    [("550 5.1.1 no such user", 0, "no such user"), ("451 4.3.0 later", 1, "451 4.3.0 later")],
    ids=["refused", "not taken for a day"],
)
def test_what_the_next_hop_does_not_take_reaches_a_person(
    exchange: Exchange, relay: Relay, answer: str, days: int, why: str
) -> None:
    """Refused, or put off for 24 hours: the fallback mailbox has it once, whole and without S; the page says so."""
    errand = exchange.request(JANE, "precious words")
    [to_anna] = exchange.send(errand)
    secret = to_anna["From"].addresses[0].addr_spec.partition("@")[0]
    if days:
        taken, others = relay.deliver({f"RCPT TO:<{ANNA}>": answer}, for_=timedelta(hours=23))
        assert (taken, others) == ([], [])
        assert state(exchange, errand.id).progress is ReplyProgress.PUT_OFF
        assert state(exchange, errand.id).at is not None
    taken, [given] = relay.deliver({f"RCPT TO:<{ANNA}>": answer}, for_=timedelta(hours=2) * days)
    assert taken == []
    assert f"RCPT TO:<{MAILBOX}>" in given.commands
    message = message_from_bytes(given.content, policy=policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    assert why in body.get_content()
    assert "precious words" in message.as_string()
    assert secret not in message.as_string()
    assert state(exchange, errand.id).progress is ReplyProgress.REDIRECTED
    assert relay.deliver({}, for_=timedelta(days=1)) == ([], [])


def test_what_the_next_hop_takes_is_handed_over(exchange: Exchange, relay: Relay) -> None:
    """The page says so only after the next hop's 250; the mailbox gets nothing."""
    errand = exchange.request(JANE, "precious words")
    exchange.send(errand)
    assert state(exchange, errand.id).progress is ReplyProgress.SENDING
    [taken], others = relay.deliver({})
    assert b"precious words" in taken.content
    assert others == []
    assert state(exchange, errand.id).progress is ReplyProgress.HANDED_OVER
