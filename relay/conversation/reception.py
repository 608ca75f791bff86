"""Sorts the recipients of one message: ordinary ones are judged, addresses of ours belong to a desk.

r.…  an answer to a reader        -> the desk for answers
c.…  a command, or a decision     -> the desk for control
b.…  a report about our own mail  -> the desk for bounces

Postmaster and abuse, which every domain has, belong to a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from policies.model import RuleHit
from relay.conversation.answers import Answers
from relay.conversation.postmaster import Postmaster
from relay.message.reading import read
from relay.message.scrubbing import scrub
from relay.message.secret_address import AddressKind, SecretAddress, read_secret_address
from relay.message.spellings import Real
from relay.plan import Arrival, Part
from relay.smtp.own_addresses import is_role
from relay.smtp.values import ForwardPath, Reply
from relay.store.tables.queue import Direction

_UNKNOWN = Reply(550, "5.1.1", "There is no such address: answer the message itself, or write to the person")
_DIRECTIONS = {
    AddressKind.READER: Direction.OUT,
    AddressKind.CONTROL: Direction.CONTROL,
    AddressKind.BOUNCE: Direction.BOUNCE,
}


@dataclass(frozen=True, slots=True)
class Addressed:
    """One recipient that is an address of ours."""

    path: ForwardPath
    address: SecretAddress


class Desk(Protocol):
    """What happens to mail for one kind of address. Blocking; called off the event loop."""

    def take(self, arrival: Arrival, addressed: Sequence[Addressed]) -> Part | Reply:
        """Return what is to be written, or the reply that refuses the whole message; nothing is written by it."""
        ...


@dataclass(frozen=True, slots=True)
class Sorted:
    """One message after the sorting.

    ``arrival`` holds the ordinary recipients only, possibly none, and content that carries no secret of ours any more.
    ``parts`` are what the desks want written. ``floor``, where there is one, is a rule that holds for every outside
    recipient: who answers a sealed conversation cannot send it to somebody else in the clear.
    """

    arrival: Arrival
    parts: tuple[Part, ...] = ()
    direction: Direction = Direction.OUT
    floor: RuleHit | None = None


class Reception:
    """Knows the gateway's own domain, its desks, and which address stands behind one that holds a secret."""

    def __init__(
        self,
        domain: str,
        desks: Mapping[AddressKind, Desk],
        postmaster: Postmaster | None = None,
        *,
        answers: Answers | None = None,
        real: Real | None = None,
    ) -> None:
        self._domain = domain.lower()
        self._desks = desks
        self._postmaster = postmaster
        self._answers = answers
        self._real = real

    def concerns(self, arrival: Arrival) -> bool:
        """Say whether sorting takes more than a look: mail to addresses of ours, and whatever answers other mail."""
        reading = arrival.reading
        answers = bool(reading.in_reply_to or reading.references) and arrival.authorised
        return answers or any(self._ours(path) for path in arrival.envelope.recipients)

    def sort(self, arrival: Arrival) -> Sorted | Reply:
        """Hand addresses of ours to their desks; return the rest, or the reply that refuses the message.

        From here on a message of staff's holds no secret of ours any more. Blocking where `concerns` says so.
        """
        arrival = self._without_secrets(arrival)
        ordinary = tuple(path for path in arrival.envelope.recipients if not self._ours(path))
        roles = [path for path in arrival.envelope.recipients if self._for_postmaster(path)]
        waiting: dict[AddressKind, list[Addressed]] = {}
        for path in arrival.envelope.recipients:
            if not self._ours(path) or self._for_postmaster(path):
                continue
            address = read_secret_address(path.address, self._domain)
            if address is None or not (address.kind in self._desks or self._answers_at(address)):
                return _UNKNOWN
            waiting.setdefault(address.kind, []).append(Addressed(path, address))
        parts: list[Part] = []
        if roles and self._postmaster:
            passed_on = self._postmaster.take(arrival, roles)
            if isinstance(passed_on, Reply):
                return passed_on
            parts.append(passed_on)
        direction = _DIRECTIONS[next(iter(waiting))] if waiting and not ordinary else Direction.OUT
        answered = self._answered(arrival, waiting.pop(AddressKind.READER, ()), ordinary)
        if isinstance(answered, Reply):
            return answered
        part, joined, floor = answered
        parts += [part] if part else []
        for kind, addressed in waiting.items():
            outcome = self._desks[kind].take(arrival, addressed)
            if isinstance(outcome, Reply):
                return outcome
            parts.append(outcome)
        left = tuple(path for path in ordinary if path not in joined)
        return Sorted(arrival.to(left), tuple(parts), direction, floor)

    def _answered(
        self, arrival: Arrival, addressed: Sequence[Addressed], ordinary: tuple[ForwardPath, ...]
    ) -> tuple[Part | None, tuple[ForwardPath, ...], RuleHit | None] | Reply:
        """Return what an answer wants written, who of the ordinary recipients is settled with it, and the floor."""
        if self._answers is None or not (addressed or self.concerns(arrival)):
            return None, (), None
        if addressed and (dropped := self._answers.dropped(arrival)):
            return dropped, (), None
        found = self._answers.find(arrival, [one.address for one in addressed], ordinary)
        if isinstance(found, Reply):
            return found
        written = self._answers.write(arrival, found) if found.threads else None
        return written if isinstance(written, Reply) else (written, found.joined, found.floor)

    def _without_secrets(self, arrival: Arrival) -> Arrival:
        if self._real is None or not arrival.authorised:
            return arrival  # secrets stand in staff's mailboxes; what strangers make up is not worth a search
        content = scrub(arrival.content, self._domain, self._real)
        if content is arrival.content:
            return arrival
        return arrival.rewritten(content, read(content))

    def _answers_at(self, address: SecretAddress) -> bool:
        return self._answers is not None and address.kind is AddressKind.READER

    def _for_postmaster(self, path: ForwardPath) -> bool:
        return self._postmaster is not None and self._ours(path) and is_role(path.address)

    def _ours(self, path: ForwardPath) -> bool:
        return path.address.rpartition("@")[2].lower() == self._domain
