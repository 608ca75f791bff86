"""The states of a queue entry: each arrow of `FOLLOWS` is gone by the code, and the database knows of no other."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from relay.conversation.bounces import end_as_bounced
from relay.errors import StoreError
from relay.queue import interventions, pauses
from relay.queue.entries import claim, release
from relay.queue.holds import Held, HeldCopy, settle
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.spooling import NewEntry, insert_message
from relay.store.tables.queue import BEGINNINGS, FOLLOWS, EntryState, HoldState, Kind
from relay.store.writer import Store, open_store
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import LETTER, START, Yard, until

OWNER = bytes(16)
_LOG = """
CREATE TABLE seen (before TEXT, after TEXT, PRIMARY KEY (before, after)) WITHOUT ROWID;
CREATE TRIGGER seen_begin AFTER INSERT ON entry BEGIN INSERT OR IGNORE INTO seen VALUES ('', NEW.state); END;
CREATE TRIGGER seen_follow AFTER UPDATE OF state ON entry WHEN OLD.state <> NEW.state
BEGIN INSERT OR IGNORE INTO seen VALUES (OLD.state, NEW.state); END
"""


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    """A store whose database notes which state came after which."""
    opened = open_store(sqlite_url)
    opened.run(_begin_to_note)
    yield opened
    opened.close()


def _begin_to_note(conn: Connection) -> None:
    script = _LOG.split(";\nCREATE")
    for statement in (script[0], *(f"CREATE{one}" for one in script[1:])):
        conn.exec_driver_sql(statement)


@pytest.fixture
def yard(store: Store, tmp_path: Path) -> Yard:
    """A queue with everything real under it."""
    return Yard.build(store, tmp_path)


def seen(yard: Yard) -> set[tuple[str, str]]:
    with yard.store.read() as conn:
        return {(row.before, row.after) for row in conn.execute(text("SELECT before, after FROM seen"))}


def test_every_arrow_is_gone(yard: Yard) -> None:
    """Workers, operators, senders, reports and a restore together lead entries along each arrow."""
    asyncio.run(_deliver(yard))
    _return_what_was_claimed(yard)
    _operate(yard)
    _decide(yard)
    _restore(yard)
    beginnings = {("", state.value) for state in BEGINNINGS}
    arrows = {(state.value, after.value) for state, following in FOLLOWS.items() for after in following}
    assert seen(yard) == beginnings | arrows


def test_any_other_arrow_is_refused(yard: Yard) -> None:
    """The guard under all tests on SQLite stops a statement that leads an entry astray."""
    yard.queue("jane@example.net")
    for state in EntryState:
        if state not in {EntryState.DUE, *FOLLOWS[EntryState.DUE]}:
            with pytest.raises(StoreError):
                yard.store.run(lambda conn, state=state: _force(conn, state))  # type: ignore[misc]
    with pytest.raises(StoreError):
        yard.store.run(lambda conn: conn.execute(text("DELETE FROM entry")) and None)
    assert yard.states() == ["due"]


def _force(conn: Connection, state: EntryState) -> None:
    conn.execute(text("UPDATE entry SET state = :state"), {"state": state.value})


async def _deliver(yard: Yard) -> None:
    """Send one, have one refused, one put off; one of them comes back later, one was leased from the beginning."""
    async with NextHop({"RCPT TO:<refused@": "550 5.1.1 no", "RCPT TO:<later@": "451 4.7.1 later"}) as hop:
        worker = yard.delivery(yard.routes([hop]))
        await worker.start()
        reserved = worker.reserve(len(LETTER))
        assert reserved is not None
        draft = yard.draft("leased@example.net", lease=reserved.lease)
        await yard.store.commit(lambda conn: insert_message(conn, draft))
        worker.offer(reserved, [draft])
        for name in ("taken", "refused", "later"):
            yard.queue(f"{name}@example.net")
        await until(lambda: {"done", "bounced", "due"} <= set(yard.states()) and "leased" not in yard.states())
        await worker.stop()
    done = next(row.id for row in yard.entries() if row.state == EntryState.DONE.value)
    yard.store.run(lambda conn: end_as_bounced(conn, done, START) and None)


def _return_what_was_claimed(yard: Yard) -> None:
    yard.queue("claimed@example.net")
    yard.store.run(lambda conn: release(conn, OWNER, _claimed(conn)))


def _operate(yard: Yard) -> None:
    """Pause and resume, drop what waits and what is paused."""
    first, second = yard.queue("one@example.net"), yard.queue("two@example.net")
    for draft, action in (
        (first, interventions.pause),
        (first, interventions.resume),
        (first, interventions.drop),
        (second, interventions.pause),
        (second, interventions.drop),
    ):
        yard.store.run(
            lambda conn, draft=draft, action=action: action(  # type: ignore[misc]
                conn, yard.keyring, yard.audit, draft.message_id, START
            )
        )


def _decide(yard: Yard) -> None:
    """Let one held copy go, and drop another."""
    for entry_state, state in ((EntryState.DUE, HoldState.RELEASED), (EntryState.DROPPED, HoldState.DROPPED)):
        new = NewEntry(Kind.MAIL, "outside", EntryEnvelope("jane@example.net"), held=True)
        draft = yard.spooler.draft(QueuedEnvelope("bob@example.org"), [new], LETTER, now=START)
        yard.store.run(lambda conn, draft=draft: insert_message(conn, draft))  # type: ignore[misc]
        copy = HeldCopy(draft.entry_rows[0]["id"], "jane@example.net", "outside", (), plain=True, visible=True)
        held = Held(bytes(16), draft.message_id, START, START, HoldState.WAITING, "", "", "", 0, (copy,))
        yard.store.run(
            lambda conn, held=held, entry_state=entry_state, state=state: settle(  # type: ignore[misc]
                conn, held, held.copies, entry_state=entry_state, state=state, now=START
            )
        )


def _restore(yard: Yard) -> None:
    """Let a database take over that was copied while a worker held an entry."""
    yard.queue("held-by-a-worker@example.net")
    yard.store.run(lambda conn: _claimed(conn) and None)
    yard.store.run(lambda conn: pauses.pause_everything(conn, START) and None)


def _claimed(conn: Connection) -> list[bytes]:
    rows = claim(conn, OWNER, "outside", START, 10)
    assert rows
    return [row.id for row in rows]
