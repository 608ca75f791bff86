"""The answer to each mail at a control address: one mail, in its thread, and what is written together with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from relay.clock import new_queue_id
from relay.conversation.control.commands import Instructions, NotUnderstood, Verb
from relay.conversation.control.direct import DirectCopy
from relay.conversation.control.orders import Orders
from relay.conversation.pickups import Pickups, Writer
from relay.conversation.release import Decided
from relay.message.parts import Reading
from relay.message.secret_address import AddressKind, SecretAddress
from relay.notices.controls import Asked, ControlNotices, Done, Misunderstanding, Outcome
from relay.notices.holds import Choices
from relay.notices.letterhead import Composed
from relay.plan import Arrival, Change, Part, Told
from relay.queue.holds import Held, HeldCopy
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id
from relay.queue.routes import Routes
from relay.queue.spooling import Draft, Lease, NewEntry, Spooler
from relay.store.events import Event
from relay.store.tables.queue import Kind
from relay.vault.issuing import NewLinks, NewSender, insert_sender
from relay.vault.keyring import Keyring
from relay.vault.threads import remember

_THREAD = 20  # Message-IDs of the thread that an answer names


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A mail at a control address whose sender is obeyed: ``by`` gets the answer, ``principal`` is whose word it is.

    The answer may hold a secret of the principal's: ``by`` is the principal, or somebody who acts for them.
    """

    reading: Reading
    by: str
    principal: str
    address: SecretAddress
    now: datetime
    lease: Lease | None

    @classmethod
    def of(cls, arrival: Arrival, principal: str, by: str, address: SecretAddress) -> "Inquiry":
        """Return the inquiry that a mail is."""
        return cls(arrival.reading, by, principal, address, arrival.at, arrival.lease)

    @property
    def writer(self) -> Writer:
        """Whose message the readers are told of: by name when the principal wrote the mail, else by address."""
        wrote_it = self.reading.from_.casefold() == self.principal.casefold()
        return Writer(self.principal, self.reading.from_name if wrote_it else "")

    def asked(self, control: str) -> Asked:
        """Return what the answer says about it; ``control`` is where the next answer goes."""
        thread = (*self.reading.references[-_THREAD:], self.reading.message_id)
        return Asked(self.by, self.reading.subject, thread, control)


