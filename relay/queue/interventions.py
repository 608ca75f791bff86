"""What an operator does to the queue by hand: try again, keep back, let go on, drop. Each leaves its line in the audit.

An identifier names one entry, or a message with all its entries. NotFoundError for one that names nothing; RefusedError
when nothing of it is in a state for what is asked: what is being sent is finished, and what is finished stays so.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from relay.clock import id_text
from relay.errors import RefusedError
from relay.queue import pauses
from relay.queue.inspection import UNREADABLE, ListedEntry, show_entries
from relay.queue.recording import let_go
from relay.queue.spooling import Draft, insert_message
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState
from relay.vault.keyring import Keyring

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
Action = Callable[[Connection, Keyring, Audit, bytes, datetime], int]
WAITING = (EntryState.DUE, EntryState.PAUSED)  # what no worker holds


def retry(conn: Connection, keyring: Keyring, audit: Audit, identifier: bytes, now: datetime) -> int:
    """Make entries due at once (an entry, or all waiting ones of a message); return how many."""
    waiting = _in_state(conn, keyring, identifier, (EntryState.DUE,), "waiting")
    for entry in waiting:
        # In the past on any worker's clock, so that a clock which has jumped delays nothing.
        conn.execute(update(_ENTRY).where(_ENTRY.c.id == entry.id).values(due_at=entry.created_at))
        _audit(conn, audit, Event.RETRIED, entry, now)
    return len(waiting)


def waiting_ids(conn: Connection, *, domain: str = "", route: str = "") -> Sequence[bytes]:
    """Return the ids of all entries that wait for their next try: for a domain, on a route, or without either all."""
    chosen = select(_ENTRY.c.id).where(_ENTRY.c.state == EntryState.DUE.value)
    if domain:
        chosen = chosen.where(_ENTRY.c.domain == domain)
    if route:
        chosen = chosen.where(_ENTRY.c.route == route)
    return conn.execute(chosen).scalars().all()


def retry_portion(
    conn: Connection, audit: Audit, entry_ids: Sequence[bytes], facts: Mapping[str, str], now: datetime
) -> int:
    """Make those of some entries that wait still due at once; return how many. ``facts`` tell the audit which they are.

    A few hundred at a time: while a transaction lasts nobody else writes, and clients wait for their 250.
    """
    waiting = (_ENTRY.c.id.in_(entry_ids), _ENTRY.c.state == EntryState.DUE.value)
    retried = conn.execute(update(_ENTRY).where(*waiting).values(due_at=_ENTRY.c.created_at)).rowcount
    if retried:
        audit.append(conn, Event.RETRIED, facts={**facts, "entries": retried}, at=now)
    return retried


def drop(
    conn: Connection,
    keyring: Keyring,
    audit: Audit,
    identifier: bytes,
    now: datetime,
    *,
    reports: Sequence[Draft] = (),
) -> int:
    """Take waiting and paused entries out of the queue for good; return how many. ``reports`` tell their senders."""
    waiting = _in_state(conn, keyring, identifier, WAITING, "waiting")
    for entry in waiting:
        conn.execute(
            update(_ENTRY)
            .where(_ENTRY.c.id == entry.id, _ENTRY.c.state == entry.state.value)
            .values(state=EntryState.DROPPED.value, finished_at=now, lease_epoch=_ENTRY.c.lease_epoch + 1)
        )
        _audit(conn, audit, Event.DROPPED, entry, now)
    for report in reports:
        insert_message(conn, report)
    let_go(conn, {entry.message_id for entry in waiting}, now)
    return len(waiting)


def pause(conn: Connection, keyring: Keyring, audit: Audit, identifier: bytes, now: datetime) -> int:
    """Keep waiting entries back until `resume`; return how many."""
    waiting = _in_state(conn, keyring, identifier, (EntryState.DUE,), "waiting")
    for entry in waiting:
        pauses.pause_entry(conn, entry.id, now)
        _audit(conn, audit, Event.PAUSED, entry, now)
    return len(waiting)


def resume(conn: Connection, keyring: Keyring, audit: Audit, identifier: bytes, now: datetime) -> int:
    """Let paused entries go on, due at once; return how many. RefusedError while all of their domain is paused."""
    waiting = _in_state(conn, keyring, identifier, (EntryState.PAUSED,), "paused")
    kept = pauses.destinations(conn) & {entry.domain for entry in waiting}
    if kept:
        domain = min(kept)
        raise RefusedError(f'all mail for {domain} is paused: "letterlock queue resume --to {domain}" lets it go on')
    for entry in waiting:
        pauses.resume_entry(conn, entry.id, now)
        _audit(conn, audit, Event.RESUMED, entry, now)
    return len(waiting)


def pause_destination(conn: Connection, audit: Audit, domain: str, now: datetime) -> bool:
    """Let nothing leave to a domain, now and in future, until `resume_destination`; False when that was so already."""
    begun = pauses.pause_destination(conn, domain, now)
    if begun:
        audit.append(conn, Event.PAUSED, facts={"domain": domain}, at=now)
    return begun


def resume_destination(conn: Connection, audit: Audit, domain: str, now: datetime) -> int:
    """Let mail for a domain go on, entries that were paused one by one too; return how many are due now.

    RefusedError when nothing was paused.
    """
    was, due = pauses.resume_destination(conn, domain, now)
    if not was and not due:
        raise RefusedError(f"nothing for {domain} is paused")
    audit.append(conn, Event.RESUMED, facts={"domain": domain}, at=now)
    return due


def _in_state(
    conn: Connection, keyring: Keyring, identifier: bytes, states: Sequence[EntryState], word: str
) -> tuple[ListedEntry, ...]:
    entries = show_entries(conn, keyring, identifier, keep=True)
    fitting = tuple(entry for entry in entries if entry.state in states)
    if not fitting:
        words = {entry.why for entry in entries}
        raise RefusedError(f"nothing of {id_text(identifier)} is {word} ({'; '.join(sorted(words))})")
    return fitting


def _audit(conn: Connection, audit: Audit, event: Event, entry: ListedEntry, now: datetime) -> None:
    facts = {"entry": entry.id.hex(), "kind": entry.kind}
    personal = {} if entry.recipient == UNREADABLE else {"recipient": entry.recipient}
    audit.append(conn, event, entry.message_id, facts, personal, at=now)
