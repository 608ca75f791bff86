"""What an operator keeps back does not leave, wherever it is at that moment, and goes on as if it had just come."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime
from email import message_from_bytes
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest
from sqlalchemy import Connection, text

from relay.errors import RefusedError
from relay.queue import entries as leases
from relay.queue import interventions, pauses
from relay.queue.claims import Claims
from relay.queue.spooling import insert_message
from relay.store.tables.queue import EntryState
from relay.store.writer import Store, open_store
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import DAY, HOUR, START, Yard, until


def states(yard: Yard) -> dict[str, set[str]]:
    """Return the states of the entries by domain."""
    found: dict[str, set[str]] = {}
    for row in yard.entries():
        found.setdefault(row.domain, set()).add(row.state)
    return found


def test_nothing_leaves_to_a_paused_destination(any_yard: Yard) -> None:
    """Due mail for it stays, other recipients of the same message get theirs; afterwards it leaves. Both databases."""
    yard = any_yard
    yard.store.run(lambda conn: interventions.pause_destination(conn, yard.audit, "example.net", yard.clock()))
    yard.queue("ann@example.net", "ben@example.com")
    yard.queue("cat@example.net")

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: states(yard) == {"example.net": {"paused"}, "example.com": {"done"}})
            assert len(hop.taken) == 1
            with yard.store.read() as conn:
                assert [(one.domain, one.entries) for one in pauses.list_pauses(conn)] == [("example.net", 2)]
            due = yard.store.run(
                lambda conn: interventions.resume_destination(conn, yard.audit, "example.net", yard.clock())
            )
            assert due == 2
            await until(lambda: set(yard.states()) == {"done"})
            assert len(hop.taken) == 3
            await worker.stop()

    asyncio.run(work())
    assert yard.spooled() == 0


def test_what_was_handed_over_is_kept_back_too(yard: Yard) -> None:
    """A message that the intake leased and offered goes back into the queue when its destination is paused."""
    yard.store.run(lambda conn: interventions.pause_destination(conn, yard.audit, "example.net", yard.clock()))

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: bool(worker._claims.paused))
            reservation = worker.reserve(1000)
            assert reservation is not None
            drafts = [
                yard.draft("ann@example.net", "ben@example.com", lease=reservation.lease),
                yard.draft("cat@example.net", lease=reservation.lease),
            ]
            for draft in drafts:
                await yard.store.commit(partial(insert_message, draft=draft))
            worker.offer(reservation, drafts)
            await until(lambda: states(yard) == {"example.net": {"paused"}, "example.com": {"done"}})
            assert worker.holding == 0
            await worker.stop()
            assert len(hop.taken) == 1

    asyncio.run(work())


@pytest.mark.parametrize("by_domain", [False, True])
def test_time_does_not_run_against_what_is_paused(yard: Yard, by_domain: bool) -> None:
    """After ten days of pause a message is tried for five days more; its sender is warned after four hours of them."""
    message_id = yard.queue("ann@example.net").message_id
    subject = (yard.audit, "example.net") if by_domain else (yard.keyring, yard.audit, message_id)
    verbs = (
        (interventions.pause_destination, interventions.resume_destination)
        if by_domain
        else (interventions.pause, interventions.resume)
    )
    pause, resume = cast("tuple[Any, Any]", verbs)
    yard.store.run(lambda conn: pause(conn, *subject, yard.clock()))
    yard.clock.pass_(10 * DAY)
    yard.store.run(lambda conn: resume(conn, *subject, yard.clock()))
    resumed_at = yard.clock()

    async def work() -> None:
        async with NextHop({"RCPT": "451 4.7.1 later"}) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            for attempt in range(1, 7):
                await until(lambda: yard.entries()[0].attempts == attempt)  # noqa: B023
                # A report on its way would lose its lease to the hour that passes.
                await until(lambda: all(one.state == EntryState.DONE for one in yard.entries()[1:]))
                yard.clock.pass_(HOUR)
            assert yard.entries()[0].state == EntryState.DUE
            await until(lambda: len(inside.taken) == 1)
            yard.clock.pass_(5 * DAY)
            await until(lambda: len(inside.taken) == 2)
            await worker.stop()
            delayed, failed = (message_from_bytes(one.content).as_string() for one in inside.taken)
            assert "Action: delayed" in delayed
            assert f"Will-Retry-Until: {format_datetime(resumed_at + 5 * DAY)}" in delayed
            assert "Action: failed" in failed
            assert failed.count(f"Arrival-Date: {format_datetime(START)}") == 1

    asyncio.run(work())


def waits(store: Store) -> bool:
    """Tell whether a transaction waits for another, on PostgreSQL."""
    with store.read() as conn:
        return bool(conn.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


@pytest.fixture
def two_stores(postgresql_url: str) -> Iterator[tuple[Store, Store]]:
    """One database on PostgreSQL, opened by two processes."""
    stores = open_store(postgresql_url), open_store(postgresql_url)
    yield stores
    for store in stores:
        store.close()


@pytest.mark.postgresql
def test_what_a_worker_takes_at_that_moment_is_not_called_paused_or_dropped(
    two_stores: tuple[Store, Store], tmp_path: Path
) -> None:
    """Who pauses or drops waits for the worker's commit, learns that it is being sent, and tells no sender otherwise."""
    store, beside = two_stores
    yard = Yard.build(store, tmp_path)
    message_id = yard.queue("ann@example.net").message_id
    claimed, go_on = Event(), Event()

    def claim(conn: Connection) -> None:
        leases.claim(conn, b"w" * 16, "outside", yard.clock(), 1)
        claimed.set()
        assert go_on.wait(10)

    taking = beside.submit(claim)
    assert claimed.wait(10)
    acts = [
        store.submit(lambda conn, act=act: act(conn, yard.keyring, yard.audit, message_id, yard.clock()))  # type: ignore[misc]
        for act in (interventions.pause, interventions.drop, interventions.retry)
    ]
    asyncio.run(until(lambda: waits(store)))
    go_on.set()
    taking.result()
    for act in acts:
        with pytest.raises(RefusedError, match="being sent"):
            act.result()


