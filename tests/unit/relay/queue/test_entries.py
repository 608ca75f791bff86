"""Leases and their fence, on both databases."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update
from structlog.testing import capture_logs

from relay.clock import id_text
from relay.queue import entries as leases
from relay.queue.claims import Claims
from relay.queue.destinations import Room
from relay.queue.entries import Damaged
from relay.queue.items import Consignment, QueuedEnvelope, open_message
from relay.queue.outcomes import Answer, Deferred, Delivered, Failed, Outcome
from relay.queue.recording import ReportDraft, record, record_damaged
from relay.queue.settling import Settled, settle
from relay.queue.spooling import Lease
from relay.store.audit import Audit
from relay.store.slot import GRACE
from relay.store.tables import Entry, Participant
from relay.store.tables.queue import EntryState, Kind
from relay.store.tables.sealed import ReaderState
from relay.store.writer import Store, open_store
from relay.vault.keyring import Keyring
from tests.unit.relay.queue.yard import DAY, HOUR, LADDER, LETTER, MINUTE, Yard

ENTRY = Entry.__table__  # type: ignore[attr-defined]
READER = Participant.__table__  # type: ignore[attr-defined]
ONE, TWO = b"1" * 16, b"2" * 16
YES = Delivered(Answer(250, "2.0.0", "taken", "hop.test:25"))
LATER = Deferred(Answer(451, "4.7.1", "greylisted", "hop.test:25"))
NO = Failed(Answer(550, "5.1.1", "no such user", "hop.test:25"))


def claimed(yard: Yard, owner: bytes = ONE, limit: int = 100, route: str = "outside") -> list[Consignment]:
    rows = yard.store.run(lambda conn: leases.claim(conn, owner, route, yard.clock(), limit))
    with yard.store.read() as conn:
        consignments, damaged = leases.load(conn, yard.keyring, yard.blobs, rows)
    assert damaged == []
    return consignments


def settled(yard: Yard, consignment: Consignment, outcome: Outcome) -> list[Settled]:
    return [
        settle(consignment, entry, outcome, ladder=LADDER, now=yard.clock(), spread=1.0)
        for entry in consignment.entries
    ]


def write(yard: Yard, consignment: Consignment, outcome: Outcome) -> None:
    group = [replace(one, report=None) for one in settled(yard, consignment, outcome)]
    yard.store.run(lambda conn: record(conn, yard.keyring, yard.audit, group))


def test_a_claim_opens_to_what_was_queued(any_yard: Yard) -> None:
    """A claimed message has the envelope, recipients and bytes that were put into the queue."""
    yard = any_yard
    envelope = QueuedEnvelope("bob@example.org", ret="HDRS", envid="QQ+3D", report_to="eve@example.org")
    yard.queue("ann@example.net", "jürgen@example.net", envelope=envelope)
    (consignment,) = claimed(yard)
    assert consignment.envelope == replace(envelope, body="7BIT")
    assert {entry.envelope.recipient for entry in consignment.entries} == {"ann@example.net", "jürgen@example.net"}
    assert b"".join(consignment.content.pieces()) == LETTER


def test_a_claim_leaves_out_what_is_full(any_yard: Yard) -> None:
    """Of the domains that are named nothing is claimed, however long it has been due; the others' mail is."""
    yard = any_yard
    yard.queue("ann@slow.example", "ben@slow.example", "cat@full.example")
    yard.clock.pass_(MINUTE)
    yard.queue("dan@good.example")
    full = ("slow.example", "full.example")
    rows = yard.store.run(lambda conn: leases.claim(conn, ONE, "outside", yard.clock(), 2, but_for=full))
    with yard.store.read() as conn:
        ((consignment,), _) = leases.load(conn, yard.keyring, yard.blobs, rows)
    assert [entry.envelope.recipient for entry in consignment.entries] == ["dan@good.example"]


