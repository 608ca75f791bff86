"""A duty: what is still unread after some days. The reader is reminded once, and the sender is told once.

Each sealed message is looked at a single time, in the order in which messages were accepted; how far that has come
stands in the meta table. So an idle gateway reads a few rows a minute, and a gateway that stood still for a week
catches up. A reader who is not there any more, from whom the message was taken back or whom our mail does not reach
is not reminded: the sender knows about those already. Nor is anybody of a conversation in which a row was changed.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, Select, exists, func, or_, select, update

from relay.clock import id_text, new_queue_id
from relay.conversation.silence_place import Place, move, place_of
from relay.errors import StoreError
from relay.notices.letterhead import thread_fields
from relay.notices.reminders import ReminderNotices, Silent
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id, reader_thread, receipt_of
from relay.queue.routes import Routes
from relay.queue.spooling import Draft, NewEntry, Spooler, insert_message
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import (
    Decision,
    Entry,
    Key,
    MachineThread,
    MessageRead,
    Participant,
    QueuedMessage,
    Sealed,
    Stanza,
)
from relay.store.tables.queue import EntryState, Kind
from relay.store.tables.sealed import ReaderState, SealedState
from relay.store.writer import Store
from relay.vault.authors import author_inside
from relay.vault.capability import SealingError
from relay.vault.keyring import Keyring
from relay.vault.people import Person, people

EVERY = 60.0  # seconds
_AT_ONCE = 50  # messages
_A_DAY = timedelta(days=1)
_SEALED_LATE = timedelta(days=2)  # a copy that a rule held is sealed under the moment at which it was accepted
_REACHED = (ReaderState.NOTIFIED, ReaderState.LINK_OPENED, ReaderState.PROVED, ReaderState.READ)
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_STANZA = Stanza.__table__  # type: ignore[attr-defined]
_KEY = Key.__table__  # type: ignore[attr-defined]
_READ = MessageRead.__table__  # type: ignore[attr-defined]
_READER = Participant.__table__  # type: ignore[attr-defined]
_DECISION = Decision.__table__  # type: ignore[attr-defined]
_MACHINE = MachineThread.__table__  # type: ignore[attr-defined]
_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Silence:
    """The duty. ``after`` None means never. ``quiet`` are the rules whose senders want no receipt, hence no note."""

    store: Store
    keyring: Keyring
    audit: Audit
    notices: ReminderNotices
    spooler: Spooler
    routes: Routes
    domain: str
    after: timedelta | None
    quiet: Collection[str] = ()

    def waits(self, now: datetime) -> bool:
        """Tell whether there is a message to look at, or no place to begin from yet. Blocking; StoreError."""
        if self.after is None:
            return False
        with self.store.read() as conn:
            place = place_of(conn)
            return (
                place is None or _far_behind(place, now - self.after) or bool(_next(conn, place, now - self.after, 1))
            )

    def look(self, now: datetime) -> int:
        """Look at the messages whose time has come; return how many. Blocking; StoreError.

        One process at a time should (`relay.store.duties`); a second does no harm, because the place is moved in the
        transaction that writes the mail.
        """
        if self.after is None:
            return 0
        with self.store.read() as conn:
            place = place_of(conn)
        if place is None:
            # The first time: what is older was sent before anybody asked for reminders.
            self.store.run(lambda conn: move(conn, None, Place(now - self.after, b"")))  # type: ignore[operator]
            return 0
        done = 0
        while place is not None:
            rows = self._batch(place, now - self.after)
            if not rows:
                self._pass_by(place, now - self.after)
                break
            for row in rows:
                place = self._message(row, place, now)
                if place is None:
                    break  # another process moved it
                done += 1
        return done

    def _batch(self, place: Place, until: datetime) -> Sequence[Row[Any]]:
        with self.store.read() as conn:
            return _next(conn, place, until, _AT_ONCE)

    def _pass_by(self, place: Place, until: datetime) -> None:
        """Move the place over mail that nobody sealed: each look would go through all of it again."""
        if _far_behind(place, until):
            self.store.run(lambda conn: move(conn, place, Place(until - _SEALED_LATE, b"")))

    def _message(self, row: Row[Any], place: Place, now: datetime) -> Place | None:
        """Write what one message's silence calls for, and the place behind it; None when somebody else was faster."""
        behind = Place(row.accepted_at, row.id)
        silent, drafts = self._called_for(row, now)

        def write(conn: Connection) -> Place | None:
            if not move(conn, place, behind):
                return None
            for draft in drafts:
                insert_message(conn, draft)
            for one in silent:
                conn.execute(update(_READER).where(_READER.c.id == one.participant_id).values(reminded_at=now))
            if silent:
                told = "and the sender was told" if len(drafts) > len(silent) else "the sender was not told"
                self.audit.append(
                    conn,
                    Event.REMINDED,
                    row.id,
                    {"told": told},
                    {"readers": ", ".join(one.address for one in silent)},
                    at=now,
                )
            return behind

        return self.store.run(write)

    def _called_for(self, row: Row[Any], now: datetime) -> tuple[list[Person], list[Draft]]:
        """Return who is silent, and the mail about it."""
        if row.state != SealedState.LIVE.value or row.expires_at <= now:
            return [], []
        try:
            with self.store.read() as conn:
                silent = self._silent(conn, row)
                return silent, self._drafts(conn, row, silent, now) if silent else []
        except SealingError as error:  # no other message's reminder is kept back for it
            _log.warning("nobody is reminded", queue_id=id_text(row.id), reason=str(error))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  # nor for a defect of ours
            _log.exception("nobody is reminded", queue_id=id_text(row.id))
        return [], []

    def _silent(self, conn: Connection, row: Row[Any]) -> list[Person]:
        """Return the readers for whom the message was sealed, who could read it, and who have not."""
        entitled = set(
            conn.execute(
                select(_KEY.c.participant_id)
                .join(_STANZA, _STANZA.c.key_id == _KEY.c.id)
                .where(_STANZA.c.message_id == row.id)
            ).scalars()
        )
        seen = set(conn.execute(select(_READ.c.participant_id).where(_READ.c.message_id == row.id)).scalars())
        return [
            one
            for one in people(conn, self.keyring, row.conversation_id)
            if one.reads
            and one.participant_id in entitled - seen
            and one.participant_id != row.author_id
            and one.state in _REACHED
            and one.recalled_at is None
            and one.bounced_at is None
            and (one.read_at is None or one.read_at < row.accepted_at)
            and (one.reminded_at is None or one.reminded_at < row.accepted_at)
        ]

    def _drafts(self, conn: Connection, row: Row[Any], silent: Sequence[Person], now: datetime) -> list[Draft]:
        sender = author_inside(conn, self.keyring, row.conversation_id, row.id)
        drafts = [self._reminder(conn, row, one, sender, now) for one in silent]
        if sender is not None and self._wants_to_know(conn, row):
            drafts.append(self._note(conn, row, silent, sender, now))
        return drafts

    def _reminder(self, conn: Connection, row: Row[Any], reader: Person, sender: Person | None, now: datetime) -> Draft:
        queued_id = new_queue_id()
        notice = conn.execute(
            select(_MESSAGE.c.id)
            .join(_ENTRY, _ENTRY.c.message_id == _MESSAGE.c.id)
            .where(_ENTRY.c.participant_id == reader.participant_id, _ENTRY.c.kind == Kind.NOTICE.value)
            .order_by(_MESSAGE.c.accepted_at.desc())
            .limit(1)
        ).scalar_one_or_none()
        address = sender.address if sender else ""
        composed = self.notices.reminder(
            reader=reader.address,
            sender=address,
            sent_at=row.accepted_at,
            until=row.expires_at,
            now=now,
            message_id=own_message_id(queued_id, self.domain),
            thread=thread_fields(
                [
                    reader_thread(self.keyring, reader.participant_id, self.domain),
                    *([own_message_id(notice, self.domain)] if notice else []),
                ]
            ),
        )
        entry = NewEntry(
            Kind.REMINDER, self.routes.name_for(reader.address), EntryEnvelope(reader.address), reader.participant_id
        )
        envelope = QueuedEnvelope("", smtputf8=not reader.address.isascii(), report_to=address)
        return self.spooler.draft(envelope, [entry], composed.content, now=now, message_id=queued_id, parent=row.id)

    def _note(self, conn: Connection, row: Row[Any], silent: Sequence[Person], sender: Person, now: datetime) -> Draft:
        queued_id, receipt, left = new_queue_id(), receipt_of(conn, row.id), _handed_over(conn, row.id)
        composed = self.notices.unread(
            to=sender.address,
            silent=[Silent(one.address, left.get(one.participant_id, one.notified_at), _opened(one)) for one in silent],
            sent_at=row.accepted_at,
            until=row.expires_at,
            now=now,
            message_id=own_message_id(queued_id, self.domain),
            thread=thread_fields([own_message_id(receipt, self.domain)] if receipt else []),
        )
        entry = NewEntry(Kind.CONTROL, self.routes.name_for(sender.address), EntryEnvelope(sender.address))
        envelope = QueuedEnvelope("", smtputf8=not sender.address.isascii())
        return self.spooler.draft(envelope, [entry], composed.content, now=now, message_id=queued_id, parent=row.id)

    def _wants_to_know(self, conn: Connection, row: Row[Any]) -> bool:
        """Whether the sender is a person, and one of the rules that sealed the message does not say "never"."""
        machine = exists().where(_MACHINE.c.conversation_id == row.conversation_id)
        if conn.execute(select(machine)).scalar():
            return False
        decided = select(_DECISION.c.rules).where(_DECISION.c.message_id == row.id, _DECISION.c.action == "seal")
        rules = {rule for one in conn.execute(decided).scalars() for rule in json.loads(one)}
        return not rules or not rules <= set(self.quiet)


