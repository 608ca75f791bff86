"""Leases: which worker sends which entry, so that no two ever do it knowingly.

``due -> leased`` by a claim. A lease has an owner, an end and an epoch; each claim and each lapse counts the
epoch up, and `relay.queue.recording` only writes under the epoch it was given. So a worker that was stopped
for a minute and has lost its leases records nothing, whatever it believes it has done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, and_, bindparam, func, literal, or_, select, update
from sqlalchemy.engine import Row

from relay.clock import id_text
from relay.errors import LetterlockError
from relay.queue.content import Content, MemoryContent
from relay.queue.items import (
    SPOOL,
    Consignment,
    QueuedEntry,
    QueuedEnvelope,
    StoredContent,
    open_entry,
    open_head,
    open_message,
)
from relay.store.prepared import Prepared
from relay.store.tables import Entry, QueuedMessage, Spool
from relay.store.tables.queue import EntryState, Kind
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_SPOOL = Spool.__table__  # type: ignore[attr-defined]
_log = structlog.get_logger()

LEASE = timedelta(minutes=10)  # a worker renews what it holds longer than a third of this

_CHOSEN = (
    select(_ENTRY.c.id)
    .where(
        _ENTRY.c.state == EntryState.DUE.value,
        _ENTRY.c.route == bindparam("of_route"),
        _ENTRY.c.due_at <= bindparam("at"),
        _ENTRY.c.domain.not_in(bindparam("but_for", expanding=True)),
    )
    .order_by(_ENTRY.c.due_at)
    .limit(bindparam("most"))
    # PostgreSQL: two workers never wait for each other's rows. SQLite has one writer and ignores it.
    .with_for_update(skip_locked=True)
    # As a subquery PostgreSQL may run it anew for each row that it compares, and each time it finds another entry.
    .cte("chosen")
)
_CLAIM = (
    update(_ENTRY)
    .where(_ENTRY.c.id.in_(select(_CHOSEN.c.id)))
    .values(
        state=EntryState.LEASED.value,
        lease_owner=bindparam("owner"),
        lease_epoch=_ENTRY.c.lease_epoch + 1,
        lease_until=bindparam("until"),
    )
    .returning(
        _ENTRY.c.id,
        _ENTRY.c.message_id,
        _ENTRY.c.route,
        _ENTRY.c.kind,
        _ENTRY.c.envelope,
        _ENTRY.c.lease_epoch,
        _ENTRY.c.created_at,
        _ENTRY.c.due_at,
        _ENTRY.c.attempts,
        _ENTRY.c.warned_at,
        _ENTRY.c.participant_id,
    )
)
_ANY_DUE = Prepared(
    select(_ENTRY.c.id)
    .where(
        _ENTRY.c.state == literal(EntryState.DUE.value),
        _ENTRY.c.route == bindparam("of_route"),
        _ENTRY.c.due_at <= bindparam("at"),
    )
    .limit(1)
)
_BACK_TO_DUE = {
    "state": EntryState.DUE.value,
    "lease_owner": None,
    "lease_until": None,
    "lease_epoch": _ENTRY.c.lease_epoch + 1,
}


@dataclass(frozen=True, slots=True)
class Damaged:
    """A claimed entry that cannot be read: its key is gone, or somebody changed the row."""

    entry_id: bytes
    message_id: bytes
    epoch: int
    created_at: datetime
    attempts: int


def any_due(conn: Connection, route: str, now: datetime) -> bool:
    """Tell whether an entry of a route is due."""
    return bool(_ANY_DUE.rows(conn, {"of_route": route, "at": now}))


def claim(
    conn: Connection,
    owner: bytes,
    route: str,
    now: datetime,
    limit: int,
    *,
    until: datetime | None = None,
    but_for: Sequence[str] = (),
) -> list[Row[Any]]:
    """Lease up to ``limit`` due entries of a route to ``owner``, the longest due first; `load` opens the rows.

    None of the domains in ``but_for``: for them enough is in memory. The leases end at ``until``, else after `LEASE`.
    """
    values = {"of_route": route, "at": now, "most": limit, "owner": owner, "but_for": but_for}
    return list(conn.execute(_CLAIM, values | {"until": until or now + LEASE}).all())


def by_hand(row: Row[Any]) -> bool:
    """Tell whether a person made a claimed entry due again (`relay.queue.interventions`)."""
    return bool(row.attempts) and bool(row.due_at <= row.created_at)


def ahead_of(conn: Connection, now: datetime) -> timedelta:
    """Return how far the clock by which leases end is ahead of ``now``.

    It is that of the database, where several machines share it; on SQLite there is one machine, and one clock.
    """
    if conn.dialect.name != "postgresql":
        return timedelta()
    there: datetime = conn.execute(select(func.clock_timestamp())).scalar_one()
    return there - now


def load(
    conn: Connection, keyring: Keyring, blobs: BlobStore, claimed: Sequence[Row[Any]]
) -> tuple[list[Consignment], list[Damaged]]:
    """Open claimed rows: one consignment per message and route, contents that lie in rows in memory.

    ``conn`` reads what was committed. What cannot be opened comes back apart: nothing is dropped for it.
    """
    ids = list({row.message_id for row in claimed})
    envelopes = {
        row.id: row
        for row in conn.execute(
            select(_MESSAGE.c.id, _MESSAGE.c.size, _MESSAGE.c.envelope).where(_MESSAGE.c.id.in_(ids))
        )
    }
    spool = {row.message_id: row for row in conn.execute(select(_SPOOL).where(_SPOOL.c.message_id.in_(ids)))}
    groups: dict[tuple[bytes, str], list[QueuedEntry]] = {}
    whole: dict[bytes, tuple[QueuedEnvelope, Content]] = {}
    damaged: list[Damaged] = []
    for row in claimed:
        try:
            if row.message_id not in whole:
                whole[row.message_id] = (
                    open_message(keyring, row.message_id, envelopes[row.message_id].envelope),
                    spooled_content(keyring, blobs, spool[row.message_id]),
                )
            entry = _opened(keyring, row)
        except (LetterlockError, KeyError, OSError, TypeError, ValueError):
            damaged.append(Damaged(row.id, row.message_id, row.lease_epoch, row.created_at, row.attempts))
            continue
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  # a defect of ours concerns this entry alone, not the whole queue
            _log.exception("a queue entry was not opened", entry=id_text(row.id), queue_id=id_text(row.message_id))
            damaged.append(Damaged(row.id, row.message_id, row.lease_epoch, row.created_at, row.attempts))
            continue
        groups.setdefault((row.message_id, row.route), []).append(entry)
    consignments = [
        Consignment(message_id, route, *whole[message_id], tuple(entries))
        for (message_id, route), entries in groups.items()
    ]
    return consignments, damaged


def _opened(keyring: Keyring, row: Row[Any]) -> QueuedEntry:
    return QueuedEntry(
        id=row.id,
        kind=Kind(row.kind),
        envelope=open_entry(keyring, row.id, row.message_id, row.route, row.envelope),
        epoch=row.lease_epoch,
        created_at=row.created_at,
        attempts=row.attempts,
        warned=row.warned_at is not None,
        participant_id=row.participant_id,
    )


def renew(conn: Connection, owner: bytes, entry_ids: Sequence[bytes], now: datetime) -> set[tuple[bytes, int]]:
    """Put off the end of leases that ``owner`` still holds, lapsed ones too; return id and epoch of each."""
    if not entry_ids:
        return set()
    renewed = conn.execute(
        update(_ENTRY)
        .where(_ENTRY.c.id.in_(entry_ids), _ENTRY.c.lease_owner == owner, _held())
        .values(lease_until=now + LEASE)
        .returning(_ENTRY.c.id, _ENTRY.c.lease_epoch)
    )
    return {(row.id, row.lease_epoch) for row in renewed}


def release(conn: Connection, owner: bytes, entry_ids: Sequence[bytes]) -> None:
    """Give back entries that ``owner`` holds and has not begun to send: they are due at once."""
    if entry_ids:
        conn.execute(
            update(_ENTRY)
            .where(_ENTRY.c.id.in_(entry_ids), _ENTRY.c.lease_owner == owner, _held())
            .values(**_BACK_TO_DUE)
        )


def recover(conn: Connection, owner: bytes) -> int:
    """Take back everything that an earlier life of this worker held; return how many entries.

    Only for the start of a worker, or for one that is known to be dead: two live workers must never share an owner.
    """
    return conn.execute(update(_ENTRY).where(_ENTRY.c.lease_owner == owner, _held()).values(**_BACK_TO_DUE)).rowcount


def absent_holders(conn: Connection, owner: bytes, gone: Callable[[Connection, bytes], bool]) -> list[bytes]:
    """Return the owners of leases of whom ``gone`` says that they are not there; ``owner`` is ourselves."""
    holders = conn.execute(select(_ENTRY.c.lease_owner).where(_held(), _ENTRY.c.lease_owner != owner).distinct())
    return [holder for holder in holders.scalars().all() if gone(conn, holder)]


def return_lapsed(conn: Connection, now: datetime) -> int:
    """Make lapsed leases of any worker due again; return how many entries.

    A lease that ends later than any worker could have asked for was written under a clock that has since been
    put right: it counts as lapsed.
    """
    lapsed = or_(_ENTRY.c.lease_until < now, _ENTRY.c.lease_until > now + 2 * LEASE)
    return conn.execute(update(_ENTRY).where(and_(_held(), lapsed)).values(**_BACK_TO_DUE)).rowcount


def other_routes(conn: Connection, known: Sequence[str]) -> list[str]:
    """Return the routes that due entries wait for and that are not among ``known``."""
    due = _ENTRY.c.state == EntryState.DUE.value
    return sorted(conn.execute(select(_ENTRY.c.route).where(due, _ENTRY.c.route.not_in(known)).distinct()).scalars())


def bring_forward(conn: Connection, routes: Sequence[str], now: datetime, longest: timedelta) -> int:
    """Make due what no honest pause explains: a clock that jumped must not silence the queue for a year (R7)."""
    return conn.execute(
        update(_ENTRY)
        .where(
            _ENTRY.c.state == EntryState.DUE.value,
            _ENTRY.c.route.in_(routes),
            _ENTRY.c.due_at > now + 2 * longest,
        )
        .values(due_at=now)
    ).rowcount


def _held() -> Any:
    return _ENTRY.c.state == EntryState.LEASED.value


def spooled_content(keyring: Keyring, blobs: BlobStore, row: Row[Any]) -> Content:
    """Return the bytes of a spool row; LetterlockError or OSError when they cannot be read."""
    if row.blob_id is None:
        return MemoryContent(keyring.spool_open(SPOOL, row.message_id, row.content))
    length = blobs.length(row.blob_id)
    reader = keyring.spool_reader(SPOOL, row.message_id, row.epoch_id, length)
    stored = StoredContent(keyring, blobs, row.message_id, row.blob_id, row.epoch_id, reader.size)
    return stored if row.content is None else stored.under(open_head(keyring, row.message_id, row.content))