def test_nobody_claims_what_is_claimed(any_yard: Yard) -> None:
    """Two owners never hold the same entry; a claim takes no more than its limit, the longest due first."""
    yard = any_yard
    first = yard.queue("ann@example.net")
    yard.clock.pass_(MINUTE)
    yard.queue("ben@example.net")
    assert [one.message_id for one in claimed(yard, ONE, limit=1)] == [first.message_id]
    assert len(claimed(yard, TWO)) == 1
    assert claimed(yard, ONE) == []


@pytest.mark.parametrize("counted", [0, 1, 2])
def test_a_claim_keeps_to_its_limit_whatever_the_database_believes(any_yard: Yard, counted: int) -> None:
    """With a plan for a table of one row PostgreSQL once chose anew for each row, and took the whole queue."""
    yard = any_yard
    for _ in range(counted):
        yard.queue("ann@example.net")
    yard.store.run(lambda conn: conn.execute(text("ANALYZE entry")).rowcount)
    for _ in range(3):
        yard.queue("ann@example.net")
    assert len(claimed(yard, limit=1)) == 1
    assert len(claimed(yard, limit=2)) == 2


def test_what_is_not_yet_due_or_of_another_route_stays(any_yard: Yard) -> None:
    """Claims are per route and only of what is due."""
    yard = any_yard
    yard.queue("ann@example.net", "eve@example.org")
    assert len(claimed(yard, route="inside")) == 1
    (outside,) = claimed(yard)
    write(yard, outside, LATER)
    assert claimed(yard) == []
    yard.clock.pass_(MINUTE)
    assert len(claimed(yard)) == 1


@pytest.mark.parametrize("outcome", [YES, LATER, NO])
def test_an_outcome_under_a_lost_lease_changes_nothing(any_yard: Yard, outcome: Outcome) -> None:
    """A worker that was away until its lease lapsed records nothing: the entry belongs to the next one."""
    yard = any_yard
    yard.queue("ann@example.net")
    (stale,) = claimed(yard, ONE)
    yard.clock.pass_(leases.LEASE + MINUTE)
    assert yard.store.run(lambda conn: leases.return_lapsed(conn, yard.clock())) == 1
    write(yard, stale, outcome)
    assert (yard.states(), yard.entries()[0].attempts) == (["due"], 0)
    (fresh,) = claimed(yard, TWO)
    assert fresh.entries[0].epoch > stale.entries[0].epoch
    write(yard, stale, outcome)
    entry = stale.entries[0]
    damaged = Damaged(entry.id, stale.message_id, entry.epoch, entry.created_at, entry.attempts)
    yard.store.run(lambda conn: record_damaged(conn, [damaged], yard.clock() + HOUR))
    assert yard.states() == ["leased"]
    assert yard.spooled() == 1
    write(yard, fresh, YES)
    assert (yard.states(), yard.spooled()) == (["done"], 0)


def test_the_same_owner_is_fenced_as_well(any_yard: Yard) -> None:
    """An outcome that is recorded twice (its commit's fate was unknown) does not finish the next lease."""
    yard = any_yard
    yard.queue("ann@example.net")
    (first,) = claimed(yard)
    write(yard, first, LATER)
    yard.clock.pass_(HOUR)
    claimed(yard)
    write(yard, first, YES)
    assert yard.states() == ["leased"]


def test_what_is_recorded_already_is_not_reported_again(any_yard: Yard) -> None:
    """A commit whose fate was unknown is tried again: then nothing is written, and no second report."""
    yard = any_yard
    yard.queue("ann@example.net")
    (refused,) = claimed(yard)
    group = settled(yard, refused, NO)
    report = ReportDraft(frozenset(one.entry.id for one in group), yard.draft("bob@example.org", kind=Kind.DSN))
    for _ in range(2):
        yard.store.run(lambda conn: record(conn, yard.keyring, yard.audit, group, [report]))
        assert yard.states() == ["bounced", "due"]


