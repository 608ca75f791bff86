"""A reader's answer that could not be handed over goes to the organisation's own mailbox, with a sentence why.

Its reader was told on the page that it is on its way, so it must reach a person. The mailbox gets it without secrets:
what opens the conversation belongs to the sender alone.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from relay.clock import new_queue_id
from relay.errors import LetterlockError
from relay.message.block import header_end
from relay.message.reading import read
from relay.message.secret_address import SecretAddress
from relay.message.spellings import Spellings, splice
from relay.notices.replies import ReplyNotices
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.outcomes import Answer
from relay.queue.own_mail import own_message_id
from relay.queue.routes import Routes
from relay.queue.settling import Settled
from relay.queue.spooling import Draft, NewEntry, Spooler
from relay.store.tables import Entry, QueuedMessage
from relay.store.tables.queue import Direction, Kind
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.people import people, person

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class LostReplies:
    """Writes these mails. ``mailbox`` is [gateway] fallback_mailbox, ``domain`` the gateway's own."""

    store: Store
    keyring: Keyring
    notices: ReplyNotices
    spooler: Spooler
    routes: Routes
    mailbox: str
    domain: str

    def draft(self, settled: Settled) -> Draft:
        """Return the mail for an answer that was given up, with the answer attached. Blocking; StoreError."""
        with self.store.read() as conn:
            try:
                answer = self._without_secrets(conn, b"".join(settled.consignment.content.pieces()))
            except (LetterlockError, OSError):
                answer = None  # a mail without the answer is better than none
            return self._mail(conn, settled.consignment.message_id, settled.answer, settled.at, answer)

    def draft_returned(
        self, conn: Connection, queued_id: bytes, why: Answer, at: datetime, mail: bytes | None = None
    ) -> Draft:
        """Return the mail for an answer that came back after it had been taken: it is not at hand any more.

        ``mail`` is what the report brought back; it is attached where it is that answer, which its Message-ID says.
        """
        ours = mail is not None and queued_id in self._of_same_answer(conn, mail)
        return self._mail(conn, queued_id, why, at, self._without_secrets(conn, mail) if mail and ours else None)

    def _mail(self, conn: Connection, queued_id: bytes, why: Answer, at: datetime, answer: bytes | None) -> Draft:
        own_id = new_queue_id()
        row = conn.execute(select(_ENTRY).where(_ENTRY.c.message_id == queued_id).limit(1)).one()
        reader = person(conn, self.keyring, row.participant_id) if row.participant_id is not None else None
        inside = people(conn, self.keyring, reader.conversation_id) if reader is not None else ()
        hashes = {self.keyring.address_hash(one.address): one.address for one in inside}
        composed = self.notices.undelivered(
            to=self.mailbox,
            reader=reader.address if reader else "",
            recipient=hashes.get(row.recipient_hash, ""),
            why=f"{why.code or ''} {why.said}".strip(),
            now=at,
            message_id=own_message_id(own_id, self.domain),
            answer=answer,
        )
        return self.spooler.draft(
            QueuedEnvelope(""),
            [NewEntry(Kind.REPLY, self.routes.name_for(self.mailbox), EntryEnvelope(self.mailbox), row.participant_id)],
            composed.content,
            now=at,
            message_id=own_id,
            parent=queued_id,
            direction=Direction.REPLY,
        )

    def _of_same_answer(self, conn: Connection, mail: bytes) -> set[bytes]:
        """Return the queued ids of the answer that a mail claims to be by its Message-ID."""
        message_id = read(mail).message_id
        named = select(_MESSAGE.c.id).where(
            _MESSAGE.c.message_id_hash == self.keyring.text_hash("message-id", message_id),
            _MESSAGE.c.direction == Direction.REPLY.value,
        )
        return set(conn.execute(named).scalars()) if message_id else set()

    def _without_secrets(self, conn: Connection, mail: bytes) -> bytes:
        """Return an answer as it was to leave, with real addresses in its header; its text holds no secret of ours."""

        def real(address: SecretAddress) -> str | None:
            found = person(conn, self.keyring, address.id)
            return found.address if found is not None else None

        stop = header_end(mail)[0]
        return splice(mail, Spellings(self.domain, real).find(mail[:stop]))
