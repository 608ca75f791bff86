"""The queue as a person sees it: listing, showing, trying again, dropping; and what became of a code mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, update
from sqlalchemy.engine import Row

from relay.clock import id_text
from relay.errors import LetterlockError, NotFoundError, RefusedError
from relay.queue.items import REPLY, open_entry, open_message
from relay.queue.recording import let_go
from relay.queue.spooling import Draft, insert_message
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import Entry, QueuedMessage
from relay.store.tables.queue import EntryState, Kind
from relay.vault.keyring import Keyring

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
UNFINISHED = (EntryState.DUE, EntryState.LEASED, EntryState.PAUSED)
UNREADABLE = "(not readable: its key is gone)"


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One entry. ``recipient``, ``sender`` and ``reply`` say so when their key is gone; ``sender`` may be empty."""

    id: bytes
    message_id: bytes
    kind: Kind
    route: str
    state: EntryState
    recipient: str
    sender: str
    size: int
    created_at: datetime
    due_at: datetime
    attempts: int
    reply: str
    lease_until: datetime | None
    finished_at: datetime | None

    @property
    def why(self) -> str:
        """Say in one sentence why the entry is where it is."""
        if self.state is EntryState.DUE and self.attempts:
            tries = "attempt" if self.attempts == 1 else "attempts"
            return f"waits for its next try after {self.attempts} {tries}: {self.reply}"
        return _WHY[self.state].format(reply=self.reply)


_WHY = {
    EntryState.LEASED: "being sent",
    EntryState.DUE: "waits for its first try",
    EntryState.HELD: 'held until somebody decides ("letterlock held list")',
    EntryState.PAUSED: 'kept back by an operator ("letterlock queue resume" lets it go on)',
    EntryState.BOUNCED: "given up: {reply}",
    EntryState.DROPPED: "taken out of the queue",
    EntryState.DONE: "handed over to the next hop",
}


def list_entries(
    conn: Connection,
    keyring: Keyring,
    *,
    states: Sequence[EntryState] = UNFINISHED,
    route: str | None = None,
    limit: int = 100,
) -> tuple[ListedEntry, ...]:
    """Return entries in these states, those due first on top."""
    chosen = _selected().where(_ENTRY.c.state.in_([state.value for state in states]))
    if route is not None:
        chosen = chosen.where(_ENTRY.c.route == route)
    rows = conn.execute(chosen.order_by(_ENTRY.c.due_at, _ENTRY.c.id).limit(limit))
    return tuple(_listed(keyring, row) for row in rows)


def count_entries(conn: Connection) -> dict[EntryState, int]:
    """Return how many entries there are in each state."""
    counted = select(_ENTRY.c.state, func.count()).group_by(_ENTRY.c.state)
    return {EntryState(state): count for state, count in conn.execute(counted)}


def show_entries(conn: Connection, keyring: Keyring, identifier: bytes) -> tuple[ListedEntry, ...]:
    """Return the entry with this id, or all entries of the message with this id; NotFoundError for neither."""
    found = (_ENTRY.c.id == identifier) | (_ENTRY.c.message_id == identifier)
    rows = conn.execute(_selected().where(found).order_by(_ENTRY.c.created_at, _ENTRY.c.id)).all()
    if not rows:
        raise NotFoundError(f"there is no queue entry or message {id_text(identifier)}")
    return tuple(_listed(keyring, row) for row in rows)


def retry(conn: Connection, keyring: Keyring, audit: Audit, identifier: bytes, now: datetime) -> int:
    """Make entries due at once (an entry, or all waiting ones of a message); return how many.

    RefusedError when nothing of it is waiting: what is finished is never sent again.
    """
    waiting = _waiting(conn, keyring, identifier)
    for entry in waiting:
        # In the past on any worker's clock, so that a clock which has jumped delays nothing.
        conn.execute(update(_ENTRY).where(_ENTRY.c.id == entry.id).values(due_at=entry.created_at))
        _audit(conn, audit, Event.RETRIED, entry, now)
    return len(waiting)


