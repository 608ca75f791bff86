"""Retention of what conversations add: drafts, read marks, threads, a machine's days, holds and waiting receipts."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, update

from relay.clock import new_id
from relay.store.audit import Audit
from relay.store.duties import META
from relay.store.tables import (
    Entry,
    Hold,
    MachineThread,
    MessageRead,
    PortalRequest,
    QueuedMessage,
    ReceiptPart,
    Sealed,
    Stanza,
    Thread,
)
from relay.store.tables import Part as PartTable
from relay.store.tables.queue import EntryState, HoldState
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.drafts import Drafts, Pen
from relay.vault.keyring import Keyring
from relay.vault.opener import Link, Opened, Opener
from relay.vault.retention import Swept, _expire, sweep
from relay.vault.vault import SealedDraft

from .conftest import EXPIRES, NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SEALED = Sealed.__table__  # type: ignore[attr-defined]
STANZA = Stanza.__table__  # type: ignore[attr-defined]
PART = PartTable.__table__  # type: ignore[attr-defined]
READ = MessageRead.__table__  # type: ignore[attr-defined]
THREAD = Thread.__table__  # type: ignore[attr-defined]
MACHINE = MachineThread.__table__  # type: ignore[attr-defined]
HOLD = Hold.__table__  # type: ignore[attr-defined]
RECEIPT = ReceiptPart.__table__  # type: ignore[attr-defined]
REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
ENTRY = Entry.__table__  # type: ignore[attr-defined]

Sweep = Callable[[datetime], Swept]
Seal = Callable[..., SealedDraft]


@pytest.fixture
def sweep_at(store: Store, blobs: FileBlobs, keyring: Keyring) -> Sweep:
    """Sweep at a moment, with a clock that came there day by day."""
    audit = Audit(keyring, "relay-0")

    def do(now: datetime) -> Swept:
        store.run(lambda conn: conn.execute(META.delete().where(META.c.name == "sweep clock")) and None)
        return sweep(store, blobs, keyring, audit, now)

    return do


@pytest.fixture
def drafts(key_folder: Path, opener: Opener, blobs: FileBlobs, store: Store) -> Drafts:
    """The portal's side of unfinished answers."""
    return Drafts(Keyring.open(key_folder, role="portal"), opener, blobs, store)


@pytest.fixture
def pen(seal: Seal, arrive: Callable[..., Link | None]) -> Pen:
    """A reader's pen."""
    link = arrive(seal())
    assert link is not None
    found = Pen.of(link)
    assert found is not None
    return found


def count(store: Store, table: object) -> int:
    with store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def files_on_disk(folder: Path) -> int:
    return sum(file.is_file() for file in (folder / "blobs").rglob("*"))


def test_unfinished_answer_goes_after_a_week(
    *, drafts: Drafts, pen: Pen, store: Store, sweep_at: Sweep, tmp_path: Path
) -> None:
    """Rows, stanzas and files of a draft go an hour after its time, and not a second before; the message stays."""
    before = [count(store, table) for table in (SEALED, STANZA, PART)]
    drafts.save_text(pen, "unfinished", NOW)
    drafts.add_file(pen, "large", "", [b"x" * 500_000], NOW)
    assert sweep_at(NOW + 7 * DAY + HOUR - timedelta(seconds=1)) == Swept()
    swept = sweep_at(NOW + 7 * DAY + HOUR)
    assert (swept.drafts, swept.blobs, swept.expired) == (2, 1, 0)
    assert [count(store, table) for table in (SEALED, STANZA, PART)] == before
    assert files_on_disk(tmp_path) == 0


