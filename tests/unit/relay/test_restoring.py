"""A database that came from a backup: what of it may still leave, and what it has lost (R49)."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from relay.clock import new_id
from relay.queue import pauses
from relay.queue.requests import RequestKind
from relay.queue.spooling import insert_message
from relay.restoring import drop_unreadable, lost, take_over
from relay.store.checkpoints import checkpoint
from relay.store.tables import Meta, PortalRequest, ReceiptPart
from relay.store.writer import Store
from relay.vault import progress
from relay.vault.vault import Vault
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import START, Yard, until
from tests.unit.relay.vault.letters import reading

REQUEST: Any = PortalRequest.__table__  # type: ignore[attr-defined]
RECEIPT: Any = ReceiptPart.__table__  # type: ignore[attr-defined]
META: Any = Meta.__table__  # type: ignore[attr-defined]


@pytest.fixture
def yard(store: Store, tmp_path: Path) -> Yard:
    """A queue with everything real under it."""
    return Yard.build(store, tmp_path)


def age(yard: Yard) -> None:
    """Let an audited minute pass and be noted, as in a relay."""
    take_over(yard.store, yard.keyring, yard.audit, START)  # writes into the audit
    yard.store.run(lambda conn: checkpoint(conn, yard.keyring, START))
    progress.note(yard.store, yard.keyring.folder)


def test_nothing_of_the_queue_leaves_before_an_operator_says_so(yard: Yard) -> None:
    """What was due, and what a worker held when the backup was made, is paused; one by one it can go on."""

    async def scenario() -> None:
        async with NextHop() as hop:
            routes = yard.routes([hop])
            yard.queue("due@example.net")
            held_by_a_worker = yard.delivery(routes, worker=7).reserve(1)
            assert held_by_a_worker is not None
            draft = yard.draft("leased@example.net", lease=held_by_a_worker.lease)
            yard.store.run(lambda conn: insert_message(conn, draft))
            assert yard.states() == ["due", "leased"]

            found = take_over(yard.store, yard.keyring, yard.audit, yard.clock())
            assert (found.kept_back, found.unreadable) == (2, 0)
            assert yard.states() == ["paused", "paused"]
            worker = yard.delivery(routes)
            await worker.start()
            yard.store.run(lambda conn: pauses.resume_destination(conn, "example.net", yard.clock()))
            await until(lambda: set(yard.states()) == {"done"})
            await worker.stop()
            assert len(hop.taken) == 2

    asyncio.run(scenario())


def test_what_nobody_can_read_any_more_is_taken_out_on_demand(yard: Yard) -> None:
    """Without its epoch key an entry is counted; dropping takes it out with its bytes, and leaves the others."""
    yard.queue("old@example.net")
    [key] = (yard.keyring.folder / "relay").glob("epoch-*")
    key.unlink()
    yard.clock.pass_(timedelta(days=1))
    yard.queue("young@example.net")
    found = take_over(yard.store, yard.keyring, yard.audit, yard.clock())
    assert (found.kept_back, found.unreadable) == (2, 1)
    assert drop_unreadable(yard.store, yard.keyring, yard.audit, yard.clock()) == 1
    assert yard.states() == ["dropped", "paused"]
    assert yard.spooled() == 1
    assert drop_unreadable(yard.store, yard.keyring, yard.audit, yard.clock()) == 0


def test_nothing_else_writes_to_anybody_for_a_reason_of_that_time(yard: Yard) -> None:
    """Receipts, codes and asked-for links are gone; keys for another link, which are no mail, stay."""
    kinds = [kind.value for kind in RequestKind]
    requests = [{"id": new_id(), "kind": kind, "item": b"sealed", "created_at": START} for kind in kinds]
    part = {"id": new_id(), "grouping": b"", "message_id": b"", "due_at": START, "epoch_id": b"", "payload": b""}
    yard.store.run(lambda conn: conn.execute(insert(REQUEST), requests) and None)
    yard.store.run(lambda conn: conn.execute(insert(RECEIPT), [part]) and None)
    found = take_over(yard.store, yard.keyring, yard.audit, yard.clock())
    assert found.answers == 1
    with yard.store.read() as conn:
        assert list(conn.execute(select(REQUEST.c.kind)).scalars()) == [RequestKind.RESEAL.value]
        assert conn.execute(select(RECEIPT)).all() == []
        looked_at = conn.execute(select(META.c.value).where(META.c.name == "silence looked at")).scalar_one()
    assert looked_at.startswith(f'["{START.isoformat()}')


def test_what_is_lost_is_named(yard: Yard) -> None:
    """The server key of a month, a row key, files: each with the number of messages that need it."""
    vault = Vault(yard.keyring, yard.blobs, yard.store, inline_limit=4096)
    for _ in range(2):
        draft = vault.seal(
            message_id=new_id(),
            reading=reading(),
            original=b"x" * 300_000,
            sender="anna@example.org",
            readers=("jane@example.net",),
            now=START,
            expires_at=START + timedelta(days=30),
        )
        yard.store.run(lambda conn, draft=draft: vault.insert(conn, draft))  # type: ignore[misc]
    assert list(lost(yard.store, yard.keyring, yard.blobs, START)) == []
    for file in (yard.keyring.folder.parent / "blobs").glob("*/*"):
        file.unlink()
    for key in yard.keyring.folder.glob("*/kek-*.key"):
        key.unlink()
    server_key, files = lost(yard.store, yard.keyring, yard.blobs, START)
    assert server_key.startswith("the server key of 2026-12 (id ")
    assert server_key.endswith("without it 2 sealed messages cannot be opened")
    assert files == "files below storage.blobs: without it 2 sealed messages cannot be opened"
    assert list(lost(yard.store, yard.keyring, yard.blobs, START + timedelta(days=31))) == []


def test_a_database_of_an_earlier_day_is_known_by_the_keys_beside_it(yard: Yard) -> None:
    """It is behind what the keys know, or they know nothing while it says that they should; what took over is not."""
    folder = yard.keyring.folder

    def doubt() -> str:
        with yard.store.read() as conn:
            return progress.doubt(conn, folder)

    assert doubt() == ""
    age(yard)
    assert (folder / progress.FILE).read_text() == "1\n"
    assert doubt() == ""
    (folder / progress.FILE).write_text("2\n")  # the keys have seen more than this database
    assert doubt() == "this database is of an earlier day than the keys beside it"
    (folder / progress.FILE).unlink()  # other keys, from a backup
    assert doubt() == "this database came back without the file beside the keys"
    take_over(yard.store, yard.keyring, yard.audit, START)
    assert doubt() == ""
    yard.store.run(lambda conn: checkpoint(conn, yard.keyring, START))
    progress.note(yard.store, folder)
    assert (folder / progress.FILE).read_text() == "2\n"
    assert doubt() == ""


def test_a_crash_between_checkpoint_and_note_is_no_sign(yard: Yard) -> None:
    """The file may lag behind the database, never the other way round."""
    age(yard)
    take_over(yard.store, yard.keyring, yard.audit, START)
    yard.store.run(lambda conn: checkpoint(conn, yard.keyring, START))
    with yard.store.read() as conn:
        assert progress.doubt(conn, yard.keyring.folder) == ""
