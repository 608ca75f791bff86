"""A reader's answer, written in the portal: sealed into the conversation, and mailed to the people inside.

The portal hands over the pieces of the answer and the keys of what the visit opened; everything else is checked and
drawn here. The mail to staff comes from an address of ours that holds a secret of the one who gets it, so that *Reply*
and *Reply all* mean what they always mean. What the reader typed stands in the text, never in a header (R42).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from relay.clock import new_queue_id
from relay.conversation.pickups import Pickups, Writer
from relay.conversation.shown import Shown, people_of, thread_of
from relay.errors import OvertakenError
from relay.fail_points import reached
from relay.message.reading import read
from relay.message.secret_address import AddressKind, SecretAddress
from relay.notices.reply_mail import Enclosure, Heading, ReplyMail
from relay.plan import Part
from relay.queue.errands import Deed, Errand
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.lost_replies import LostReplies
from relay.queue.outcomes import Answer
from relay.queue.own_mail import own_message_id
from relay.queue.requests import ReplyRequest, UnfitRequestError
from relay.queue.routes import REPLIES
from relay.queue.spooling import Draft, NewEntry, Spooler
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables.queue import Direction, Kind
from relay.store.writer import Store
from relay.vault.authors import author_inside
from relay.vault.blobs import BlobStore
from relay.vault.capability import Capability, by_visit
from relay.vault.correspondence import Author, Correspondence
from relay.vault.keyring import Keyring
from relay.vault.links import LinkState, reader_of
from relay.vault.people import Person, Role, people
from relay.vault.stored import OpenedMessage
from relay.vault.unfinished import DraftContent, consume, give_back, read_draft
from relay.vault.vault import SealedDraft, Vault

PATIENCE = timedelta(hours=24)  # then an answer goes to the organisation's mailbox
_ANSWERS = re.compile(r"(?:re|aw|antw|sv|vs|tr|rép|ré)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Reply:
    """Everything about one answer, checked. ``inside`` gets the mail, the first of them in To."""

    errand: Errand
    request: ReplyRequest
    capability: Capability
    writer: Person
    inside: tuple[Person, ...]
    also: tuple[Person, ...]
    everybody: tuple[Person, ...]
    answered: OpenedMessage
    content: DraftContent

    @property
    def subject(self) -> str:
        """Return the subject of the message that is answered, marked as answered once."""
        subject = self.answered.manifest.subject
        return subject if _ANSWERS.match(subject) else f"Re: {subject}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """The clerk for answers (`relay.queue.errands.Clerk`). ``expiry`` is how long an answer can be read."""

    store: Store
    keyring: Keyring
    blobs: BlobStore
    vault: Vault
    correspondence: Correspondence
    mail: ReplyMail
    pickups: Pickups
    spooler: Spooler
    audit: Audit
    domain: str
    expiry: timedelta

    def prepare(self, errand: Errand) -> Deed:
        """Return the sealed answer, the mail to the people inside and the notices to other readers. Blocking.

        Errors as `Clerk.prepare`; OvertakenError when the conversation changes at this moment: try again.
        """
        reply = self._checked(errand)
        files = [Enclosure(one.name, one.type, one.read) for one in reply.content.files]
        body = self.mail.body(reply.content.text, files, name=reply.request.name)
        thread = thread_of(self.blobs, reply.answered)
        original = self.mail.write(self._heading(reply, thread, None), body)
        sealed = self._sealed(reply, original)
        copies = [self._copy(reply, one, sealed.secrets[one.participant_id], thread, body) for one in reply.inside]
        writer = Writer(reply.writer.address)
        notices = self.pickups.about(
            sealed, writer, now=errand.at, report_to=reply.inside[0].address, subject=reply.subject
        )
        return Deed((*copies, *notices), lambda conn: self._write(conn, reply, sealed))

    def give_up(self, conn: Connection, request_id: bytes) -> None:
        """Let the reader find what they wrote as a draft again."""
        give_back(conn, request_id)

    # --- checking ---

    def _checked(self, errand: Errand) -> _Reply:
        request = errand.request
        if not isinstance(request, ReplyRequest):
            raise UnfitRequestError("this is no answer")
        with self.store.read() as conn:
            link = reader_of(conn, self.keyring, request.link_id, errand.at)
            if link is None or link.state is not LinkState.LIVE or link.participant_id != request.participant_id:
                raise UnfitRequestError("its link does not belong to that reader, or is not live")
            capability = by_visit(conn, self.keyring, request.participant_id, request.opened, errand.at)
            if not capability.messages:
                raise UnfitRequestError("it answers nothing that can still be read")
            writer, everybody = capability.holder, people(conn, self.keyring, capability.conversation_id)
            shown = Shown.load(conn, self.blobs, capability)
            answered = shown.answered(writer.participant_id)
            content = read_draft(
                conn,
                self.blobs,
                request.pieces,
                conversation_id=capability.conversation_id,
                author_id=writer.participant_id,
                answer_id=errand.id,
            )
            first = author_inside(conn, self.keyring, capability.conversation_id, answered.header.message_id)
        if first is None:
            raise UnfitRequestError("there is nobody inside to answer")
        if not content.text.strip() and not content.files:
            raise UnfitRequestError("it is empty")
        also = self._also(request, writer, everybody, shown)
        inside = (first, *self._colleagues(writer, first, everybody, answered))
        return _Reply(errand, request, capability, writer, inside, also, everybody, answered, content)

    def _also(
        self, request: ReplyRequest, writer: Person, everybody: Sequence[Person], shown: Shown
    ) -> tuple[Person, ...]:
        """Return the other readers whom the answer goes to; only who was shown to the writer can be one of them."""
        seen = {self.keyring.address_hash(one) for one in shown.addresses()}
        allowed = {
            one.participant_id: one
            for one in everybody
            if one.reads
            and not one.blind
            and one.participant_id != writer.participant_id
            and self.keyring.address_hash(one.address) in seen
        }
        if request.also_to and (writer.blind or not allowed.keys() >= set(request.also_to)):
            raise UnfitRequestError("it is for somebody whom its writer was not shown")
        # Who was taken back from the conversation is not written to behind the sender's back.
        return tuple(allowed[one] for one in request.also_to if allowed[one].recalled_at is None)

    def _colleagues(
        self, writer: Person, first: Person, everybody: Sequence[Person], answered: OpenedMessage
    ) -> tuple[Person, ...]:
        """Return who else inside stood in To or Cc of what is answered; a blind reader writes to the sender only."""
        if writer.blind:
            return ()
        named = {self.keyring.address_hash(one) for one in people_of(answered)}
        return tuple(
            one
            for one in everybody
            if one.role is Role.SENDER
            and not one.removed
            and one.participant_id != first.participant_id
            and self.keyring.address_hash(one.address) in named
        )

    # --- writing ---

    def _sealed(self, reply: _Reply, original: bytes) -> SealedDraft:
        errand, writer = reply.errand, reply.writer
        listed = {one.participant_id for one in reply.everybody if one.reads and not one.blind}
        return self.correspondence.seal_into(
            capability=reply.capability,
            conversation_id=writer.conversation_id,
            message_id=errand.id,
            reading=read(original),
            original=original,
            author=Author.READER,
            author_id=writer.participant_id,
            to=(writer, *reply.also),
            now=errand.at,
            expires_at=errand.at + self.expiry,
            fresh_links=[one.participant_id for one in reply.also],
            to_all=listed <= {writer.participant_id, *(one.participant_id for one in reply.also)},
            secrets_for=[one.participant_id for one in reply.inside],
        )

    def _copy(self, reply: _Reply, to: Person, secret: bytes, thread: Sequence[str], body: bytes) -> Draft:
        """Return the mail for one person inside; the first has the answer's own id."""
        errand = reply.errand
        main = to is reply.inside[0]
        return self.spooler.draft(
            QueuedEnvelope("", until=errand.at + PATIENCE),
            [NewEntry(Kind.REPLY, REPLIES, EntryEnvelope(to.address), reply.writer.participant_id)],
            self.mail.write(self._heading(reply, thread, secret), body),
            now=errand.at,
            message_id=errand.id if main else new_queue_id(),
            parent=reply.answered.header.message_id if main else errand.id,
            direction=Direction.REPLY,
            message_id_hash=self.keyring.text_hash("message-id", own_message_id(errand.id, self.domain)),
        )

    def _heading(self, reply: _Reply, thread: Sequence[str], secret: bytes | None) -> Heading:
        """Return the header of a copy: with addresses that hold ``secret``, or (None) with the real ones."""
        first, *others = reply.inside

        def written(one: Person) -> str:
            if secret is None:
                return one.address
            address = SecretAddress(AddressKind.READER, one.participant_id, secret)
            return self.mail.via(one.address, address.write(self.domain))

        return Heading(
            from_=written(reply.writer),
            to=[first.address],
            cc=[*(one.address for one in others), *map(written, reply.also)],
            subject=reply.subject,
            message_id=own_message_id(reply.errand.id, self.domain),
            thread=thread,
            at=reply.errand.at,
        )

    def _write(self, conn: Connection, reply: _Reply, sealed: SealedDraft) -> None:
        if not consume(conn, list(reply.request.pieces), reply.errand.at):
            raise OvertakenError("a piece of this answer is gone")
        self.vault.insert(conn, sealed)
        reached("answer: sealed message written")
        personal = {"sender": reply.writer.address, "recipients": ", ".join(one.address for one in reply.inside)}
        self.audit.append(conn, Event.SEALED, reply.errand.id, sealed.audit_facts, personal, at=reply.errand.at)


@dataclass(frozen=True, slots=True)
class ReturnedReplies:
    """What the desk for bounces does about an answer that came back."""

    lost: LostReplies

    def returned(
        self, conn: Connection, queued_id: bytes, answer: Answer, at: datetime, mail: bytes | None = None
    ) -> Part:
        """Return the mail to the organisation's mailbox."""
        return Part(drafts=(self.lost.draft_returned(conn, queued_id, answer, at, mail),))
