"""Copies that left as ordinary messages: whether they were handed over can be said of them, and nothing more."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from relay.errors import LetterlockError
from relay.notices.controls import Progress, RecipientLine
from relay.queue.items import open_entry
from relay.store.tables import Entry, QueuedMessage
from relay.store.tables.queue import EntryState, Kind
from relay.vault.keyring import Keyring

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_PROGRESS = {
    EntryState.DUE.value: Progress.DIRECT_WAITING,
    EntryState.LEASED.value: Progress.DIRECT_WAITING,
    EntryState.PAUSED.value: Progress.DIRECT_WAITING,
    EntryState.DONE.value: Progress.DIRECT,
    EntryState.BOUNCED.value: Progress.DIRECT_FAILED,
}


@dataclass(frozen=True, slots=True)
class DirectCopy:
    """One recipient's copy. ``address`` is ``…@domain`` where the key of that day is gone: the queue forgets names."""

    address: str
    recipient_hash: bytes
    progress: Progress
    at: datetime | None

    @property
    def out_of_reach(self) -> bool:
        """Whether the copy has left, so that nobody can take it back."""
        return self.progress is not Progress.DIRECT_FAILED

    @property
    def line(self) -> RecipientLine:
        """How an answer shows it."""
        return RecipientLine(self.address, self.progress, self.at)


def direct_copies(conn: Connection, keyring: Keyring, message_ids: Collection[bytes]) -> tuple[DirectCopy, ...]:
    """Return the ordinary copies of these messages, and of the mails that they came in, each recipient once.

    What waits for a decision, or was dropped, did not leave and is not among them.
    """
    of = _MESSAGE.c.id.in_(list(message_ids))
    parents = set(conn.execute(select(_MESSAGE.c.parent).where(of, _MESSAGE.c.parent.is_not(None))).scalars())
    rows = conn.execute(
        select(_ENTRY)
        .where(
            _ENTRY.c.message_id.in_([*message_ids, *parents]),
            _ENTRY.c.kind == Kind.MAIL.value,
            _ENTRY.c.state.in_(list(_PROGRESS)),
        )
        .order_by(_ENTRY.c.created_at, _ENTRY.c.id)
    ).all()
    found: dict[bytes, DirectCopy] = {}
    for row in rows:
        try:
            address = open_entry(keyring, row.id, row.message_id, row.route, row.envelope).recipient
        except LetterlockError:
            address = f"…@{row.domain}"
        found[row.recipient_hash] = DirectCopy(address, row.recipient_hash, _PROGRESS[row.state], row.finished_at)
    return tuple(found.values())
