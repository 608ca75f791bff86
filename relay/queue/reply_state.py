"""What became of a reader's answer on its way to staff, for the page that its reader looks at."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select

from relay.store.tables import Entry
from relay.store.tables.queue import EntryState, Kind

_ENTRY = Entry.__table__  # type: ignore[attr-defined]


class ReplyProgress(StrEnum):
    """How far an answer has come."""

    SENDING = "sending"  # handed to the relay, or under way
    HANDED_OVER = "handed over"  # the next hop said 250
    PUT_OFF = "put off"  # the next hop asked us to wait
    REDIRECTED = "redirected"  # not delivered to the person: given to the organisation's mailbox


@dataclass(frozen=True, slots=True)
class ReplyState:
    """``at`` is when it was handed over or redirected, or when the next attempt is due; None while it is sending."""

    progress: ReplyProgress
    at: datetime | None = None


def reply_state(conn: Connection, message_id: bytes) -> ReplyState:
    """Return what is known of the answer with this id; an answer that is not queued yet is being sent.

    An answer to several people inside has a mail for each; the page speaks of the one to whom it was addressed.
    """
    row = conn.execute(
        select(_ENTRY.c.state, _ENTRY.c.due_at, _ENTRY.c.finished_at, _ENTRY.c.attempts)
        .where(_ENTRY.c.message_id == message_id, _ENTRY.c.kind == Kind.REPLY.value)
        .limit(1)
    ).one_or_none()
    if row is None:
        return ReplyState(ReplyProgress.SENDING)
    match EntryState(row.state):
        case EntryState.DONE:
            return ReplyState(ReplyProgress.HANDED_OVER, row.finished_at)
        case EntryState.BOUNCED | EntryState.DROPPED:
            return ReplyState(ReplyProgress.REDIRECTED, row.finished_at)
        case EntryState.DUE if row.attempts:
            return ReplyState(ReplyProgress.PUT_OFF, row.due_at)
        case _:
            return ReplyState(ReplyProgress.SENDING)