def drop(
    conn: Connection,
    keyring: Keyring,
    audit: Audit,
    identifier: bytes,
    now: datetime,
    *,
    reports: Sequence[Draft] = (),
) -> int:
    """Take waiting entries out of the queue for good; return how many. ``reports`` tell their senders.

    RefusedError when nothing of it is waiting.
    """
    waiting = _waiting(conn, keyring, identifier)
    for entry in waiting:
        conn.execute(
            update(_ENTRY)
            .where(_ENTRY.c.id == entry.id, _ENTRY.c.state == EntryState.DUE.value)
            .values(state=EntryState.DROPPED.value, finished_at=now, lease_epoch=_ENTRY.c.lease_epoch + 1)
        )
        _audit(conn, audit, Event.DROPPED, entry, now)
    for report in reports:
        insert_message(conn, report)
    let_go(conn, {entry.message_id for entry in waiting}, now)
    return len(waiting)


@dataclass(frozen=True, slots=True)
class CodeMail:
    """How far a code mail has come, for the page that waits for it."""

    state: EntryState
    due_at: datetime
    finished_at: datetime | None
    attempts: int


def code_mail(conn: Connection, participant_id: bytes, since: datetime) -> CodeMail | None:
    """Return the newest code mail to a reader queued at or after ``since``; None while the request still waits."""
    row = conn.execute(
        select(_ENTRY.c.state, _ENTRY.c.due_at, _ENTRY.c.finished_at, _ENTRY.c.attempts)
        .where(
            _ENTRY.c.participant_id == participant_id,
            _ENTRY.c.kind == Kind.CODE.value,
            _ENTRY.c.created_at >= since,
        )
        .order_by(_ENTRY.c.created_at.desc())
        .limit(1)
    ).first()
    return CodeMail(EntryState(row.state), row.due_at, row.finished_at, row.attempts) if row else None


def _selected() -> Select[Any]:
    message = (_MESSAGE.c.envelope.label("message_envelope"), _MESSAGE.c.size)
    return select(_ENTRY, *message).join(_MESSAGE, _MESSAGE.c.id == _ENTRY.c.message_id)


def _waiting(conn: Connection, keyring: Keyring, identifier: bytes) -> tuple[ListedEntry, ...]:
    entries = show_entries(conn, keyring, identifier)
    waiting = tuple(entry for entry in entries if entry.state is EntryState.DUE)
    if not waiting:
        words = {entry.why for entry in entries}
        raise RefusedError(f"nothing of {id_text(identifier)} is waiting ({'; '.join(sorted(words))})")
    return waiting


def _listed(keyring: Keyring, row: Row[Any]) -> ListedEntry:
    try:
        recipient = open_entry(keyring, row.id, row.message_id, row.route, row.envelope).recipient
        sender = open_message(keyring, row.message_id, row.message_envelope).reverse_path
    except (LetterlockError, ValueError):
        recipient, sender = UNREADABLE, UNREADABLE
    return ListedEntry(
        id=row.id,
        message_id=row.message_id,
        kind=Kind(row.kind),
        route=row.route,
        state=EntryState(row.state),
        recipient=recipient,
        sender=sender,
        size=row.size,
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        reply=_reply(keyring, row),
        lease_until=row.lease_until,
        finished_at=row.finished_at,
    )


def _reply(keyring: Keyring, row: Row[Any]) -> str:
    if row.last_reply is None:
        return ""
    try:
        words = keyring.spool_open(REPLY, row.id, row.last_reply).decode()
    except (LetterlockError, ValueError):
        return UNREADABLE
    return f"{row.last_code} {words}" if row.last_code else words


def _audit(conn: Connection, audit: Audit, event: Event, entry: ListedEntry, now: datetime) -> None:
    facts = {"entry": entry.id.hex(), "kind": entry.kind.value}
    personal = {} if entry.recipient == UNREADABLE else {"recipient": entry.recipient}
    audit.append(conn, event, entry.message_id, facts, personal, at=now)