def test_what_was_handed_over_waits_for_the_relay(*, drafts: Drafts, pen: Pen, store: Store, sweep_at: Sweep) -> None:
    """A relay that was away for a week still finds the answer that it shall send; without its request it goes."""
    drafts.save_text(pen, "to be sent", NOW)
    answer_id = new_id()
    link = pen.link
    assert link is not None
    with store.read() as conn:
        draft = drafts.open(conn, link, NOW)
    store.run(lambda conn: drafts.hand_over(conn, pen, draft, answer_id) and None)
    row = {"id": answer_id, "kind": 2, "item": b"", "created_at": NOW + 6 * DAY}
    store.run(lambda conn: conn.execute(insert(REQUEST).values(**row)) and None)
    assert sweep_at(NOW + 8 * DAY).drafts == 0
    assert sweep_at(NOW + 14 * DAY).drafts == 0  # the request goes after seven days ...
    assert sweep_at(NOW + 14 * DAY).drafts == 1  # ... and with it what it was about


def test_server_key_stays_while_a_draft_needs_it(
    *, drafts: Drafts, pen: Pen, store: Store, blobs: FileBlobs, keyring: Keyring
) -> None:
    """The key of a month is not destroyed under a draft that a reader can still open."""
    drafts.save_text(pen, "unfinished", NOW)
    late = datetime(2027, 3, 1, tzinfo=NOW.tzinfo)
    draft = SEALED.c.state == "draft"
    store.run(lambda conn: conn.execute(update(SEALED).where(draft).values(expires_at=late + DAY)) and None)
    assert sweep(store, blobs, keyring, Audit(keyring, "relay-0"), late).keks == 0
    assert len(keyring.keks.files()) == 1


def test_marks_of_a_conversation_go_with_it(seal: Seal, store: Store, sweep_at: Sweep) -> None:
    """A year after a conversation expired nothing tells who read it or by which Message-ID it was known."""
    old, young = seal(), seal(expires_at=EXPIRES + 50 * DAY)
    threads = count(store, THREAD)

    for one in (old, young):
        read = {"message_id": one.message_id, "participant_id": new_id(), "at": NOW, "name": b"x"}
        thread = {"message_id_hash": new_id(), "conversation_id": one.conversation_id}
        store.run(lambda conn, read=read: conn.execute(insert(READ).values(**read)) and None)  # type: ignore[misc]
        store.run(lambda conn, thread=thread: conn.execute(insert(THREAD).values(**thread)) and None)  # type: ignore[misc]
    sweep_at(EXPIRES + 364 * DAY)
    assert (count(store, READ), count(store, THREAD)) == (2, threads + 2)
    sweep_at(EXPIRES + 366 * DAY)
    with store.read() as conn:
        assert conn.execute(select(READ.c.message_id)).scalars().all() == [young.message_id]
        assert set(conn.execute(select(THREAD.c.conversation_id)).scalars()) == {young.conversation_id}


def test_days_of_a_machine_are_forgotten_when_they_are_over(store: Store, sweep_at: Sweep) -> None:
    """Which conversation a machine's mail of one day joined matters on that day only."""
    for days in (0, 1, 2, 5, 5):
        row = {"sender_hash": new_id(), "recipient_hash": new_id(), "conversation_id": new_id()}
        day = (NOW - days * DAY).date().isoformat()
        store.run(lambda conn, row=row, day=day: conn.execute(insert(MACHINE).values(**row, day=day)) and None)  # type: ignore[misc]
    assert sweep_at(NOW).rows == 2
    assert count(store, MACHINE) == 3


