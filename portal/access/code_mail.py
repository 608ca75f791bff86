"""What happened to the mail with the code, for the reader who waits for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import Connection

from relay.queue.inspection import code_mail
from relay.store.tables.queue import EntryState

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
    mail = code_mail(conn, participant_id, since - _SKEW)
    if mail is None:
        return CodeMailState(Progress.SENDING)
    if mail.state is EntryState.DONE:
        return CodeMailState(Progress.ACCEPTED, mail.finished_at)
    if mail.state in (EntryState.BOUNCED, EntryState.DROPPED):
        return CodeMailState(Progress.REFUSED)
    if mail.attempts and mail.state is EntryState.DUE:
        return CodeMailState(Progress.PUT_OFF, mail.due_at)
    return CodeMailState(Progress.SENDING)
