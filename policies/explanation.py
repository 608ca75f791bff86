"""Why a message is judged as it is, rule by rule: for ``letterlock policy test``."""

from dataclasses import dataclass
from enum import StrEnum

from policies.engine import BUILT_IN, verdict
from policies.evaluation import Facts
from policies.identifiers import TITLES
from policies.model import Action, Confidence, Finding, Message, Mode, Recipient, RuleHit
from policies.ruleset import Rule, Ruleset


class Outcome(StrEnum):
    """What became of one rule for one recipient."""

    HIT = "hit"
    SHADOW = "would have hit"
    NO = "condition does not hold"
    NOT_ADDRESSED = "not about this recipient"
    OFF = "switched off"


@dataclass(frozen=True, slots=True)
class Consideration:
    """One rule looked at for one recipient; ``decided`` when it is as strict as the verdict."""

    rule: str
    action: Action
    because: str
    outcome: Outcome
    decided: bool
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that led to one recipient's verdict, in the order of the rules, the built-in rules last."""

    recipient: Recipient
    action: Action
    considered: tuple[Consideration, ...]


def explain(ruleset: Ruleset, message: Message) -> tuple[Explanation, ...]:
    """Return one explanation per recipient, in their order; the actions are those of ``judge``."""
    facts = Facts(message, ruleset.scanner)
    return tuple(_explanation(ruleset, facts, recipient) for recipient in message.recipients)


def finding_sentence(finding: Finding) -> str:
    """Say what was found, where, with masked evidence: "NHS number 943 *** ***9 in subject (high confidence)"."""
    what = TITLES.get(finding.detector)
    if what is None:
        return f"{finding.detector} in {finding.where}: {finding.evidence}"
    more = f" and {finding.count - 1} more" if finding.count > 1 else ""
    sure = Confidence(finding.confidence).name.lower()
    return f"{what} {finding.evidence}{more} in {finding.where} ({sure} confidence)"


def _explanation(ruleset: Ruleset, facts: Facts, recipient: Recipient) -> Explanation:
    judged = verdict(ruleset, facts, recipient)
    live = {hit.rule: hit for hit in judged.hits}
    shadow = {hit.rule: hit for hit in judged.shadow}
    considered = [_consideration(rule, recipient, judged.action, live, shadow) for rule in ruleset.rules]
    considered += [
        Consideration(hit.rule, hit.action, hit.because, Outcome.HIT, hit.action == judged.action, hit.findings)
        for hit in judged.hits
        if hit.rule in BUILT_IN
    ]
    return Explanation(recipient, judged.action, tuple(considered))


def _consideration(
    rule: Rule,
    recipient: Recipient,
    action: Action,
    live: dict[str, RuleHit],
    shadow: dict[str, RuleHit],
) -> Consideration:
    hit = live.get(rule.name) or shadow.get(rule.name)
    if hit is not None:
        outcome = Outcome.HIT if rule.name in live else Outcome.SHADOW
    elif rule.mode is Mode.OFF:
        outcome = Outcome.OFF
    else:
        outcome = Outcome.NO if rule.to.includes(recipient) else Outcome.NOT_ADDRESSED
    asked = rule.action_for(recipient)
    decided = outcome is Outcome.HIT and asked == action
    findings = hit.findings if hit is not None else ()
    return Consideration(rule.name, asked, rule.because, outcome, decided, findings)
