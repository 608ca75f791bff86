"""Commands about a sealed conversation: what each changes, and what is said about it.

Commands take effect in the order in which they were written. They are worked out against one snapshot and written in
one transaction, which fails when the conversation has changed meanwhile; then all of it is worked out again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from relay.conversation.control.commands import Command, Verb
from relay.conversation.control.direct import DirectCopy
from relay.message.addresses import canonical_address
from relay.notices.controls import Done, Outcome, Progress, Read, RecipientLine
from relay.plan import Change
from relay.store.tables.sealed import ReaderState
from relay.vault.capability import Capability
from relay.vault.control import extend, recall, remove, restore
from relay.vault.issuing import NewLinks, add_readers, insert_links, links_for
from relay.vault.keyring import Keyring
from relay.vault.people import Person
from relay.vault.status import ConversationStatus

_PROGRESS = {
    ReaderState.WAITING: Progress.WAITING,
    ReaderState.NOTIFIED: Progress.NOTIFIED,
    ReaderState.LINK_OPENED: Progress.LINK_OPENED,
    ReaderState.PROVED: Progress.LINK_OPENED,
    ReaderState.READ: Progress.READ,
    ReaderState.UNDELIVERABLE: Progress.UNDELIVERABLE,
    ReaderState.REMOVED: Progress.REMOVED,
}
_FOR_HOLDS = frozenset({Verb.SEND_SEALED, Verb.SEND, Verb.DROP, Verb.TO})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the organisation allows: its own ``domains``, and how far from now a conversation may be extended."""

    domains: frozenset[str]
    longest: timedelta


