"""Which conversations one message of staff belongs to, and whom it is for in each of them."""

from dataclasses import dataclass, field

from policies.model import Action, RuleHit
from relay.smtp.values import ForwardPath
from relay.vault.capability import Capability
from relay.vault.people import Person

FLOOR = RuleHit("sealed-conversation", "it belongs to a sealed conversation", Action.SEAL, ())


@dataclass(slots=True)
class Thread:
    """What one message brings into one conversation: for whom, and what its reply addresses open."""

    conversation_id: bytes
    author: Person
    everybody: tuple[Person, ...]
    readers: dict[bytes, Person] = field(default_factory=dict)
    capability: Capability | None = None

    def add(self, reader: Person) -> None:
        """Note a reader whom the message goes to."""
        self.readers.setdefault(reader.participant_id, reader)

    @property
    def to_all(self) -> bool:
        """Tell whether everybody who is listed as a reader gets it."""
        return all(one.participant_id in self.readers for one in self.everybody if one.reads and not one.blind)


@dataclass(frozen=True, slots=True)
class Answered:
    """Into which conversations a message goes, and which of its ordinary recipients are settled with that."""

    threads: tuple[Thread, ...] = ()
    joined: tuple[ForwardPath, ...] = ()
    related: bool = False  # it belongs to a conversation, whoever it goes to

    @property
    def floor(self) -> RuleHit | None:
        """Return the rule for everybody outside who is no reader."""
        return FLOOR if self.related else None
