"""What a reader did, as the sender and the data-protection officer will see it: link opened, read, answered, left.

*Link opened* and *read* are different facts: link scanners press buttons, people type codes. Reading is noted message
by message, the first time only, with the name that was given. Only reading makes an address familiar to the sender
(a mis-sent mail that nobody reads must not).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from relay.clock import id_text
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.history import observe_sent
from relay.store.tables import MessageRead, Participant, Stanza
from relay.store.tables.sealed import ReaderState
from relay.vault.keyring import Keyring
from relay.vault.opener import Link
from relay.vault.people import Role
from relay.vault.reader_names import seal_name

_PARTICIPANT = Participant.__table__  # type: ignore[attr-defined]
_READ = MessageRead.__table__  # type: ignore[attr-defined]
_STANZA = Stanza.__table__  # type: ignore[attr-defined]

# Also who was taken for unreachable: a notice that is forwarded may come back while its reader has it.
_BEFORE_OPENED = (ReaderState.WAITING.value, ReaderState.NOTIFIED.value, ReaderState.UNDELIVERABLE.value)
_BEFORE_PROVED = (*_BEFORE_OPENED, ReaderState.LINK_OPENED.value)
_BEFORE_READ = (*_BEFORE_PROVED, ReaderState.PROVED.value)


@dataclass(frozen=True, slots=True)
class Trail:
    """Writes the trail. Every method runs inside the transaction of what it records; ``keyring`` is the portal's."""

    audit: Audit
    keyring: Keyring

    def link_opened(self, conn: Connection, link: Link, now: datetime) -> None:
        """Note that somebody, or something, pressed the button on the link's page; once per reader."""
        if self._advance(conn, link, _BEFORE_OPENED, state=ReaderState.LINK_OPENED.value, opened_at=now):
            self.note(conn, Event.LINK_OPENED, link, now)

    def proved(self, conn: Connection, link: Link, now: datetime, *, named: bool) -> None:
        """Note that the right code was entered: a visit begins. ``named`` tells whether a name was given."""
        self._advance(conn, link, _BEFORE_PROVED, state=ReaderState.PROVED.value)
        # The code was mail of ours, and it arrived: what comes back from now on is told again.
        reader = (_PARTICIPANT.c.id == link.participant_id, _PARTICIPANT.c.bounced_at.is_not(None))
        conn.execute(update(_PARTICIPANT).where(*reader).values(bounced_at=None))
        self.note(conn, Event.VISIT_STARTED, link, now, {"named": named})

    def read(self, conn: Connection, link: Link, messages: Sequence[bytes], name: str, now: datetime) -> None:
        """Note those of the messages that this reader was never shown before, with the ``name`` that was given.

        The first of all makes the reader familiar to the senders.
        """
        for message_id in messages:
            if self._first(conn, link, message_id, name, now):
                self.audit.append(conn, Event.READ, message_id, {"participant": id_text(link.participant_id)}, at=now)
        if not self._advance(conn, link, _BEFORE_READ, state=ReaderState.READ.value, read_at=now):
            return
        reader = conn.execute(
            select(_PARTICIPANT.c.address_hash).where(_PARTICIPANT.c.id == link.participant_id)
        ).scalar_one()
        senders = conn.execute(
            select(_PARTICIPANT.c.address_hash).where(
                _PARTICIPANT.c.conversation_id == link.conversation_id, _PARTICIPANT.c.role == Role.SENDER
            )
        )
        for sender in senders.scalars().all():
            observe_sent(conn, now, sender, (reader,))

    @staticmethod
    def unread(conn: Connection, link: Link, messages: Sequence[bytes]) -> list[bytes]:
        """Return those of the messages that the reader was never shown: spares a page its transaction."""
        known = conn.execute(
            select(_READ.c.message_id).where(
                _READ.c.participant_id == link.participant_id, _READ.c.message_id.in_(messages)
            )
        )
        read = frozenset(known.scalars())
        return [message_id for message_id in messages if message_id not in read]

    def note(
        self,
        conn: Connection,
        event: Event,
        link: Link,
        now: datetime,
        facts: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        """Append an event to the audit of every message that the link opens, or of none when there is none left."""
        messages = conn.execute(select(_STANZA.c.message_id).where(_STANZA.c.key_id == link.link_id)).scalars().all()
        for message_id in messages or (None,):
            self.note_message(conn, event, link, now, message_id=message_id, facts=facts)

    def note_message(
        self,
        conn: Connection,
        event: Event,
        link: Link,
        now: datetime,
        *,
        message_id: bytes | None,
        facts: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        """Append an event to the audit of one message."""
        known = {"participant": id_text(link.participant_id), **(facts or {})}
        self.audit.append(conn, event, message_id, known, at=now)

    def _first(self, conn: Connection, link: Link, message_id: bytes, name: str, now: datetime) -> bool:
        """Write the row of a first reading; say whether it was the first: two browsers may show a page at once."""
        dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
        row = {
            "message_id": message_id,
            "participant_id": link.participant_id,
            "at": now,
            "name": seal_name(self.keyring, message_id, link.participant_id, name),
        }
        return bool(conn.execute(dialect.insert(_READ).values(row).on_conflict_do_nothing()).rowcount)

    @staticmethod
    def _advance(conn: Connection, link: Link, before: Sequence[str], **values: object) -> bool:
        """Move the reader on when the state is one of ``before``; say whether that was so."""
        moved = conn.execute(
            update(_PARTICIPANT)
            .where(_PARTICIPANT.c.id == link.participant_id, _PARTICIPANT.c.state.in_(before))
            .values(**values)
        )
        return bool(moved.rowcount)
