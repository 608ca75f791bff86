"""Expiry and sweeping: what opens a message goes first, its bytes next, nothing before its time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from relay.clock import new_id
from relay.store.audit import Audit
from relay.store.duties import META
from relay.store.events import Event
from relay.store.folding import COUNTERS, faded, fold, forget
from relay.store.history import _OBSERVATION, acquaintances, observe_sent
from relay.store.tables import Part, Sealed, Stanza
from relay.store.writer import Store
from relay.vault import sweeping
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT, LinkState
from relay.vault.opener import Link, Opened
from relay.vault.retention import Swept, sweep
from relay.vault.steady import doubt
from relay.vault.vault import SealedDraft

from .conftest import EXPIRES, NOW

SEALED = Sealed.__table__  # type: ignore[attr-defined]
STANZA = Stanza.__table__  # type: ignore[attr-defined]
PART = Part.__table__  # type: ignore[attr-defined]
DAY = timedelta(days=1)

Seal = Callable[..., SealedDraft]
Sweep = Callable[[datetime], Swept]


@pytest.fixture
def audit(keyring: Keyring) -> Audit:
    return Audit(keyring, "relay-0")


@pytest.fixture
def sweep_at(store: Store, blobs: FileBlobs, keyring: Keyring, audit: Audit) -> Sweep:
    """Sweep at a moment, with a clock that came there day by day."""

    def do(now: datetime) -> Swept:
        store.run(lambda connection: connection.execute(META.delete().where(META.c.name == "sweep clock")) and None)
        return sweep(store, blobs, keyring, audit, now)

    return do


def count(store: Store, table: object) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def state(store: Store, draft: SealedDraft) -> str:
    with store.read() as connection:
        found: str = connection.execute(select(SEALED.c.state).where(SEALED.c.id == draft.message_id)).scalar_one()
    return found


def test_nothing_goes_before_its_time(seal: Seal, sweep_at: Sweep, open_all: Callable[..., Opened]) -> None:
    """A second before it expires a message is whole."""
    draft = seal(original=b"x" * 300_000)
    just_before = EXPIRES - timedelta(seconds=1)
    assert sweep_at(just_before) == Swept()
    assert open_all(draft, now=just_before).messages


def test_expired_message_is_gone_for_good(
    *,
    seal: Seal,
    sweep_at: Sweep,
    store: Store,
    audit: Audit,
    arrive: Callable[..., Link | None],
    open_all: Callable[..., Opened],
    tmp_path: Path,
) -> None:
    """Stanzas, wrapped key, parts and files go; the link still says that it expired, and the audit says when."""
    draft, young = seal(original=b"x" * 300_000), seal(expires_at=EXPIRES + 9 * DAY)
    swept = sweep_at(EXPIRES)
    assert (swept.expired, swept.destroyed, swept.blobs) == (1, 1, 1)
    assert state(store, draft) == "destroyed"
    with store.read() as connection:
        row = connection.execute(select(SEALED).where(SEALED.c.id == draft.message_id)).one()
        assert row.wrapped == b""
        assert connection.execute(select(STANZA).where(STANZA.c.message_id == draft.message_id)).all() == []
        assert connection.execute(select(PART).where(PART.c.message_id == draft.message_id)).all() == []
        assert [line.event for line in audit.events_of(connection, draft.message_id)] == ["expired", "destroyed"]
    assert [file for file in (tmp_path / "blobs").rglob("*") if file.is_file()] == []
    link = arrive(draft, now=EXPIRES)
    assert link is not None
    assert link.state is LinkState.EXPIRED
    assert open_all(young, now=EXPIRES).messages


def test_stanzas_go_in_an_earlier_commit_than_parts(
    *, seal: Seal, store: Store, keyring: Keyring, audit: Audit, blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the sweep stops between its steps, what opens the message is gone already, and the next sweep goes on."""
    draft = seal()

    def stops(*_: object, **__: object) -> int:
        raise RuntimeError("killed")

    monkeypatch.setattr("relay.vault.retention._destroy", stops)
    with pytest.raises(RuntimeError):
        sweep(store, blobs, keyring, audit, EXPIRES)
    assert state(store, draft) == "expired"
    assert count(store, STANZA) == 0
    assert count(store, PART) > 0
    monkeypatch.undo()
    assert sweep(store, blobs, keyring, audit, EXPIRES + timedelta(minutes=10)).destroyed == 1
    assert count(store, PART) == 0


