"""Compiled conditions: each says whether it holds for one recipient, and by which findings.

A condition answers with its findings (perhaps none: a fact such as "not" leaves no trace) or with None where it
does not hold. What does not depend on the recipient is worked out once per message.
"""

# ruff: noqa: D102 - what each condition asks for is said once, in the docstring of its class

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from policies.attachments import AttachmentShape, calendar_entries, not_inspected
from policies.identifiers.shape import Sighting
from policies.labels import has_tag
from policies.model import Confidence, Finding, Message, Recipient
from policies.recipients.destinations import MAILING_LIST, Places
from policies.recipients.first_contact import first_contact, first_contact_of_organisation
from policies.scanning import Scanner, Seen

_MOST_PLACES = 10  # places that one finding lists; a receipt is read by a person
_MOST_TERMS = 5


class Facts:
    """One message while it is judged: what the detectors saw and which conditions have been worked out."""

    def __init__(self, message: Message, scanner: Scanner) -> None:
        self.message = message
        self.settled: dict[int, Held] = {}
        self._scanner = scanner
        # Not cached properties: before Python 3.12 those share one lock, and messages would wait for each other.
        self._seen: Mapping[int, Sequence[Seen]] | None = None
        self._uninspected: tuple[Finding, ...] | None = None

    @property
    def seen(self) -> Mapping[int, Sequence[Seen]]:
        """What each detector saw, keyed by its position; worked out when first asked for."""
        if self._seen is None:
            self._seen = self._scanner.scan(self.message.content)
        return self._seen

    @property
    def uninspected(self) -> tuple[Finding, ...]:
        """Everything that could not be read."""
        if self._uninspected is None:
            self._uninspected = not_inspected(self.message.content)
        return self._uninspected


Held = tuple[Finding, ...] | None
Node = Callable[[Facts, Recipient], Held]


@dataclass(frozen=True, slots=True)
class Once:
    """A condition that does not depend on the recipient: worked out for the first, remembered for the rest."""

    number: int
    inner: Node

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        if self.number not in facts.settled:
            facts.settled[self.number] = self.inner(facts, recipient)
        return facts.settled[self.number]


@dataclass(frozen=True, slots=True)
class Counted:
    """So many different things were seen by these detectors, with at least this confidence."""

    name: str
    detectors: frozenset[int]
    at_least: int
    confidence: Confidence
    terms: bool = False

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del recipient
        # A list may have 50,000 terms and a message shows a handful: go through what was seen.
        detectors = self.detectors.intersection(facts.seen)
        if not detectors:
            return None
        by_place: dict[str, dict[str, Sighting]] = {}
        values: set[str] = set()
        for detector in sorted(detectors):
            for where, sighting in facts.seen[detector]:
                if sighting.confidence >= self.confidence:
                    values.add(sighting.value)
                    there = by_place.setdefault(where, {})
                    known = there.get(sighting.value)
                    if known is None or known.confidence < sighting.confidence:
                        there[sighting.value] = sighting
        if len(values) < self.at_least:
            return None
        return tuple(self._finding(where, there.values()) for where, there in list(by_place.items())[:_MOST_PLACES])

    def _finding(self, where: str, sightings: Iterable[Sighting]) -> Finding:
        ranked = sorted(sightings, key=lambda sighting: -sighting.confidence)
        evidence = ranked[0].evidence
        if self.terms:
            shown = [sighting.evidence for sighting in ranked[:_MOST_TERMS]]
            evidence = ", ".join(shown) + (", …" if len(ranked) > _MOST_TERMS else "")
        return Finding(self.name, where, evidence, ranked[0].confidence, len(ranked))


@dataclass(frozen=True, slots=True)
class HasAttachment:
    """The message has an attachment of this shape."""

    shape: AttachmentShape

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del recipient
        return self.shape.found_in(facts.message.content) or None


@dataclass(frozen=True, slots=True)
class HasTag:
    """The subject shows a tag."""

    tag: str
    key: str

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del recipient
        return (
            (Finding("subject-tag", "subject", self.tag),) if has_tag(facts.message.content.subject, self.key) else None
        )


@dataclass(frozen=True, slots=True)
class NotInspectable:
    """Something could not be read."""

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del recipient
        return facts.uninspected or None


@dataclass(frozen=True, slots=True)
class VisibleOutside:
    """So many outside people see each other's addresses."""

    at_least: int

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del recipient
        count = facts.message.visible_outside
        if count < self.at_least:
            return None
        return (Finding("visible-outside", "To and Cc", f"{count} outside addresses", count=count),)


@dataclass(frozen=True, slots=True)
class Unfamiliar:
    """The recipient is new to the sender, or to everybody here."""

    organisation: bool

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        new = first_contact_of_organisation if self.organisation else first_contact
        name = "first-contact-organisation" if self.organisation else "first-contact"
        return (Finding(name, "recipient", recipient.address),) if new(facts.message, recipient) else None


@dataclass(frozen=True, slots=True)
class RecipientDomain:
    """The recipient belongs to one of these domains."""

    places: Places

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del facts
        return (Finding("recipient-domain", "recipient", recipient.domain),) if self.places.include(recipient) else None


@dataclass(frozen=True, slots=True)
class IsCalendar:
    """The message carries a calendar entry."""

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del recipient
        return calendar_entries(facts.message.content) or None


@dataclass(frozen=True, slots=True)
class IsEncrypted:
    """The sender encrypted the whole message."""

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del recipient
        found = (Finding("encrypted", "message", "encrypted by the sender"),)
        return found if facts.message.content.encrypted else None


@dataclass(frozen=True, slots=True)
class OnMailingList:
    """The recipient is a mailing list."""

    lists: Places

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        del facts
        return (Finding(MAILING_LIST, "recipient", recipient.address),) if self.lists.include(recipient) else None


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one holds; the findings of all that do."""

    inner: tuple[Node, ...]

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        answers = [node(facts, recipient) for node in self.inner]
        held = [answer for answer in answers if answer is not None]
        return tuple(finding for answer in held for finding in answer) if held else None


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each holds; the findings of all."""

    inner: tuple[Node, ...]

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        findings: list[Finding] = []
        for node in self.inner:
            answer = node(facts, recipient)
            if answer is None:
                return None
            findings.extend(answer)
        return tuple(findings)


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold; nothing was found."""

    inner: Node

    def __call__(self, facts: Facts, recipient: Recipient) -> Held:
        return () if self.inner(facts, recipient) is None else None