@pytest.mark.postgresql
def test_what_a_worker_puts_aside_at_that_moment_goes_on_too(
    two_stores: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading which domains are paused and putting their mail aside, no operator lets one go on unnoticed."""
    store, beside = two_stores
    yard = Yard.build(store, tmp_path)
    yard.store.run(lambda conn: interventions.pause_destination(conn, yard.audit, "example.net", yard.clock()))
    yard.queue("ann@example.net")
    resumed: list[Future[int]] = []

    def late(conn: Connection, domains: frozenset[str], now: datetime) -> None:
        resumed.append(
            beside.submit(lambda conn: interventions.resume_destination(conn, yard.audit, "example.net", now))
        )
        asyncio.run(until(lambda: resumed[0].done() or waits(beside)))
        put_aside(conn, domains, now)

    put_aside = pauses.put_aside
    monkeypatch.setattr(pauses, "put_aside", late)
    claims = Claims(store, yard.keyring, yard.blobs, b"w" * 16, gone=lambda _conn, _owner: False)
    asyncio.run(claims.claim([], yard.clock(), HOUR))
    assert resumed[0].result() == 1
    assert yard.states() == ["due"]


def test_one_entry_of_a_paused_destination_cannot_go_alone(yard: Yard) -> None:
    """The sentence says what lets it go; paused entries keep the bytes of their message."""
    message_id = yard.queue("ann@example.net", "ben@example.com").message_id
    yard.store.run(lambda conn: interventions.pause_destination(conn, yard.audit, "example.net", yard.clock()))
    with pytest.raises(RefusedError, match="queue resume --to"):
        yard.store.run(lambda conn: interventions.resume(conn, yard.keyring, yard.audit, message_id, yard.clock()))

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: states(yard)["example.com"] == {"done"})
            await worker.stop()

    asyncio.run(work())
    assert yard.spooled() == 1
    yard.store.run(lambda conn: interventions.drop(conn, yard.keyring, yard.audit, message_id, yard.clock()))
    assert yard.spooled() == 0