@dataclass(slots=True)
class Orders:
    """The commands of one mail about one conversation, as they are taken up one after the other.

    ``answered`` is the sealed message that the mail is about: a new reader gets it, where the rules ``allow`` that.
    """

    keyring: Keyring
    status: ConversationStatus
    direct: tuple[DirectCopy, ...]
    capability: Capability
    answered: bytes
    bounds: Bounds
    allows: Callable[[str], bool]
    now: datetime
    done: list[Done] = field(default_factory=list)
    until: datetime | None = None
    _recalled: dict[bytes, datetime | None] = field(default_factory=dict)
    _removed: dict[bytes, Person] = field(default_factory=dict)
    _resent: dict[bytes, bool] = field(default_factory=dict)  # whether old links end in any case
    _added: dict[str, str] = field(default_factory=dict)  # by canonical address

    def __post_init__(self) -> None:
        self.until = self.status.expires_at
        self._recalled = {one.participant_id: one.recalled_at for one in self.status.readers}

    def take(self, command: Command) -> None:
        """Take up one command; `changes` has what comes of it."""
        if command.verb in _FOR_HOLDS:
            self._say(Outcome.NOT_HELD, command.verb.value)
        elif self.status.expires_at is None and command.verb is not Verb.STATUS:
            self._say(Outcome.EXPIRED)
        else:
            {
                Verb.STATUS: lambda _: None,
                Verb.RESEND: self._resend,
                Verb.RECALL: self._recall,
                Verb.RESTORE: self._restore,
                Verb.EXTEND: self._extend,
                Verb.ADD: self._add,
                Verb.REMOVE: self._remove,
            }[command.verb](command)

    def new_links(self, conn: Connection) -> list[NewLinks]:
        """Draw the links that were asked for, and say what they open. Blocking; the errors of `relay.vault.issuing`."""
        found = []
        for revoke in (False, True):
            persons = [
                self._reader(one)
                for one, ends in self._resent.items()
                if ends is revoke and one not in self._removed and self._recalled[one] is None
            ]
            if persons:
                links = links_for(conn, self.keyring, self.capability, persons, self.now, revoke=revoke)
                for person in persons:
                    self._say(_resent(links, person, revoke=revoke), person.address)
                found.append(links)
        if self._added:
            addresses = list(self._added.values())
            found.append(
                add_readers(conn, self.keyring, self.capability, addresses, answered=self.answered, now=self.now)
            )
            for address in addresses:
                self._say(Outcome.ADDED, address)
        return found

    def changes(self, links: Sequence[NewLinks]) -> Iterator[Change]:
        """Yield what is to be done in the transaction, in an order in which nothing gets in the way of anything."""
        for one in links:
            yield partial(insert_links, new=one)
        before = {one.participant_id: one.recalled_at for one in self.status.readers}
        taken = [one for one, at in self._recalled.items() if at is not None and before[one] is None]
        given = [one for one, at in self._recalled.items() if at is None and before[one] is not None]
        if taken:
            yield partial(_recall, participant_ids=taken, now=self.now)
        if given:
            yield partial(_restore, participant_ids=given)
        for person in self._removed.values():
            yield partial(remove, keyring=self.keyring, one=person, now=self.now)
        if self.until is not None and self.until != self.status.expires_at:
            yield partial(
                _extend,
                keyring=self.keyring,
                conversation_id=self.status.conversation_id,
                until=self.until,
                now=self.now,
            )

    def lines(self) -> list[RecipientLine]:
        """Return how every recipient stands once this is written."""
        lines = []
        for one in self.status.readers:
            id_ = one.participant_id
            reads = tuple(
                Read(message.read[id_].at, message.read[id_].name)
                for message in self.status.messages
                if id_ in message.read and message.author_id != id_
            )
            removed = one.removed or id_ in self._removed
            state = ReaderState.REMOVED if removed else ReaderState.READ if reads else one.state
            recalled_at = None if removed else self._recalled[id_]
            progress = _PROGRESS[state]
            at = one.opened_at if progress is Progress.LINK_OPENED else one.notified_at
            lines.append(RecipientLine(one.address, progress, at, reads, recalled_at))
        lines += [RecipientLine(address, Progress.WAITING) for address in self._added.values()]
        return [*lines, *(copy.line for copy in self.direct)]

    def _resend(self, command: Command) -> None:
        for person in self._named(command):
            if self._recalled[person.participant_id] is not None:
                self._say(Outcome.RECALLED_NOT_RESENT, person.address)
            else:
                self._resent[person.participant_id] = command.revoke

    def _recall(self, command: Command) -> None:
        for person in self._named(command):
            known = self._recalled[person.participant_id]
            self._say(Outcome.RECALLED_BEFORE if known else Outcome.RECALLED, person.address)
            self._recalled[person.participant_id] = known or self.now
            self._resent.pop(person.participant_id, None)
        if not command.addresses:
            for copy in self.direct:
                if copy.out_of_reach:
                    self._say(Outcome.OUT_OF_REACH, copy.address)

    def _restore(self, command: Command) -> None:
        for person in self._named(command):
            known = self._recalled[person.participant_id]
            self._say(Outcome.RESTORED if known else Outcome.NOT_RECALLED, person.address)
            self._recalled[person.participant_id] = None

    def _extend(self, command: Command) -> None:
        assert self.until is not None  # noqa: S101  # `take` has looked
        wanted, limit = self.until + timedelta(days=command.days), self.now + self.bounds.longest
        if wanted <= limit:
            self.until = wanted
            self._say(Outcome.EXTENDED, until=wanted)
        elif limit > self.until:
            self.until = limit
            self._say(Outcome.EXTENDED_TO_LIMIT, until=limit)
        else:
            self._say(Outcome.NOT_SHORTENED, until=self.until)

    def _add(self, command: Command) -> None:
        for address in command.addresses:
            canonical = canonical_address(address)
            self._keep_after_all(canonical)
            if canonical.rpartition("@")[2] in self.bounds.domains:
                self._say(Outcome.INSIDE, address)
            elif self._find(address) or canonical in self._added:
                self._say(Outcome.READER_BEFORE, address)
            elif not self.allows(address):
                self._say(Outcome.REFUSED, address)
            else:
                self._added[canonical] = address

    def _remove(self, command: Command) -> None:
        for person in self._named(command):
            self._removed[person.participant_id] = person
            self._resent.pop(person.participant_id, None)
            self._say(Outcome.REMOVED, person.address)

    def _named(self, command: Command) -> Iterator[Person]:
        """Yield the readers that a command names, all when it names nobody; say of each other why not."""
        if not command.addresses:
            yield from (one for one in self.status.readers if self._is_in(one))
            return
        for address in command.addresses:
            if person := self._find(address):
                yield person
                continue
            hashed = self.keyring.address_hash(address)
            left = any(copy.recipient_hash == hashed and copy.out_of_reach for copy in self.direct)
            self._say(Outcome.OUT_OF_REACH if left else Outcome.UNKNOWN, address)

    def _keep_after_all(self, canonical: str) -> None:
        """Forget that this mail has removed somebody whom it adds again further down."""
        for one in [one for one in self._removed.values() if canonical_address(one.address) == canonical]:
            del self._removed[one.participant_id]

    def _find(self, address: str) -> Person | None:
        wanted = canonical_address(address)
        return next(
            (one for one in self.status.readers if self._is_in(one) and canonical_address(one.address) == wanted), None
        )

    def _reader(self, participant_id: bytes) -> Person:
        return next(one for one in self.status.readers if one.participant_id == participant_id)

    def _is_in(self, one: Person) -> bool:
        return not one.removed and one.participant_id not in self._removed

    def _say(self, outcome: Outcome, about: str = "", until: datetime | None = None) -> None:
        self.done.append(Done(outcome, about, until))


def _resent(links: NewLinks, person: Person, *, revoke: bool) -> Outcome:
    if revoke:
        return Outcome.RESENT_ALONE
    return Outcome.RESENT_IN_PART if links.missing.get(person.address) else Outcome.RESENT


def _recall(conn: Connection, participant_ids: Sequence[bytes], now: datetime) -> None:
    recall(conn, participant_ids, now)


def _restore(conn: Connection, participant_ids: Sequence[bytes]) -> None:
    restore(conn, participant_ids)


def _extend(conn: Connection, *, keyring: Keyring, conversation_id: bytes, until: datetime, now: datetime) -> None:
    extend(conn, keyring, conversation_id, until, now)