def test_more_messages_than_a_batch_expire_in_one_sweep(
    seal: Seal, sweep_at: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are small so that mail gets through in between; a sweep does them all."""
    monkeypatch.setattr("relay.vault.retention.BATCH", 2)
    for _ in range(5):
        seal()
    assert sweep_at(EXPIRES).expired == 5
    assert sweep_at(EXPIRES + DAY) == Swept()


def test_month_key_goes_one_grace_period_after_the_month(
    seal: Seal, sweep_at: Sweep, keyring: Keyring, key_folder: Path
) -> None:
    """The key of December is there until 7 January, and then nowhere."""
    seal()
    assert sweep_at(datetime(2027, 1, 7, 23, 59, tzinfo=UTC)).keks == 0
    assert [kek.bucket for kek in keyring.keks.files()] == ["2026-12"]
    assert sweep_at(datetime(2027, 1, 8, tzinfo=UTC)).keks == 1
    assert keyring.keks.files() == ()
    assert list((key_folder / "shared").glob("kek-*")) == []
    assert "kek " in (key_folder / "tombstones").read_text()


def test_key_is_kept_while_a_message_still_needs_it(
    seal: Seal, store: Store, blobs: FileBlobs, keyring: Keyring, audit: Audit
) -> None:
    """A message that was extended under an old key keeps that key alive."""
    draft = seal()
    late = datetime(2027, 2, 1, tzinfo=UTC)
    extended = SEALED.update().where(SEALED.c.id == draft.message_id).values(expires_at=late + DAY)
    store.run(lambda connection: connection.execute(extended) and None)
    assert sweep(store, blobs, keyring, audit, late).keks == 0
    assert len(keyring.keks.files()) == 1


def test_old_rows_go_and_young_ones_stay(seal: Seal, store: Store, sweep_at: Sweep) -> None:
    """A year after it expired, nothing tells of a conversation; a day before, its link still says that it expired."""
    seal()
    seal(expires_at=EXPIRES + 50 * DAY)
    sweep_at(EXPIRES + 364 * DAY)
    assert (count(store, SEALED), count(store, KEY), count(store, PARTICIPANT)) == (2, 4, 4)
    sweep_at(EXPIRES + 366 * DAY)
    assert (count(store, SEALED), count(store, KEY), count(store, PARTICIPANT)) == (1, 2, 2)


def test_codes_visits_counters_and_requests_go(store: Store, sweep_at: Sweep) -> None:
    """What the portal kept for minutes does not stay for months."""
    past, young = NOW - 100 * DAY, NOW
    store.run(partial(_portal_rows, moments=(past, young)))
    assert sweep_at(NOW + timedelta(minutes=1)).rows == 4
    for table in (sweeping._CODE, sweeping._VISIT, sweeping._THROTTLE, sweeping._REQUEST):
        assert count(store, table) == 1


def _portal_rows(connection: Connection, moments: tuple[datetime, ...]) -> None:
    for at in moments:
        ids = {"id": new_id(), "link_id": new_id()}
        code = {"mac": b"", "sealed": b"", "state": "fresh", "tries": 0, "sends": 1}
        connection.execute(sweeping._CODE.insert().values(**ids, **code, created_at=at, sent_at=at, expires_at=at))
        visit = {"conversation_id": b"", "participant_id": b"", "link_key": b""}
        connection.execute(sweeping._VISIT.insert().values(**ids, **visit, created_at=at, seen_at=at))
        until = at + timedelta(hours=1)
        connection.execute(sweeping._THROTTLE.insert().values(bucket=new_id(), count=1, until=until))
        connection.execute(sweeping._REQUEST.insert().values(id=new_id(), kind=1, item=b"", created_at=at))


def test_finished_mail_goes_after_a_month_and_waiting_mail_stays(store: Store, sweep_at: Sweep) -> None:
    """Queue rows of what was sent go; what still waits is never dropped, however old it is."""
    store.run(partial(_queue_rows, states=("done", "bounced", "due", "leased", "held", "paused")))
    assert sweep_at(NOW + 29 * DAY).rows == 0
    assert sweep_at(NOW + 31 * DAY).rows == 2
    assert (count(store, sweeping._MESSAGE), count(store, sweeping._ENTRY)) == (4, 4)


def _queue_rows(connection: Connection, states: tuple[str, ...]) -> None:
    for entry_state in states:
        message_id = new_id()
        message = {"direction": "out", "accepted_at": NOW, "size": 1, "envelope": b""}
        connection.execute(sweeping._MESSAGE.insert().values(id=message_id, **message))
        entry = {"kind": "mail", "route": "outside", "domain": "example.net", "recipient_hash": b"", "envelope": b""}
        times = {"created_at": NOW, "due_at": NOW, "attempts": 0, "lease_epoch": 0}
        connection.execute(
            sweeping._ENTRY.insert().values(id=new_id(), message_id=message_id, state=entry_state, **entry, **times)
        )


def test_old_observations_go_only_when_counted(store: Store, sweep_at: Sweep) -> None:
    """What is not yet counted is kept, however old."""
    for _ in range(2):
        store.run(partial(observe_sent, at=NOW, sender=new_id(), recipients=[new_id()]))
    assert store.run(partial(fold, limit=1)) == 1
    sweep_at(NOW + 731 * DAY)
    assert count(store, _OBSERVATION) == 1


def test_counters_end_three_years_after_the_last_mail(store: Store, sweep_at: Sweep) -> None:
    """Who has not exchanged mail for years is a stranger again; whoever wrote once in between is not."""
    anna, jane, joe = (new_id() for _ in range(3))
    for at, recipient in ((NOW, jane), (NOW, joe), (NOW + 600 * DAY, joe)):
        store.run(partial(observe_sent, at=at, sender=anna, recipients=[recipient]))
    store.run(fold)

    def left() -> tuple[set[bytes], int]:
        with store.read() as connection:
            return set(acquaintances(connection, anna, [jane, joe])), count(store, COUNTERS[1])

    sweep_at(NOW + 1094 * DAY)
    assert left() == ({jane, joe}, 1)
    sweep_at(NOW + 1096 * DAY)
    assert left() == ({joe}, 1)
    assert sweep_at(NOW + 1096 * DAY + timedelta(hours=23)).rows == 0  # looked at once a day
    sweep_at(NOW + 1696 * DAY)
    assert left() == (set(), 0)
    assert count(store, COUNTERS[0]) == 0


def test_a_counter_that_grew_since_it_was_found_stays(store: Store) -> None:
    """Between the look and the removal the folder may have added a message."""
    anna, jane = new_id(), new_id()
    pairs = COUNTERS[0]
    store.run(partial(observe_sent, at=NOW, sender=anna, recipients=[jane]))
    store.run(fold)
    with store.read() as connection:
        found = faded(connection, pairs, NOW + DAY, 10)
    assert len(found) == 2  # hers, and the organisation's
    store.run(partial(observe_sent, at=NOW + 2 * DAY, sender=anna, recipients=[jane]))
    store.run(fold)
    store.run(partial(forget, counters=pairs, keys=found, before=NOW + DAY))
    assert count(store, pairs) == 2


def test_a_reading_is_awaited_until_the_message_is_destroyed(seal: Seal, store: Store, sweep_at: Sweep) -> None:
    """What nobody has read by then nobody will read; what was read is still to be reported."""
    read, unread = seal(), seal()
    row = {"message_id": read.message_id, "participant_id": new_id(), "at": NOW}
    store.run(lambda connection: connection.execute(sweeping._READ.insert().values(row)) and None)
    store.run(lambda connection: connection.execute(SEALED.update().values(notify_read=True)) and None)
    sweep_at(EXPIRES)
    assert {state(store, one) for one in (read, unread)} == {"destroyed"}
    with store.read() as connection:
        awaited = connection.execute(select(SEALED.c.id).where(SEALED.c.notify_read)).scalars().all()
    assert awaited == [read.message_id]


def test_personal_facts_are_forgotten_after_a_year(store: Store, sweep_at: Sweep, audit: Audit) -> None:
    """Events stay, whom they name goes, and a younger event keeps its names."""
    old, young = new_id(), new_id()
    for message_id, at in ((old, NOW), (young, NOW + 10 * DAY)):
        append = partial(audit.append, event=Event.ACCEPTED, message_id=message_id, personal={"sender": "anna"}, at=at)
        store.run(append)
    sweep_at(NOW + 370 * DAY)
    with store.read() as connection:
        assert [line.personal for line in audit.events_of(connection, old)] == [None]
        assert [line.personal for line in audit.events_of(connection, young)] == [{"sender": "anna"}]
    sweep_at(NOW + 380 * DAY)
    with store.read() as connection:
        assert [line.personal for line in audit.events_of(connection, young)] == [None]


def test_clock_that_jumps_a_year_expires_nothing(
    *, seal: Seal, store: Store, blobs: FileBlobs, keyring: Keyring, audit: Audit, open_all: Callable[..., Opened]
) -> None:
    """A wrong clock is a sentence and no loss; when it is right again everything goes on."""
    draft = seal()
    sweep(store, blobs, keyring, audit, NOW)
    swept = sweep(store, blobs, keyring, audit, NOW + 366 * DAY)
    assert "nothing is destroyed until it has been steady" in swept.doubt
    assert swept.expired == 0
    assert sweep(store, blobs, keyring, audit, NOW + timedelta(minutes=10)) == Swept()
    assert open_all(draft).messages


@pytest.mark.parametrize("jump", [timedelta(days=3), timedelta(days=366), timedelta(days=-366)])
def test_clock_that_stays_is_believed_after_an_hour(store: Store, jump: timedelta) -> None:
    """After a holiday the machine sweeps again, one steady hour after its start."""

    def asked(now: datetime) -> bool:
        return bool(store.run(partial(doubt, now=now)))

    assert not asked(NOW)
    later = NOW + jump
    assert asked(later)
    assert asked(later + timedelta(minutes=30))
    assert not asked(later + timedelta(minutes=61))
    assert not asked(later + timedelta(minutes=71))
    assert asked(later + 30 * DAY)
    assert asked(later + 60 * DAY)
    assert asked(later + 60 * DAY + timedelta(minutes=59))
    assert not asked(later + 60 * DAY + timedelta(minutes=60))
