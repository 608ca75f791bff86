"""What became of an answer that a reader sent, for the page that shows it."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import Connection, select

from relay.store.tables import Entry
from relay.store.tables.queue import EntryState

_ENTRY = Entry.__table__  # type: ignore[attr-defined]


class Progress(Enum):
    """How far the answer has come."""

    SENDING = "sending"  # on its way to the organisation's mail server
    HANDED_OVER = "handed over"
    PUT_OFF = "put off"  # the server asks us to wait
    REDIRECTED = "redirected"  # given to the organisation's own mailbox


@dataclass(frozen=True, slots=True)
class AnswerState:
    """``at`` is when it was handed over, or when the next attempt is due; None where there is nothing to say."""

    progress: Progress
    at: datetime | None = None


def reply_state(conn: Connection, message_id: bytes) -> AnswerState:
    """Return what became of the answer with this message id."""
    row = conn.execute(
        select(_ENTRY).where(_ENTRY.c.message_id == message_id).order_by(_ENTRY.c.created_at.desc()).limit(1)
    ).one_or_none()
    if row is None:
        return AnswerState(Progress.SENDING)
    if row.state == EntryState.DONE.value:
        return AnswerState(Progress.HANDED_OVER, row.finished_at)
    if row.attempts and row.state == EntryState.DUE.value:
        return AnswerState(Progress.PUT_OFF, row.due_at)
    return AnswerState(Progress.SENDING)
