"""The desk for control addresses: a sender answers a receipt or a question of ours, and gets an answer.

Obeyed is only who brings three things: an authorised connection, the right sender in the mail, and the secret of the
address, which stands in nobody else's mailbox. What a machine sent, and what was here before, is dropped and recorded:
an out-of-office text that quotes "recall" must not recall anything, and an answer to it would be answered again. Some
machines do not say that they are one: what is no command is answered a bounded number of times.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from relay.conversation.control.answers import Answers, Inquiry
from relay.conversation.control.commands import NotUnderstood, parse
from relay.conversation.control.direct import direct_copies
from relay.conversation.control.orders import Bounds, Orders
from relay.conversation.control.permission import Permission
from relay.conversation.holding import Holding
from relay.conversation.reception import Addressed
from relay.conversation.senders import Delegates, authors
from relay.message.secret_address import SecretAddress
from relay.plan import Arrival, Part, Told
from relay.queue.holds import Held
from relay.queue.own_mail import control_address, receipt_of
from relay.smtp.values import Reply
from relay.store.events import Event
from relay.store.tables import Entry, QueuedMessage
from relay.store.tables.queue import Direction, Kind
from relay.store.writer import Store
from relay.vault.capability import Capability, by_sender_secret
from relay.vault.issuing import renew_sender
from relay.vault.keyring import Keyring
from relay.vault.status import Author, ConversationStatus, status
from relay.vault.threads import conversation_of

_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_ENTRY = Entry.__table__  # type: ignore[attr-defined]

MOST_ANSWERS = 20  # about one message within a day; after these only commands are answered
_A_DAY = timedelta(days=1)

_NOT_AUTHORISED = Reply(550, "5.7.1", "Commands are taken only from the organisation's own mail servers and accounts")
# One answer for a wrong secret, a wrong person and a time that is over; it must be true of each.
_NOT_YOURS = Reply(
    550,
    "5.7.1",
    "This address obeys only the sender of the message, from the mailbox that got it, until the message expires",
)
_ONE_AT_A_TIME = Reply(550, "5.5.1", "Please answer one mail at a time: this one has several addresses for commands")
_NAMELESS = Reply(550, "5.7.1", "A command needs a Message-ID, so that it can never be carried out twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The desk. ``bounds`` says what may be done at all, ``permission`` who may be added."""

    store: Store
    keyring: Keyring
    delegates: Delegates
    permission: Permission
    answers: Answers
    holding: Holding
    bounds: Bounds

    def take(self, arrival: Arrival, addressed: Sequence[Addressed]) -> Part | Reply:
        """Return what a mail to a control address changes, or its refusal. StoreError, SealingError, OvertakenError."""
        if not arrival.authorised:
            return _NOT_AUTHORISED
        if len({one.address for one in addressed}) > 1:
            return _ONE_AT_A_TIME
        address = addressed[0].address
        if arrival.reading.auto_submitted or not arrival.envelope.reverse_path:
            return _dropped(address, "a machine sent it")
        if not arrival.reading.message_id:
            return _NAMELESS
        # What came earlier of this message may have been the piece for others in Cc: its command was not among it.
        alone = len(arrival.envelope.recipients) == len(addressed)
        again = arrival.key is None or (bool(arrival.earlier.messages) and not alone)
        with self.store.read() as conn:
            if again or self._was_here(conn, arrival):
                return _dropped(address, "it was here before")
            return self._answered(conn, arrival, address)

    def _answered(self, conn: Connection, arrival: Arrival, address: SecretAddress) -> Part | Reply:
        if held := self.holding.find(address.id):
            return self._about_hold(conn, arrival, address, held)
        if conversation_id := conversation_of(conn, address.id):
            return self._about_sealed(conn, arrival, address, conversation_id)
        return self._about_ordinary(conn, arrival, address)

    def _was_here(self, conn: Connection, arrival: Arrival) -> bool:
        """Say whether this very command was taken before: as long as its record is kept, not only for a day."""
        same = select(_MESSAGE.c.id).where(
            _MESSAGE.c.message_key == arrival.key, _MESSAGE.c.direction == Direction.CONTROL.value
        )
        return conn.execute(same.limit(1)).first() is not None

    def _about_hold(self, conn: Connection, arrival: Arrival, address: SecretAddress, held: Held) -> Part | Reply:
        if not self._tagged(address) or not self.delegates.may_speak_for(arrival, held.sender):
            return _NOT_YOURS
        inquiry = self._inquiry(arrival, held.sender, address)
        asked = parse(arrival.reading)
        if isinstance(asked, NotUnderstood):
            return self._help(conn, inquiry, asked, held=held)
        # One decision a mail: the next would be about copies that wait no more.
        first, *more = asked.commands
        left = tuple(" ".join((one.verb.value, *one.addresses)) for one in more)
        asked = replace(asked, commands=(first,), passed_over=left + asked.passed_over)
        decided = self.holding.decide(held, first, now=arrival.at, language=self.answers.tag(asked.languages))
        return self.answers.decision(inquiry, asked, decided)

    def _about_sealed(
        self, conn: Connection, arrival: Arrival, address: SecretAddress, conversation_id: bytes
    ) -> Part | Reply:
        capability = by_sender_secret(conn, self.keyring, conversation_id, address.secret, arrival.at)
        if capability is None or self.delegates.speaking_for(arrival, [capability.holder]) is None:
            return _NOT_YOURS
        stands = status(conn, self.keyring, conversation_id, arrival.at)
        if not _wrote_it(stands, capability):
            return _NOT_YOURS
        stands = seen_by(capability.holder.participant_id, stands)
        fresh = renew_sender(conn, self.keyring, capability, arrival.at) if stands.expires_at else None
        inquiry = self._inquiry(arrival, capability.holder.address, address)
        asked = parse(arrival.reading)
        if isinstance(asked, NotUnderstood):
            reader = next((one.address for one in stands.readers if one.reads), "")
            return self._help(conn, inquiry, asked, fresh=fresh, reader=reader)
        orders = Orders(
            self.keyring,
            stands,
            direct_copies(conn, self.keyring, [address.id, *(one.id for one in stands.messages)]),
            capability,
            address.id,
            self.bounds,
            allows=lambda new: self.permission.may_have(conn, capability, address.id, new),
            now=arrival.at,
        )
        for command in asked.commands:
            orders.take(command)
        links = orders.new_links(conn)
        return self.answers.state(inquiry, asked, orders, links, fresh)

    def _about_ordinary(self, conn: Connection, arrival: Arrival, address: SecretAddress) -> Part | Reply:
        """Answer about a message of which nothing was sealed: it has left, and that is all there is to say."""
        if not self._tagged(address) or not self._had_receipt(conn, arrival, address.id):
            return _NOT_YOURS
        inquiry = self._inquiry(arrival, arrival.reading.from_ or arrival.envelope.reverse_path, address)
        asked = parse(arrival.reading)
        if isinstance(asked, NotUnderstood):
            return self._help(conn, inquiry, asked)
        return self.answers.ordinary(inquiry, asked, direct_copies(conn, self.keyring, [address.id]))

    def _help(self, conn: Connection, inquiry: Inquiry, heard: NotUnderstood, **more: Any) -> Part:
        """Answer what is no command, unless there was no end of answers lately: then a machine is at the other end."""
        lately = (
            select(func.count())
            .select_from(_MESSAGE.join(_ENTRY, _ENTRY.c.message_id == _MESSAGE.c.id))
            .where(_MESSAGE.c.parent == inquiry.address.id, _ENTRY.c.kind == Kind.CONTROL.value)
            .where(_MESSAGE.c.accepted_at > inquiry.now - _A_DAY)
        )
        if conn.execute(lately).scalar_one() >= MOST_ANSWERS:
            return _dropped(inquiry.address, "it is no command, and many were answered today")
        return self.answers.help(inquiry, heard, **more)

    def _inquiry(self, arrival: Arrival, principal: str, address: SecretAddress) -> Inquiry:
        return Inquiry.of(arrival, principal, self.delegates.spokesman(arrival, principal), address)

    def _had_receipt(self, conn: Connection, arrival: Arrival, message_id: bytes) -> bool:
        """Say whether the receipt for a message went to an author of this mail, or to whom they act for."""
        receipt = receipt_of(conn, message_id)
        told = select(_ENTRY.c.recipient_hash).where(_ENTRY.c.message_id == receipt)
        hashes = set(conn.execute(told).scalars()) if receipt else set()
        principals = (one for one in self.delegates.acting if self.delegates.may_speak_for(arrival, one))
        return any(self.keyring.address_hash(one) in hashes for one in (*authors(arrival), *principals))

    def _tagged(self, address: SecretAddress) -> bool:
        return hmac.compare_digest(address.secret, control_address(self.keyring, address.id).secret)


def _wrote_it(stands: ConversationStatus, capability: Capability) -> bool:
    """Say whether the holder of the secret wrote in this conversation: a colleague who got a copy commands nothing."""
    holder = capability.holder.participant_id
    return any(one.author is Author.STAFF and one.author_id == holder for one in stands.messages)


def seen_by(holder: bytes, stands: ConversationStatus) -> ConversationStatus:
    """Return how a conversation stands for one who wrote in it: without the blind readers of others' messages.

    A blind copy is told to nobody, colleagues no less than others (`relay.planning`).
    """
    own = {reader for one in stands.messages if one.author_id == holder for reader in one.readers}
    readers = tuple(one for one in stands.readers if not one.blind or one.participant_id in own)
    return replace(stands, readers=readers)


def _dropped(address: SecretAddress, reason: str) -> Part:
    return Part(told=(Told(Event.COMMAND_DROPPED, {"reason": reason}, message_id=address.id),))
