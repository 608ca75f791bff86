"""Judging: one verdict per recipient, the strictest live rule wins, what could not be inspected counts as flagged."""

from policies.attachments import NOT_INSPECTABLE, because_not_inspected
from policies.evaluation import Facts
from policies.model import Action, Finding, Message, Mode, Recipient, RuleHit, Verdict
from policies.recipients.destinations import MAILING_LIST
from policies.ruleset import Ruleset

BUILT_IN = frozenset({NOT_INSPECTABLE, MAILING_LIST})  # names that no rule of an organisation may have


def judge(ruleset: Ruleset, message: Message, *, floor: RuleHit | None = None) -> tuple[Verdict, ...]:
    """Return one verdict per recipient, in their order; pure, and safe to call from several threads.

    Every detector runs at most once per message, however many recipients there are. A recipient whom no live rule
    flags gets PASS. Shadow hits stand apart and never change an action. ``floor`` is a hit that everybody outside has,
    whatever the rules say.

    Two built-in rules are the floor. Where something could not be inspected, "not-inspectable" seals copies for
    outside recipients, unless a live rule of the organisation that asks for ``not_inspectable`` held for that
    recipient: then that rule has decided. Where a copy for a mailing list would be sealed, "mailing-list" holds it,
    because link and code would reach everybody on the list; unless a live rule that asks for ``mailing_list`` wants
    the seal.
    """
    facts = Facts(message, ruleset.scanner)
    return tuple(verdict(ruleset, facts, recipient, floor) for recipient in message.recipients)


def verdict(ruleset: Ruleset, facts: Facts, recipient: Recipient, floor: RuleHit | None = None) -> Verdict:
    """Judge one recipient of the message that ``facts`` is about; ``floor`` as in `judge`."""
    hits: list[RuleHit] = []
    shadow: list[RuleHit] = []
    for rule in ruleset.rules:
        if rule.mode is Mode.OFF or not rule.to.includes(recipient):
            continue
        findings = rule.when(facts, recipient)
        if findings is not None:
            kept = hits if rule.mode is Mode.LIVE else shadow
            action = rule.action_for(recipient)
            kept.append(RuleHit(rule.name, rule.because, action, findings, rule.release, rule.receipt))
    if unread := _not_inspected(facts, recipient, hits):
        hits.append(unread)
    if floor and not recipient.inside:
        hits.append(floor)
    action = _strictest(hits)
    if action is Action.SEAL and (many := _many_readers(ruleset, recipient, hits)):
        hits += many
        action = _strictest(hits)
    return Verdict(recipient, action, tuple(hits), tuple(shadow))


def _strictest(hits: list[RuleHit]) -> Action:
    return max([hit.action for hit in hits], default=Action.PASS)


def _not_inspected(facts: Facts, recipient: Recipient, hits: list[RuleHit]) -> RuleHit | None:
    if recipient.inside or not facts.uninspected:
        return None
    if any(finding.detector == NOT_INSPECTABLE for hit in hits for finding in hit.findings):
        return None
    because = because_not_inspected(facts.uninspected)
    return RuleHit(NOT_INSPECTABLE, because, Action.SEAL, facts.uninspected)


def _many_readers(ruleset: Ruleset, recipient: Recipient, hits: list[RuleHit]) -> list[RuleHit]:
    """Return the hit of the built-in rule about mailing lists, or nothing; ``hits`` come to a seal."""
    meant = any(
        finding.detector == MAILING_LIST for hit in hits if hit.action is Action.SEAL for finding in hit.findings
    )
    if meant or not ruleset.mailing_lists.include(recipient):
        return []
    because = "this is a mailing list: pickup link and code would reach everybody on it"
    finding = Finding(MAILING_LIST, "recipient", recipient.address)
    return [RuleHit(MAILING_LIST, because, Action.HOLD, (finding,))]
