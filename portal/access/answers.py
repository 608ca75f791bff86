"""Sending what a reader wrote: once, at a bearable pace, to the sender and to readers who were shown (R42).

Nothing of an answer's header is typed by the reader: the relay writes it from rows that it checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import Connection, exists, or_, select

from portal.access.company import Fellow
from portal.access.visits import Guest
from relay.fail_points import reached
from relay.queue.requests import request_reply
from relay.store.tables import PortalRequest, QueuedMessage, Sealed
from relay.store.throttle import Limit, Throttles
from relay.vault.drafts import Draft, Drafts
from relay.vault.keyring import Keyring
from relay.vault.opener import OpenedMessage
from relay.vault.pen import Pen

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
SENT_HOUR = Limit("answers of a link in an hour", 20, _HOUR)
SENT_DAY = Limit("answers of a link in a day", 60, _DAY)
SAVED_HOUR = Limit("drafts saved with a link in an hour", 200, _HOUR)
LATE_DAY = Limit("drafts saved with a link after its visit in a day", 20, _DAY)

_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
_SEALED = Sealed.__table__  # type: ignore[attr-defined]


class Outcome(Enum):
    """What became of pressing *send*."""

    SENT = "sent"
    SENT_BEFORE = "sent before"  # by the same form, which came twice
    EMPTY = "empty"
    CHANGED = "changed"  # the draft is not what it was a moment ago


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to be sent: ``id`` was drawn for the form, ``opened`` is what the visit was shown."""

    id: bytes
    draft: Draft
    opened: Sequence[OpenedMessage]
    also_to: Sequence[Fellow]


@dataclass(frozen=True, slots=True)
class Answers:
    """Sends answers: leaves them with the relay, which carries them."""

    keyring: Keyring
    drafts: Drafts
    throttles: Throttles

    def known(self, conn: Connection, answer_id: bytes) -> bool:
        """Say whether an answer with this id was sent: a form that comes twice sends one answer.

        The id comes with the form, and a reader knows other ids: none that is taken can become an answer's.
        """
        return bool(
            conn.execute(
                select(
                    or_(
                        exists().where(_MESSAGE.c.id == answer_id),
                        exists().where(_REQUEST.c.id == answer_id),
                        exists().where(or_(_SEALED.c.id == answer_id, _SEALED.c.answer_id == answer_id)),
                    )
                )
            ).scalar()
        )

    def admit(self, conn: Connection, pen: Pen, now: datetime, *, late: bool) -> None:
        """Count a form with text or files, ``late`` after its visit's end; ThrottledError when there were too many."""
        link = pen.link_id.hex()
        self.throttles.take(conn, [(SAVED_HOUR, link), *([(LATE_DAY, link)] if late else [])], now)

    def send(self, conn: Connection, guest: Guest, answer: Answer, now: datetime) -> Outcome:
        """Hand the visit's draft to the relay, in the caller's transaction.

        ThrottledError, and TooLargeError for a draft that was put together in several windows: undo the transaction.
        """
        if self.known(conn, answer.id):
            return Outcome.SENT_BEFORE
        if not answer.draft:
            return Outcome.EMPTY
        pen = Pen.of(guest.link)
        pieces = self.drafts.hand_over(conn, pen, answer.draft, answer.id) if pen else {}
        reached("answer: pieces bound")
        if not pieces:
            return Outcome.CHANGED
        link = guest.link.link_id.hex()
        self.throttles.take(conn, [(SENT_HOUR, link), (SENT_DAY, link)], now)
        request_reply(
            conn,
            self.keyring,
            request_id=answer.id,
            link_id=guest.link.link_id,
            participant_id=guest.link.participant_id,
            pieces=pieces,
            opened={message.header.message_id: message.message_key.dek for message in answer.opened},
            also_to=[fellow.participant_id for fellow in answer.also_to],
            name=guest.name,
            now=now,
        )
        return Outcome.SENT
