"""What an operator keeps back does not leave, wherever it is at that moment, and goes on as if it had just come."""

import asyncio

import pytest

from relay.errors import RefusedError
from relay.queue import interventions, pauses
from relay.queue.spooling import insert_message
from relay.store.tables.queue import EntryState
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import DAY, Yard, until


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
                await yard.store.commit(lambda conn, draft=draft: insert_message(conn, draft))
            worker.offer(reservation, drafts)
            await until(lambda: states(yard) == {"example.net": {"paused"}, "example.com": {"done"}})
            assert worker.holding == 0
            await worker.stop()
            assert len(hop.taken) == 1

    asyncio.run(work())


def test_time_does_not_run_against_what_is_paused(yard: Yard) -> None:
    """After ten days of pause a message is tried again and again before it is given up, not returned at once."""
    message_id = yard.queue("ann@example.net").message_id
    yard.store.run(lambda conn: interventions.pause(conn, yard.keyring, yard.audit, message_id, yard.clock()))
    yard.clock.pass_(10 * DAY)

    async def work() -> None:
        async with NextHop({"RCPT": ["451 4.7.1 later"]}) as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            yard.store.run(lambda conn: interventions.resume(conn, yard.keyring, yard.audit, message_id, yard.clock()))
            await until(lambda: yard.entries()[0].attempts == 1)
            assert yard.entries()[0].state == EntryState.DUE
            await worker.stop()

    asyncio.run(work())


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