def _far_behind(place: Place, until: datetime) -> bool:
    """Tell whether a day's mail and more lies between the place and what may still be sealed."""
    return place.at < until - _SEALED_LATE - _A_DAY


def _next(conn: Connection, place: Place, until: datetime, limit: int) -> Sequence[Row[Any]]:
    """Return sealed messages behind the place and not newer than ``until``, the oldest first."""
    behind = or_(_MESSAGE.c.accepted_at > place.at, (_MESSAGE.c.accepted_at == place.at) & (_MESSAGE.c.id > place.id))
    statement: Select[Any] = (
        select(
            _MESSAGE.c.id,
            _MESSAGE.c.accepted_at,
            _SEALED.c.conversation_id,
            _SEALED.c.state,
            _SEALED.c.expires_at,
            _SEALED.c.author_id,
        )
        .join(_SEALED, _SEALED.c.id == _MESSAGE.c.id)
        .where(_MESSAGE.c.accepted_at >= place.at, behind, _MESSAGE.c.accepted_at <= until)
        .order_by(_MESSAGE.c.accepted_at, _MESSAGE.c.id)
        .limit(limit)
    )
    return conn.execute(statement).all()


def _handed_over(conn: Connection, message_id: bytes) -> dict[bytes, datetime]:
    """Return when the notice of a message was handed over, by reader; that of an earlier one says nothing of it."""
    left = (
        select(_ENTRY.c.participant_id, func.max(_ENTRY.c.finished_at))
        .join(_MESSAGE, _MESSAGE.c.id == _ENTRY.c.message_id)
        .where(
            _MESSAGE.c.parent == message_id,
            _ENTRY.c.kind == Kind.NOTICE.value,
            _ENTRY.c.state == EntryState.DONE.value,
            _ENTRY.c.finished_at.is_not(None),
        )
        .group_by(_ENTRY.c.participant_id)
    )
    return dict(conn.execute(left).all())


def _opened(reader: Person) -> bool | None:
    """Whether a reader opened the link; None where nobody knows: who has read an earlier message did, once."""
    return None if reader.state is ReaderState.READ else reader.state is not ReaderState.NOTIFIED
