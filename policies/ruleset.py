"""Rules as they are written in relay.toml, and the ruleset that the engine judges with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from policies.attachments import NOT_INSPECTABLE
from policies.compilation import Compilation
from policies.conditions import (
    AllCondition,
    AnyCondition,
    ConditionSpec,
    NotInspectableCondition,
    RecipientDomainCondition,
    VisibleOutsideCondition,
)
from policies.evaluation import Node
from policies.faults import RuleFault, RulesError
from policies.model import Action, Mode, Receipt, Recipient, Release
from policies.recipients.destinations import (
    MAILING_LIST,
    NOWHERE,
    Destination,
    Places,
    read_destination,
    read_places,
)
from policies.scanning import Scanner

__all__ = ["Rule", "RuleFault", "RuleSpec", "RulesError", "Ruleset", "compile_rules"]


class RuleSpec(BaseModel):
    """One rule as it is written: a condition over one message and one recipient, an action and a reason.

    ``because`` completes a receipt's "sealed, because …"; it is shown to senders, so it names no data. ``release``
    says how the sender may let go what the rule holds, ``receipt`` when the sender hears of what it did. With
    ``partners = "enough"`` a copy that reaches a partner over a proven transport need not be sealed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    because: Annotated[str, Field(min_length=1, max_length=300)]
    mode: Mode = Mode.LIVE
    to: str = "any"
    when: ConditionSpec
    action: Literal["pass", "notify", "seal", "hold", "refuse"]
    release: Literal["sealed", "any"] | None = None
    receipt: Literal["always", "problems", "never"] | None = None
    partners: Literal["seal", "enough"] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that has been checked and compiled."""

    name: str
    because: str
    mode: Mode
    to: Destination
    when: Node
    action: Action
    release: Release = Release.SEALED
    receipt: Receipt = Receipt.ALWAYS
    partners_enough: bool = False

    def action_for(self, recipient: Recipient) -> Action:
        """Return what the rule asks for: a proven transport may do instead of a seal, and the sender is told."""
        return Action.NOTIFY if self.partners_enough and recipient.partner else self.action


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Checked and compiled rules, safe to share between threads.

    ``rules`` holds every rule in the order of the file, those that are off too. ``warnings`` name rules that are
    legal and do less than their author may think: ``letterlock check`` prints them. ``mailing_lists`` are addresses
    behind which many people read.
    """

    rules: tuple[Rule, ...]
    scanner: Scanner
    warnings: tuple[RuleFault, ...] = ()
    mailing_lists: Places = NOWHERE


def compile_rules(
    rules: Sequence[RuleSpec],
    *,
    lists: Mapping[str, tuple[str, ...]],
    groups: Mapping[str, tuple[str, ...]],
    mailing_lists: Sequence[str] = (),
) -> Ruleset:
    """Check and compile rules; ``lists`` maps names to terms, ``groups`` names to domains and addresses.

    ``mailing_lists`` are addresses or domains behind which many people read.

    Raises RulesError (a ValueError) with every fault: what cannot be understood, and what could never do anything.
    Rules that are off are checked too, so that switching one on cannot break a running gateway.
    """
    many = read_places(mailing_lists, addresses=True) if mailing_lists else NOWHERE
    compilation = Compilation(lists, many)
    compiled: list[Rule] = []
    names: set[str] = set()
    for number, rule in enumerate(rules):
        path = ("rules", number)
        for key, sentence in _faults(rule, names):
            compilation.fault((*path, key), sentence)
        names.add(rule.name.casefold())
        destination = Destination()
        try:
            destination = read_destination(rule.to, groups)
        except ValueError as problem:
            compilation.fault((*path, "to"), str(problem))
        when = compilation.condition(rule.when, (*path, "when"))
        for sentence in _never(rule, destination):
            compilation.fault((*path, "to"), sentence)
        compiled.append(
            Rule(
                rule.name,
                rule.because,
                rule.mode,
                destination,
                when,
                Action[rule.action.upper()],
                Release(rule.release or "sealed"),
                Receipt[(rule.receipt or "always").upper()],
                rule.partners == "enough",
            )
        )
    if compilation.faults:
        raise RulesError(tuple(compilation.faults))
    try:
        scanner = compilation.scanner()
    except ValueError as problem:  # each expression alone was fine
        fault = RuleFault(("rules",), f"these rules and lists are too large together: {problem}")
        raise RulesError((fault,)) from problem
    return Ruleset(tuple(compiled), scanner, tuple(_warnings(rules)), many)


def _faults(rule: RuleSpec, names: set[str]) -> Iterator[tuple[str, str]]:
    if rule.name.casefold() in names:
        yield "name", f'there is another rule "{rule.name}": receipts and reports tell rules by their names'
    if rule.name.casefold() in {NOT_INSPECTABLE, MAILING_LIST}:
        yield "name", f'"{rule.name}" is the name of a built-in rule: choose another'
    for key, text in (("name", rule.name), ("because", rule.because)):
        if not text.isprintable() or not text.strip():
            yield key, f"{key} needs letters, and neither line breaks nor control characters"
    if rule.release and rule.action != "hold":
        yield "release", f'release is about copies that wait for a person, and action is "{rule.action}"'
    if rule.receipt and rule.action in {"pass", "refuse"}:
        yield "receipt", f'no receipt is written for action = "{rule.action}"'
    if rule.partners and rule.action != "seal":
        yield "partners", f'partners is about what would be sealed, and action is "{rule.action}"'
    if rule.receipt == "never" and rule.action == "notify":
        yield "receipt", 'action = "notify" does nothing but write a receipt: with "never" nothing is left of the rule'


def _needed(condition: ConditionSpec) -> Iterator[ConditionSpec]:
    """Yield the leaves without which the condition cannot hold."""
    if isinstance(condition, AllCondition):
        for part in condition.all:
            yield from _needed(part)
    elif isinstance(condition, AnyCondition) and len(condition.any) == 1:
        yield from _needed(condition.any[0])
    else:
        yield condition


def _never(rule: RuleSpec, destination: Destination) -> Iterator[str]:
    """Say why ``to`` and ``when`` could never meet."""
    for leaf in _needed(rule.when):
        if isinstance(leaf, VisibleOutsideCondition) and destination.inside is True:
            yield (
                'visible_outside is about outside people, and to = "inside" leaves exactly their copies out: write'
                ' to = "outside" or to = "any"'
            )
        if isinstance(leaf, RecipientDomainCondition) and destination.places is not None:
            domains = leaf.recipient_domain
            try:
                places = read_places((domains,) if isinstance(domains, str) else domains)
            except ValueError:
                continue  # has its own fault
            if not places.overlap(destination.places):
                yield "no recipient of this rule can have the recipient_domain it asks for"


def _rests_on_inspection(condition: ConditionSpec) -> bool:
    if isinstance(condition, AnyCondition | AllCondition):
        parts = condition.any if isinstance(condition, AnyCondition) else condition.all
        return any(map(_rests_on_inspection, parts))
    return isinstance(condition, NotInspectableCondition)


def _warnings(rules: Sequence[RuleSpec]) -> Iterator[RuleFault]:
    for number, rule in enumerate(rules):
        if rule.mode is Mode.LIVE and rule.action == "pass" and not _rests_on_inspection(rule.when):
            yield RuleFault(
                ("rules", number, "action"),
                'the strictest rule wins, so action = "pass" takes nothing back from other rules and only leaves a mark'
                " in the report: to make an exception, put not = { … } into the rule that flags",
            )
