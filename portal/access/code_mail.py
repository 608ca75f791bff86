"""What happened to the mail with the code, for the reader who waits for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import Connection, select

from relay.store.tables import Entry
from relay.store.tables.queue import EntryState, Kind

_TABLE = Entry.__table__  # type: ignore[attr-defined]
_SKEW = timedelta(seconds=5)  # clocks of two machines


class Progress(Enum):
    """How far the mail has come."""

    SENDING = "sending"  # handed over, or on its way
    ACCEPTED = "accepted"  # by the reader's mail server
    PUT_OFF = "put off"  # their server asked us to wait
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CodeMailState:
    """``at`` is when it was accepted, or when the next attempt is due; None where there is nothing to say."""

    progress: Progress
    at: datetime | None = None


def code_mail_state(conn: Connection, participant_id: bytes, since: datetime) -> CodeMailState:
    """Return what is known of the newest code mail to this reader that was asked for at ``since`` or later."""
    row = conn.execute(
        select(_TABLE.c.state, _TABLE.c.attempts, _TABLE.c.due_at, _TABLE.c.finished_at)
        .where(
            _TABLE.c.participant_id == participant_id,
            _TABLE.c.kind == Kind.CODE.value,
            _TABLE.c.created_at >= since - _SKEW,
        )
        .order_by(_TABLE.c.created_at.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return CodeMailState(Progress.SENDING)
    if row.state == EntryState.DONE.value:
        return CodeMailState(Progress.ACCEPTED, row.finished_at)
    if row.state in (EntryState.BOUNCED.value, EntryState.DROPPED.value):
        return CodeMailState(Progress.REFUSED)
    if row.attempts and row.state == EntryState.DUE.value:
        return CodeMailState(Progress.PUT_OFF, row.due_at)
    return CodeMailState(Progress.SENDING)