def test_leases_are_renewed_and_given_back(any_yard: Yard) -> None:
    """A renewed lease does not lapse; a released one is due at once, with the attempt not counted."""
    yard = any_yard
    yard.queue("ann@example.net")
    (consignment,) = claimed(yard)
    ids = [entry.id for entry in consignment.entries]
    yard.clock.pass_(leases.LEASE - MINUTE)
    yard.store.run(lambda conn: leases.renew(conn, ONE, ids, yard.clock()))
    yard.clock.pass_(2 * MINUTE)
    assert yard.store.run(lambda conn: leases.return_lapsed(conn, yard.clock())) == 0
    yard.store.run(lambda conn: leases.release(conn, TWO, ids))
    assert yard.states() == ["leased"], "only its owner gives a lease back"
    yard.store.run(lambda conn: leases.release(conn, ONE, ids))
    assert (yard.states(), yard.entries()[0].attempts) == (["due"], 0)


def test_what_the_dead_held_is_due_again(any_yard: Yard) -> None:
    """A worker that is not there loses its leases after a moment and is fenced; others keep theirs."""
    yard = any_yard
    for _ in range(3):
        yard.queue("ann@example.net")

    def gone(_conn: Connection, owner: bytes) -> bool:
        return owner == ONE

    async def work() -> None:
        workers = [Claims(yard.store, yard.keyring, yard.blobs, owner, gone=gone) for owner in (ONE, TWO, b"3" * 16)]
        held = []
        for worker in workers:
            await worker.recover(yard.clock())
            ((consignment,), _) = await worker.claim([Room("outside", 1)], yard.clock(), HOUR)
            held.append(consignment)
        claims = workers[-1]
        await claims.keep_house(["outside"], yard.clock(), HOUR)
        assert yard.states() == ["leased"] * 3, "its name may be taken anew in a moment: the database was restarted"
        assert claims.somebody_is_absent
        yard.clock.pass_(2 * GRACE)
        await claims.keep_house(["outside"], yard.clock(), HOUR)
        assert yard.states() == ["due", "leased", "leased"]
        await claims.keep_house(["outside"], yard.clock(), HOUR)
        assert not claims.somebody_is_absent
        write(yard, held[0], YES)
        assert yard.states() == ["due", "leased", "leased"]

    asyncio.run(work())


@pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(days=-365)])
def test_a_clock_that_jumps_silences_nothing(any_yard: Yard, jump: timedelta) -> None:
    """After a jump of a year, forth and back, what waits and what was leased is sent within the hour."""
    yard = any_yard
    honest = yard.clock()
    yard.queue("ann@example.net")
    yard.queue("ben@example.net")
    (ann,) = claimed(yard, limit=1)
    yard.clock.pass_(jump)
    yard.queue("cat@example.net")
    write(yard, ann, LATER)
    claimed(yard, TWO, limit=1)
    yard.clock.time = honest + HOUR
    yard.store.run(lambda conn: leases.return_lapsed(conn, yard.clock()))
    yard.store.run(lambda conn: leases.bring_forward(conn, ["outside"], yard.clock(), LADDER.longest))
    assert sum(len(one.entries) for one in claimed(yard)) == 3


def test_the_bytes_stay_until_the_last_entry_is_finished(any_yard: Yard) -> None:
    """With one of two recipients done and the other deferred, the sealed bytes stay; then they go, blob and all."""
    yard = any_yard
    yard.queue("ann@example.net", "ben@example.net", content=b"x: y\r\n\r\n" + b"z" * 10_000)
    (consignment,) = claimed(yard)
    ann, ben = consignment.split(1)
    write(yard, ann, YES)
    write(yard, ben, LATER)
    assert (yard.spooled(), yard.blob_states()) == (1, ["stored"])
    yard.clock.pass_(MINUTE)
    (again,) = claimed(yard)
    write(yard, again, NO)
    assert (yard.spooled(), yard.blob_states()) == (0, ["doomed"])
    assert yard.states() == ["bounced", "done"]


