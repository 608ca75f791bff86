"""Judging: one verdict per recipient, the strictest live rule wins, what could not be inspected counts as flagged."""

from policies.attachments import NOT_INSPECTABLE, because_not_inspected
from policies.evaluation import Facts
from policies.model import Action, Message, Mode, Recipient, RuleHit, Verdict
from policies.ruleset import Ruleset


def judge(ruleset: Ruleset, message: Message) -> tuple[Verdict, ...]:
    """Return one verdict per recipient, in their order; pure, and safe to call from several threads.

    Every detector runs at most once per message, however many recipients there are. A recipient whom no live rule
    flags gets PASS. Shadow hits stand apart and never change an action.

    The floor: where something could not be inspected, copies for outside recipients are sealed by the built-in rule
    "not-inspectable", unless a live rule of the organisation that asks for ``not_inspectable`` held for that
    recipient: then that rule has decided.
    """
    facts = Facts(message, ruleset.scanner)
    return tuple(verdict(ruleset, facts, recipient) for recipient in message.recipients)


def verdict(ruleset: Ruleset, facts: Facts, recipient: Recipient) -> Verdict:
    """Judge one recipient of the message that ``facts`` is about."""
    hits: list[RuleHit] = []
    shadow: list[RuleHit] = []
    for rule in ruleset.rules:
        if rule.mode is Mode.OFF or not rule.to.includes(recipient):
            continue
        findings = rule.when(facts, recipient)
        if findings is not None:
            kept = hits if rule.mode is Mode.LIVE else shadow
            kept.append(RuleHit(rule.name, rule.because, rule.action, findings))
    floor = _floor(facts, recipient, hits)
    if floor is not None:
        hits.append(floor)
    action = max((hit.action for hit in hits), default=Action.PASS)
    return Verdict(recipient, action, tuple(hits), tuple(shadow))


def _floor(facts: Facts, recipient: Recipient, hits: list[RuleHit]) -> RuleHit | None:
    if recipient.inside or not facts.uninspected:
        return None
    if any(finding.detector == NOT_INSPECTABLE for hit in hits for finding in hit.findings):
        return None
    because = because_not_inspected(facts.uninspected)
    return RuleHit(NOT_INSPECTABLE, because, Action.SEAL, facts.uninspected)