def test_question_and_receipt_keep_the_key_of_their_day(store: Store, keyring: Keyring, sweep_at: Sweep) -> None:
    """What waits under an epoch key can be read until it was decided or sent; then the key goes."""
    sealed = {kind: keyring.spool_seal(kind, bytes(16), b"waits", at=NOW) for kind in ("hold", "receipt")}
    epoch = sealed["hold"][:16]
    hold_id, receipt_id = new_id(), new_id()
    hold = {"id": hold_id, "message_id": new_id(), "created_at": NOW, "until": NOW + 3 * DAY, "epoch_id": epoch}
    receipt = {"id": receipt_id, "grouping": new_id(), "message_id": new_id(), "due_at": NOW, "epoch_id": epoch}
    state = HoldState.WAITING.value
    store.run(lambda c: c.execute(insert(HOLD).values(**hold, state=state, payload=sealed["hold"])) and None)
    store.run(lambda c: c.execute(insert(RECEIPT).values(**receipt, payload=sealed["receipt"])) and None)
    later = NOW + 10 * DAY
    assert sweep_at(later).epochs == 0
    decided = update(HOLD).values(state=HoldState.DROPPED.value)
    store.run(lambda conn: conn.execute(decided) and None)
    assert sweep_at(later).epochs == 0
    assert keyring.spool_open("receipt", bytes(16), sealed["receipt"]) == b"waits"
    store.run(lambda conn: conn.execute(RECEIPT.delete()) and None)
    assert sweep_at(later).epochs == 1


def test_held_copies_stay_and_decided_questions_go_with_their_message(store: Store, sweep_at: Sweep) -> None:
    """A copy that waits for a person is never dropped; the question about one that left goes with its rows."""
    for state in (EntryState.HELD, EntryState.DONE):
        message_id = new_id()
        message = {"id": message_id, "direction": "out", "accepted_at": NOW, "size": 1, "envelope": b""}
        entry = {
            "id": new_id(),
            "message_id": message_id,
            "kind": "mail",
            "route": "outside",
            "domain": "example.net",
            "recipient_hash": b"",
            "envelope": b"",
            "state": state.value,
            "created_at": NOW,
            "due_at": NOW,
        }
        decided = HoldState.WAITING if state is EntryState.HELD else HoldState.RELEASED
        hold = {
            "id": new_id(),
            "message_id": message_id,
            "created_at": NOW,
            "until": NOW,
            "state": decided.value,
            "epoch_id": bytes(16),
            "payload": b"",
        }
        for table, row in ((MESSAGE, message), (ENTRY, entry), (HOLD, hold)):
            store.run(lambda conn, table=table, row=row: conn.execute(insert(table).values(**row)) and None)  # type: ignore[misc]
    assert sweep_at(NOW + 31 * DAY).rows == 1
    with store.read() as conn:
        assert conn.execute(select(HOLD.c.state)).scalars().all() == [HoldState.WAITING.value]
        assert conn.execute(select(ENTRY.c.state)).scalars().all() == [EntryState.HELD.value]


def test_draft_of_an_expired_message_is_gone_with_it(
    *, drafts: Drafts, pen: Pen, sweep_at: Sweep, open_all: Callable[..., Opened], seal: Seal
) -> None:
    """When the conversation ends, what was being written in it ends too; another conversation goes on."""
    young = seal(expires_at=EXPIRES + 9 * DAY)
    drafts.save_text(pen, "too late", EXPIRES - DAY)
    swept = sweep_at(EXPIRES + HOUR)
    assert (swept.expired, swept.drafts) == (1, 1)
    assert open_all(young, now=EXPIRES + HOUR).messages


def test_message_that_is_extended_at_its_last_moment_lives(
    *, seal: Seal, store: Store, open_another: Callable[[], Store], keyring: Keyring, open_all: Callable[..., Opened]
) -> None:
    """A sweep that meets a message while it is being extended waits, looks again, and leaves it alone."""
    draft = seal()
    writing, asked = threading.Event(), threading.Event()

    def extend(conn: Connection) -> None:
        conn.execute(update(SEALED).where(SEALED.c.id == draft.message_id).values(expires_at=EXPIRES + DAY))
        writing.set()
        asked.wait(0.5)  # the other one stands at the row by then, or behind this transaction

    extending = threading.Thread(target=lambda: store.run(extend))
    extending.start()
    writing.wait(10)
    expired = open_another().run(partial(_expire, audit=Audit(keyring, "relay-1"), now=EXPIRES))
    asked.set()
    extending.join(10)
    assert expired == 0
    assert open_all(draft, now=EXPIRES - DAY).messages