@pytest.mark.postgresql
def test_two_relays_that_finish_a_message_at_once_let_go_of_its_bytes(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has sent to one recipient and does not see the other's commit yet: the bytes go with the second of them."""
    one, two = open_store(postgresql_url), open_store(postgresql_url)
    yard = Yard.build(one, tmp_path)
    yard.queue("ann@example.net", "ben@example.net")
    ann, ben = claimed(yard)[0].split(1)
    written, leave = threading.Event(), threading.Event()

    def stand(place: str) -> None:
        if place == "outcome: octets let go" and not written.is_set():
            written.set()
            assert leave.wait(10)

    def outcome(consignment: Consignment) -> Callable[[Connection], None]:
        group = [replace(one, report=None) for one in settled(yard, consignment, YES)]
        audit = Audit(yard.keyring, consignment.entries[0].envelope.recipient)
        return lambda conn: record(conn, yard.keyring, audit, group)

    monkeypatch.setattr("relay.queue.recording.reached", stand)
    first = one.submit(outcome(ann))
    assert written.wait(10)
    second = two.submit(outcome(ben))
    while not second.done() and not _somebody_waits_for_a_lock(one):
        pass
    leave.set()
    for commit in (first, second):
        commit.result(10)
    assert (yard.states(), yard.spooled()) == (["done", "done"], 0)
    one.close()
    two.close()


def _somebody_waits_for_a_lock(store: Store) -> bool:
    with store.read() as conn:
        return bool(conn.execute(text("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")).scalar())


def test_two_notices_in_one_group_are_recorded(any_yard: Yard) -> None:
    """Outcomes are written in groups; what becomes of one reader does not depend on how many there are."""
    yard = any_yard
    readers = (b"r" * 16, b"s" * 16)
    rows = [
        {
            "id": reader, "conversation_id": b"c" * 16, "role": 2, "flags": 0, "address": b"", "address_hash": b"",
            "mac": b"", "mac_version": 1, "state": ReaderState.WAITING.value,
        }
        for reader in readers
    ]  # fmt: skip
    yard.store.run(lambda conn: conn.execute(READER.insert(), rows).rowcount)
    for number, reader in enumerate(readers):
        yard.queue(f"reader-{number}@example.net", kind=Kind.NOTICE, participant_id=reader, envelope=QueuedEnvelope(""))
    group = [replace(one, report=None) for consignment in claimed(yard) for one in settled(yard, consignment, YES)]
    assert len(group) == 2
    yard.store.run(lambda conn: record(conn, yard.keyring, yard.audit, group))
    with yard.store.read() as conn:
        assert set(conn.execute(select(READER.c.state)).scalars()) == {ReaderState.NOTIFIED.value}
    assert yard.states() == ["done", "done"]


@pytest.mark.parametrize(
    ("outcome", "state", "kind"),
    [
        (YES, ReaderState.NOTIFIED, Kind.NOTICE),
        (NO, ReaderState.UNDELIVERABLE, Kind.NOTICE),
        (LATER, ReaderState.WAITING, Kind.NOTICE),
        (YES, ReaderState.WAITING, Kind.REPLY),
        (NO, ReaderState.WAITING, Kind.REPLY),
    ],
)
def test_a_notice_tells_how_far_its_reader_is(any_yard: Yard, outcome: Outcome, state: ReaderState, kind: Kind) -> None:
    """A delivered notice makes its reader notified, a failed one undeliverable; the reader's own answer changes nothing."""
    yard = any_yard
    reader = b"r" * 16
    row = {
        "id": reader, "conversation_id": b"c" * 16, "role": 2, "flags": 0, "address": b"", "address_hash": b"",
        "mac": b"", "mac_version": 1, "state": ReaderState.WAITING.value,
    }  # fmt: skip
    yard.store.run(lambda conn: conn.execute(READER.insert(), row).rowcount)
    yard.queue("ann@example.net", kind=kind, participant_id=reader, envelope=QueuedEnvelope(""))
    (consignment,) = claimed(yard)
    write(yard, consignment, outcome)
    with yard.store.read() as conn:
        assert conn.execute(select(READER.c.state)).scalar() == state.value


@pytest.mark.parametrize("column", ["message_id", "route", "envelope", "kind"])
def test_a_row_that_was_moved_is_kept_and_not_sent(any_yard: Yard, column: str) -> None:
    """An entry that somebody gave to another message or route does not open; it is put aside, never dropped."""
    yard = any_yard
    yard.queue("ann@example.net")
    other = yard.queue("eve@example.org")
    changed = {"message_id": other.message_id, "route": "inside", "envelope": b"e" * 90, "kind": "letter"}[column]
    yard.store.run(
        lambda conn: conn.execute(update(ENTRY).where(ENTRY.c.route == "outside").values({column: changed})).rowcount
    )
    route = "inside" if column == "route" else "outside"
    rows = yard.store.run(lambda conn: leases.claim(conn, ONE, route, yard.clock(), 10))
    with yard.store.read() as conn:
        consignments, damaged = leases.load(conn, yard.keyring, yard.blobs, rows)
    assert [entry.envelope.recipient for one in consignments for entry in one.entries] == (
        ["eve@example.org"] if column == "route" else []
    )
    assert [type(one) for one in damaged] == [Damaged]
    yard.store.run(lambda conn: record_damaged(conn, damaged, yard.clock() + HOUR))
    moved = next(row for row in yard.entries() if row.id == damaged[0].entry_id)
    assert (moved.state, moved.attempts, moved.due_at) == (EntryState.DUE, 1, yard.clock() + HOUR)


def test_an_entry_that_fails_through_a_defect_keeps_no_other_back(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is put aside like one that cannot be read, and the log has its id; the rest of the queue is sent."""
    bad = yard.queue("bad@example.net").message_id
    yard.queue("ann@example.net")

    def defect(keyring: Keyring, message_id: bytes, sealed: bytes) -> QueuedEnvelope:
        if message_id == bad:
            raise AttributeError("as from a defect")
        return open_message(keyring, message_id, sealed)

    monkeypatch.setattr(leases, "open_message", defect)
    rows = yard.store.run(lambda conn: leases.claim(conn, ONE, "outside", yard.clock(), 10))
    with capture_logs() as lines, yard.store.read() as conn:
        consignments, damaged = leases.load(conn, yard.keyring, yard.blobs, rows)
    assert [entry.envelope.recipient for one in consignments for entry in one.entries] == ["ann@example.net"]
    assert [one.message_id for one in damaged] == [bad]
    assert [line["queue_id"] for line in lines] == [id_text(bad)]


def test_nothing_readable_is_in_the_rows(yard: Yard) -> None:
    """Addresses and content of a queued message are nowhere in its rows."""
    yard.queue("ann@example.net", envelope=QueuedEnvelope("bob@example.org", envid="canary"))
    yard.queue("ann@example.net", content=b"Subject: canary\r\n\r\n" + b"canary " * 2000)
    with yard.store.read() as conn:
        for table in Entry.metadata.sorted_tables:
            rows = repr(list(conn.execute(select(table)))).encode()
            for canary in (b"ann@", b"bob@", b"canary", b"Dear Ann"):
                assert canary not in rows, table.name


def test_an_old_entry_is_given_up_only_after_the_ladder(yard: Yard) -> None:
    """An entry that is a year old by a broken clock still gets its attempts."""
    yard.queue("ann@example.net")
    yard.clock.pass_(365 * DAY)
    for attempts in range(1, 6):
        (consignment,) = claimed(yard)
        (one,) = settled(yard, consignment, LATER)
        assert one.state is (EntryState.DUE if attempts < 5 else EntryState.BOUNCED)
        write(yard, consignment, LATER)
        yard.clock.pass_(2 * HOUR)


@pytest.mark.postgresql
@pytest.mark.parametrize("apart", [-HOUR, timedelta(minutes=-12), timedelta(minutes=7), HOUR])
def test_clocks_of_two_machines_may_be_apart(postgresql_url: str, tmp_path: Path, apart: timedelta) -> None:
    """Leases end by the database's clock: a machine whose own is wrong takes from no other what that is sending."""
    store = open_store(postgresql_url)
    yard = Yard.build(store, tmp_path)
    yard.queue("ann@example.net")
    yard.queue("ben@example.net", lease=Lease(TWO, yard.clock()))

    async def work() -> None:
        one, two = (
            Claims(store, yard.keyring, yard.blobs, owner, gone=lambda _conn, _owner: False) for owner in (ONE, TWO)
        )
        await one.recover(yard.clock())
        ((consignment,), _) = await one.claim([Room("outside", 1)], yard.clock(), HOUR)
        one.hold(consignment.entries, yard.clock() + leases.LEASE)
        await two.recover(yard.clock() + apart)
        await two.keep_house(["outside"], yard.clock() + apart, HOUR)
        assert yard.states() == ["due", "leased"]
        yard.clock.pass_(leases.LEASE / 2)
        await one.keep_house(["outside"], yard.clock(), HOUR)
        assert one.still_ours(consignment, yard.clock())
        await store.commit(_let_lapse)
        await two.keep_house(["outside"], yard.clock() + apart, HOUR)
        assert yard.states() == ["due", "due"]

    asyncio.run(work())
    store.close()


def _let_lapse(conn: Connection) -> None:
    """Let ten minutes pass on the database's clock."""
    earlier = text("lease_until - 600000000")
    conn.execute(update(ENTRY).where(ENTRY.c.lease_until.is_not(None)).values(lease_until=earlier))


def test_a_lease_that_another_took_is_not_held_any_more(any_yard: Yard) -> None:
    """A worker learns that it has lost a lease when it renews; what it claims anew is another lease, for that alone."""
    yard = any_yard
    yard.queue("ann@example.net")

    async def work() -> None:
        claims = Claims(yard.store, yard.keyring, yard.blobs, ONE, gone=lambda _conn, _owner: False)
        rooms = [Room("outside", 10)]
        ((old,), _) = await claims.claim(rooms, yard.clock(), HOUR)
        claims.hold(old.entries, yard.clock() + leases.LEASE)
        ahead = yard.clock() + leases.LEASE + MINUTE  # the clock of another machine
        await yard.store.commit(lambda conn: leases.return_lapsed(conn, ahead))
        yard.clock.pass_(leases.LEASE / 2)
        assert claims.still_ours(old, yard.clock()), "nobody has said so yet"
        await claims.keep_house(["outside"], yard.clock(), HOUR)
        assert not claims.still_ours(old, yard.clock())
        ((new,), _) = await claims.claim(rooms, yard.clock(), HOUR)
        claims.hold(new.entries, yard.clock() + leases.LEASE)
        assert not claims.still_ours(old, yard.clock())
        claims.let_go(old.entries)
        assert claims.still_ours(new, yard.clock())

    asyncio.run(work())


def test_a_lease_that_lapsed_while_nobody_took_it_is_renewed(yard: Yard) -> None:
    """The database did not answer for longer than a lease: what the worker still has in hand stays its own."""
    yard.queue("ann@example.net")
    yard.queue("ben@example.net")

    async def work() -> None:
        claims = Claims(yard.store, yard.keyring, yard.blobs, ONE, gone=lambda _conn, _owner: False)
        ((held, dropped), _) = await claims.claim([Room("outside", 10)], yard.clock(), HOUR)
        claims.hold(held.entries, yard.clock() + leases.LEASE)
        yard.clock.pass_(leases.LEASE + MINUTE)
        assert not claims.still_ours(held, yard.clock()), "unknown, until the database has been asked"
        await claims.keep_house(["outside"], yard.clock(), HOUR)
        assert claims.still_ours(held, yard.clock())
        assert not claims.still_ours(dropped, yard.clock())

    asyncio.run(work())
    assert yard.states() == ["due", "leased"]
