"""What was found out about one record, and what to publish where it is not right."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a record is: only ``right`` and ``doubtful`` let mail work."""

    RIGHT = "right"
    DOUBTFUL = "doubtful"  # works, and could be better
    WRONG = "wrong"
    MISSING = "missing"
    UNKNOWN = "unknown"  # no server answered


@dataclass(frozen=True, slots=True)
class Finding:
    """One record: its type, its name without a final dot, a sentence, and lines of a zone file that mend it."""

    record: str
    name: str
    state: State
    sentence: str
    publish: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether mail suffers until somebody publishes something."""
        return self.state in {State.WRONG, State.MISSING}


def unknown(record: str, name: str, problem: str) -> Finding:
    """Return the finding for a question that nobody answered."""
    return Finding(record, name, State.UNKNOWN, f"could not be looked up: {problem}")
