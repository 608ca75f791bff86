"""What is wrong with a set of rules, in a form that points at the place in relay.toml.

RulesError (ValueError)     one or more faults; the rules are not used
.faults: RuleFault        path from the root of the file, and a sentence for the person who wrote the rule
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RuleFault:
    """One mistake: ``path`` is the key path from the root (``("rules", 2, "when", "any", 0, "keywords")``)."""

    path: tuple[str | int, ...]
    sentence: str

    @property
    def rule(self) -> int | None:
        """Index of the rule (from 0), or None where a list or a group itself is at fault."""
        match self.path:
            case ("rules", int(number), *_):
                return number
        return None

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.sentence}"


class RulesError(ValueError):
    """The rules cannot be used. Every fault that was found is in ``faults``, in the order of the file."""

    def __init__(self, faults: tuple[RuleFault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def dotted(path: tuple[str | int, ...]) -> str:
    """Write a key path as people do: ``rules[2].when.any[0].keywords``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
