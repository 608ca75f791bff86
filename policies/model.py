"""The values that go into a judgement and come out of it: frozen, without I/O, safe to log only where masked.

Words are those of the field: a *finding* is what one detector saw, a *rule* is a condition with an action and
a reason, a *verdict* is what the policy says for one recipient; the strictest rule wins.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Action(IntEnum):
    """What happens to one recipient's copy, in order of strictness: the largest wins."""

    PASS = 0
    NOTIFY = 1
    SEAL = 2
    HOLD = 3
    REFUSE = 4

    @property
    def word(self) -> str:
        """The word used in relay.toml, receipts and JSON."""
        return self.name.lower()


class Mode(StrEnum):
    """Whether a rule acts (live), is only recorded (shadow) or is not evaluated (off)."""

    LIVE = "live"
    SHADOW = "shadow"
    OFF = "off"


class Release(StrEnum):
    """How the sender may let a held copy go: sealed only, or as it is too."""

    SEALED = "sealed"
    ANY = "any"


class Receipt(IntEnum):
    """When the sender hears of what a rule did, in order of strictness: the largest of the deciding rules wins.

    Reports of failure are no receipts: they are written whatever a rule says.
    """

    NEVER = 0
    PROBLEMS = 1
    ALWAYS = 2

    @property
    def word(self) -> str:
        """The word used in relay.toml."""
        return self.name.lower()


class Confidence(IntEnum):
    """How sure a detector is: a bare number is LOW, check digit and prefix MEDIUM, with context words HIGH."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Text:
    """One piece of readable text and where a person would find it, for example ``report.xlsx, sheet 2``."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment as the recipient will see it.

    ``problem`` is empty when its content was read; otherwise a clause that completes the sentence "this
    attachment ..." (``"is protected with a password"``). ``encrypted`` means that the sender encrypted it: a
    fact of its own, not a failure of ours.
    """

    name: str
    type: str
    size: int
    problem: str = ""
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """Everything a recipient could read in the message, as text.

    ``problems`` names what could not be inspected outside of single attachments (an undecodable body, too many
    parts): each is a clause in plain words. Anything that could not be inspected counts as flagged. ``encrypted``
    means that the sender encrypted the whole of the message below its header: nothing of it is readable on the way.
    """

    subject: str
    texts: tuple[Text, ...]
    attachments: tuple[Attachment, ...] = ()
    problems: tuple[str, ...] = ()
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path, in lower case where case does not matter.

    ``inside`` is true for the organisation's own domains; ``visible`` when To or Cc name the address (otherwise
    the recipient is a Bcc). ``partner`` names the partner whose mail servers are reached over a proven transport,
    empty where there is none.
    """

    address: str
    domain: str
    inside: bool
    visible: bool = True
    partner: str = ""


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What history knows of one recipient: counts of messages.

    ``sent`` and ``received`` are between this sender and the recipient, ``organisation`` counts everybody
    inside. A message counts as sent when its copy was relayed, released, or read in the portal.
    """

    sent: float = 0.0
    received: float = 0.0
    organisation: float = 0.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message handed to the judge: sender address, recipients of the envelope, content, history.

    ``visible_outside`` is the number of distinct outside addresses in To and Cc united with the envelope's
    visible recipients. ``acquaintances`` is keyed by recipient address; an address that is not in it has no
    history. ``history_known`` is false where no history could be read: first contact then counts as true.
    """

    sender: str
    recipients: tuple[Recipient, ...]
    content: Content
    visible_outside: int = 0
    acquaintances: Mapping[str, Acquaintance] = field(default_factory=dict)
    history_known: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What one detector saw. ``evidence`` is masked (``943 *** ***9``) and safe in a receipt, never in a log."""

    detector: str
    where: str
    evidence: str
    confidence: Confidence = Confidence.HIGH
    count: int = 1


@dataclass(frozen=True, slots=True)
class RuleHit:
    """A rule whose condition held for one recipient; ``release`` counts only where the rule holds copies."""

    rule: str
    because: str
    action: Action
    findings: tuple[Finding, ...]
    release: Release = Release.SEALED
    receipt: Receipt = Receipt.ALWAYS


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one recipient: the strictest live rule's action, every live hit, every shadow hit."""

    recipient: Recipient
    action: Action
    hits: tuple[RuleHit, ...] = ()
    shadow: tuple[RuleHit, ...] = ()

    @property
    def deciding(self) -> tuple[RuleHit, ...]:
        """The live hits that ask for just this action: they decided. Empty where no rule asked for anything."""
        return tuple([hit for hit in self.hits if hit.action is self.action])

    @property
    def milder(self) -> tuple[RuleHit, ...]:
        """The live hits that ask for less than what was decided."""
        return tuple([hit for hit in self.hits if hit.action is not self.action])

    @property
    def may_go_plain(self) -> bool:
        """Whether a held copy may leave unsealed on the sender's word.

        Each rule that holds it must allow that, and no milder rule may ask for a seal: the sender's word lifts the
        hold, not the seal.
        """
        return all(hit.release is Release.ANY for hit in self.deciding) and not any(
            hit.action is Action.SEAL for hit in self.hits
        )

    @property
    def receipt(self) -> Receipt:
        """When the sender hears of this copy: the strictest wish of the rules that decided."""
        return max((hit.receipt for hit in self.deciding), default=Receipt.ALWAYS)