@dataclass(frozen=True, slots=True)
class Answers:
    """Writes them. ``domain`` is the gateway's."""

    keyring: Keyring
    notices: ControlNotices
    pickups: Pickups
    spooler: Spooler
    routes: Routes
    domain: str

    def tag(self, languages: Sequence[str]) -> str:
        """Return the language for an answer to words of these languages."""
        return self.notices.tag(languages)

    def state(
        self,
        inquiry: Inquiry,
        asked: Instructions,
        orders: Orders,
        links: Sequence[NewLinks],
        fresh: NewSender | None,
    ) -> Part:
        """Return everything that commands about a sealed conversation cause."""
        queued_id = new_queue_id()
        composed = self.notices.state(
            inquiry.asked(self._control(inquiry, fresh)),
            self.tag(asked.languages),
            done=orders.done,
            recipients=orders.lines(),
            until=orders.until,
            now=inquiry.now,
            message_id=own_message_id(queued_id, self.domain),
            passed_over=asked.passed_over,
        )
        conversation_id = orders.status.conversation_id
        notices = [
            draft
            for one in links
            for draft in self.pickups.for_links(
                one.links.values(),
                inquiry.writer,
                until=orders.until or inquiry.now,
                parent=inquiry.address.id,
                now=inquiry.now,
                lease=inquiry.lease,
            )
        ]
        return Part(
            told=(_told(inquiry, asked, orders.done),),
            drafts=(self._draft(inquiry, queued_id, composed), *notices),
            changes=(
                *self._sender(fresh),
                *orders.changes(links),
                partial(
                    remember, keyring=self.keyring, conversation_id=conversation_id, message_id=composed.message_id
                ),
            ),
        )

    def ordinary(self, inquiry: Inquiry, asked: Instructions, copies: Sequence[DirectCopy]) -> Part:
        """Return the answer about a message that was not sealed."""
        queued_id = new_queue_id()
        done = [Done(Outcome.NOT_SEALED)] if any(one.verb is not Verb.STATUS for one in asked.commands) else []
        composed = self.notices.state(
            inquiry.asked(self._control(inquiry, None)),
            self.tag(asked.languages),
            done=done,
            recipients=[copy.line for copy in copies],
            until=None,
            now=inquiry.now,
            message_id=own_message_id(queued_id, self.domain),
            passed_over=asked.passed_over,
        )
        return Part(told=(_told(inquiry, asked, done),), drafts=(self._draft(inquiry, queued_id, composed),))

    def decision(self, inquiry: Inquiry, asked: Instructions, decided: Decided) -> Part:
        """Return everything that a decision about held copies causes.

        What was sealed by it can be recalled by answering this answer: its secret is the next address.
        """
        queued_id = new_queue_id()
        control = inquiry.address
        if decided.sealed is not None and decided.sealed.sender_secret and not decided.left:
            control = SecretAddress(AddressKind.CONTROL, decided.sealed.message_id, decided.sealed.sender_secret)
        composed = self.notices.said(
            inquiry.asked(control.write(self.domain)),
            self.tag(asked.languages),
            decided.said,
            now=inquiry.now,
            message_id=own_message_id(queued_id, self.domain),
            passed_over=asked.passed_over,
            choices=_choices(decided.left),
        )
        changes: tuple[Change, ...] = ()
        if decided.sealed is not None:
            of, id_ = decided.sealed.conversation_id, composed.message_id
            changes = (partial(remember, keyring=self.keyring, conversation_id=of, message_id=id_),)
        part = decided.part
        return replace(
            part,
            told=(_told(inquiry, asked, ()), *part.told),
            drafts=(*part.drafts, self._draft(inquiry, queued_id, composed)),
            changes=(*part.changes, *changes),
        )

    def help(
        self,
        inquiry: Inquiry,
        heard: NotUnderstood,
        *,
        fresh: NewSender | None = None,
        held: Held | None = None,
        reader: str = "",
    ) -> Part:
        """Return the answer to a mail in which no command was found: what was read, and what can be said.

        ``held`` is what the question was about, where one was asked.
        """
        queued_id = new_queue_id()
        tag = self.tag(heard.languages)
        composed = self.notices.help(
            inquiry.asked(self._control(inquiry, fresh)),
            tag,
            Misunderstanding[heard.why.name],
            heard.line,
            reader=reader,
            now=inquiry.now,
            message_id=own_message_id(queued_id, self.domain),
            choices=_choices(held.copies) if held else None,
            over=held is not None and not held.copies,
        )
        told = Told(
            Event.COMMAND_NOT_UNDERSTOOD, {"reason": heard.why.value}, {"sender": inquiry.by}, inquiry.address.id
        )
        return Part(
            told=(told,), drafts=(self._draft(inquiry, queued_id, composed),), changes=tuple(self._sender(fresh))
        )

    def _control(self, inquiry: Inquiry, fresh: NewSender | None) -> str:
        address = inquiry.address
        return (replace(address, secret=fresh.secret) if fresh else address).write(self.domain)

    def _sender(self, fresh: NewSender | None) -> Sequence[Change]:
        return (partial(insert_sender, new=fresh),) if fresh else ()

    def _draft(self, inquiry: Inquiry, queued_id: bytes, composed: Composed) -> Draft:
        return self.spooler.draft(
            QueuedEnvelope("", smtputf8=not inquiry.by.isascii()),
            [NewEntry(Kind.CONTROL, self.routes.name_for(inquiry.by), EntryEnvelope(inquiry.by))],
            composed.content,
            now=inquiry.now,
            message_id=queued_id,
            parent=inquiry.address.id,
            lease=inquiry.lease,
        )


def _choices(waiting: Sequence[HeldCopy]) -> Choices | None:
    """Return the words that decide about copies, None where none waits."""
    return Choices(any(copy.plain for copy in waiting), several=len(waiting) > 1) if waiting else None


def _told(inquiry: Inquiry, asked: Instructions, done: Sequence[Done]) -> Told:
    facts: dict[str, str | int | bool | list[str]] = {"commands": [one.verb.value for one in asked.commands]}
    if done:
        facts["outcomes"] = list(dict.fromkeys(one.outcome.value for one in done))
    named = dict.fromkeys(address for one in asked.commands for address in one.addresses)
    personal = {"sender": inquiry.by} | ({"recipients": ", ".join(named)} if named else {})
    return Told(Event.COMMAND, facts, personal, inquiry.address.id)
