"""The queue as a person sees it: listing and showing; and what became of a code mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.engine import Row

from relay.clock import id_text
from relay.errors import LetterlockError, NotFoundError
from relay.queue.items import REPLY, open_entry, open_message
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
    kind: str  # as it stands in the row, which somebody may have changed
    route: str
    domain: str
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries to list. What is empty or None leaves all; ``to`` and ``sender`` are a domain or an address.

    Domains are in lower case and A-labels. ``sender`` ``<>`` means the null one: notices and reports. ``queued_before``
    leaves those that are older.
    """

    states: Sequence[EntryState] = UNFINISHED
    route: str = ""
    to: str = ""
    sender: str = ""
    queued_before: datetime | None = None

    def sent_by(self, sender: str) -> bool:
        """Tell whether a reverse-path is of the sender who is wanted."""
        if self.sender == "<>":
            return not sender
        wanted, address = self.sender.lower(), sender.lower()
        return not wanted or address == wanted or ("@" not in wanted and address.endswith(f"@{wanted}"))


def list_entries(
    conn: Connection, keyring: Keyring, wanted: Wanted | None = None, *, limit: int = 100
) -> tuple[ListedEntry, ...]:
    """Return up to ``limit`` of the wanted entries, all unfinished ones by default, those due first on top."""
    wanted = wanted or Wanted()
    chosen = _selected().where(_ENTRY.c.state.in_([state.value for state in wanted.states]))
    if wanted.route:
        chosen = chosen.where(_ENTRY.c.route == wanted.route)
    if "@" in wanted.to:
        chosen = chosen.where(_ENTRY.c.recipient_hash == keyring.address_hash(wanted.to))
    elif wanted.to:
        chosen = chosen.where(_ENTRY.c.domain == wanted.to)
    if wanted.queued_before is not None:
        chosen = chosen.where(_ENTRY.c.created_at <= wanted.queued_before)
    chosen = chosen.order_by(_ENTRY.c.due_at, _ENTRY.c.id)
    # A sender is sealed, with the rest of the envelope: only when it is opened does one know.
    chosen = chosen.execution_options(yield_per=500) if wanted.sender else chosen.limit(limit)
    with conn.execute(chosen) as rows:
        listed = (_listed(keyring, row) for row in rows)
        return tuple(islice((entry for entry in listed if wanted.sent_by(entry.sender)), limit))


def count_entries(conn: Connection) -> dict[EntryState, int]:
    """Return how many entries there are in each state."""
    counted = select(_ENTRY.c.state, func.count()).group_by(_ENTRY.c.state)
    return {EntryState(state): count for state, count in conn.execute(counted)}


def show_entries(
    conn: Connection, keyring: Keyring, identifier: bytes, *, keep: bool = False
) -> tuple[ListedEntry, ...]:
    """Return the entry with this id, or all entries of the message with this id; NotFoundError for neither.

    With ``keep`` no other transaction changes them until the end of this one: no worker takes them meanwhile.
    """
    found = (_ENTRY.c.id == identifier) | (_ENTRY.c.message_id == identifier)
    chosen = _selected().where(found).order_by(_ENTRY.c.created_at, _ENTRY.c.id)
    rows = conn.execute(chosen.with_for_update(of=_ENTRY) if keep else chosen).all()  # SQLite has one writer
    if not rows:
        raise NotFoundError(f"there is no queue entry or message {id_text(identifier)}")
    return tuple(_listed(keyring, row) for row in rows)


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


def _listed(keyring: Keyring, row: Row[Any]) -> ListedEntry:
    try:
        recipient = open_entry(keyring, row.id, row.message_id, row.route, row.envelope).recipient
        sender = open_message(keyring, row.message_id, row.message_envelope).reverse_path
    except (LetterlockError, ValueError):
        recipient, sender = UNREADABLE, UNREADABLE
    return ListedEntry(
        id=row.id,
        message_id=row.message_id,
        kind=row.kind,
        route=row.route,
        domain=row.domain,
        state=EntryState(row.state),
        recipient=recipient,
        sender=sender,
        size=row.size,
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        reply=reply_words(keyring, row),
        lease_until=row.lease_until,
        finished_at=row.finished_at,
    )


def reply_words(keyring: Keyring, row: Row[Any]) -> str:
    """Return what the next hop said last of an entry, or we of it; empty before a first try."""
    if row.last_reply is None:
        return ""
    try:
        words = keyring.spool_open(REPLY, row.id, row.last_reply).decode()
    except (LetterlockError, ValueError):
        return UNREADABLE
    return f"{row.last_code} {words}" if row.last_code else words
