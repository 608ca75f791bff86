"""What an operator keeps back: single entries, or everything for a domain, until it may go on.

Not the hold of a rule (`relay.queue.holds`), which asks a sender a question: here nobody is asked, and nothing but the
operator's word ends it. Mail for a paused domain becomes ``paused`` when a worker next looks into the queue, mail that
comes later too. Time does not run against it: how long delivery is tried, and when its sender is warned, counts from
the moment when it goes on (``created_at``, as after a hold). Of a paused entry, ``due_at`` is the moment since which
it waits.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from relay.store.prepared import Prepared
from relay.store.tables import Entry, PausedDestination
from relay.store.tables.queue import EntryState

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_PAUSED = PausedDestination.__table__  # type: ignore[attr-defined]
_DOMAINS = Prepared(select(_PAUSED.c.domain))
_KEPT_DOMAINS = Prepared(select(_PAUSED.c.domain).with_for_update(read=True))
_WAITS = {"state": EntryState.PAUSED.value, "lease_epoch": _ENTRY.c.lease_epoch + 1}
_GOES_ON = {
    "state": EntryState.DUE.value,
    "attempts": 0,
    "warned_at": None,
    "due_at": _ENTRY.c.created_at,  # in the past on any worker's clock, also on one that has jumped
    "lease_epoch": _ENTRY.c.lease_epoch + 1,
}


@dataclass(frozen=True, slots=True)
class Pause:
    """A domain to which nothing leaves, since when, and how many entries wait for it."""

    domain: str
    since: datetime
    entries: int


def destinations(conn: Connection, *, keep: bool = False) -> frozenset[str]:
    """Return the domains to which nothing is to leave.

    With ``keep`` nobody lets one of them go on until this transaction has ended: what it puts aside for them would
    stay behind. For transactions that write.
    """
    return frozenset(domain for (domain,) in (_KEPT_DOMAINS if keep else _DOMAINS).rows(conn, {}))


def list_pauses(conn: Connection) -> tuple[Pause, ...]:
    """Return the paused domains in alphabetical order."""
    waiting = (
        select(func.count())
        .where(_ENTRY.c.state == EntryState.PAUSED.value, _ENTRY.c.domain == _PAUSED.c.domain)
        .scalar_subquery()
    )
    rows = conn.execute(select(_PAUSED.c.domain, _PAUSED.c.since, waiting).order_by(_PAUSED.c.domain))
    return tuple(Pause(*row) for row in rows)


def pause_destination(conn: Connection, domain: str, now: datetime) -> bool:
    """Let nothing leave to a domain (lower case, A-labels); False when that was so already."""
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    row = {"domain": domain, "since": now}
    done = conn.execute(insert(_PAUSED).values(row).on_conflict_do_nothing().returning(_PAUSED.c.domain)).first()
    put_aside(conn, {domain}, now)
    return done is not None


def resume_destination(conn: Connection, domain: str, now: datetime) -> tuple[bool, int]:
    """Let mail for a domain go on: return whether it was paused, and how many entries are due now.

    Single entries for it that were paused go on too.
    """
    was = conn.execute(delete(_PAUSED).where(_PAUSED.c.domain == domain)).rowcount > 0
    waiting = (_ENTRY.c.domain == domain, _ENTRY.c.state == EntryState.PAUSED.value)
    return was, conn.execute(update(_ENTRY).where(*waiting).values(created_at=now, **_GOES_ON)).rowcount


def put_aside(conn: Connection, domains: Collection[str], now: datetime) -> None:
    """Pause what is due for these domains."""
    if domains:
        due = (_ENTRY.c.state == EntryState.DUE.value, _ENTRY.c.domain.in_(sorted(domains)))
        conn.execute(update(_ENTRY).where(*due).values(due_at=now, **_WAITS))


def pause_entry(conn: Connection, entry_id: bytes, now: datetime) -> bool:
    """Pause one entry that is due; False when it is not (a worker took it in this moment)."""
    due = (_ENTRY.c.id == entry_id, _ENTRY.c.state == EntryState.DUE.value)
    return conn.execute(update(_ENTRY).where(*due).values(due_at=now, **_WAITS)).rowcount > 0


def pause_everything(conn: Connection, now: datetime) -> int:
    """Pause what is due and what a worker holds, which must be gone; return how many entries are paused then."""
    waiting = (EntryState.DUE.value, EntryState.LEASED.value)
    conn.execute(
        update(_ENTRY)
        .where(_ENTRY.c.state.in_(waiting))
        .values(due_at=now, lease_owner=None, lease_until=None, **_WAITS)
    )
    return conn.execute(
        select(func.count()).select_from(_ENTRY).where(_ENTRY.c.state == EntryState.PAUSED.value)
    ).scalar_one()


def paused_before(conn: Connection, moment: datetime) -> int:
    """Return how many entries have been paused since before ``moment``."""
    waiting = (_ENTRY.c.state == EntryState.PAUSED.value, _ENTRY.c.due_at < moment)
    return conn.execute(select(func.count()).select_from(_ENTRY).where(*waiting)).scalar_one()


def resume_entry(conn: Connection, entry_id: bytes, now: datetime) -> bool:
    """Let one paused entry go on; it is due at once."""
    paused = (_ENTRY.c.id == entry_id, _ENTRY.c.state == EntryState.PAUSED.value)
    return conn.execute(update(_ENTRY).where(*paused).values(created_at=now, **_GOES_ON)).rowcount > 0
