"""``letterlock policy test``: what the rules make of a message, and why, before it is sent."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from policies.explanation import Explanation, Outcome, explain, finding_sentence
from policies.model import Message
from relay.cli.opened import opened
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, print_json, say, warn
from relay.config import inspect
from relay.errors import ConfigurationError, KeyringError, RefusedError, StoreError
from relay.judging import History, Judge, history_of
from relay.message.addresses import parse_mailbox
from relay.message.extraction import Extractor
from relay.message.parts import Reading
from relay.message.reading import read

_STYLES = {"pass": "green", "notify": "green", "seal": "yellow", "hold": "yellow", "refuse": "red"}
NO_HISTORY = "no history was read: everybody counts as a first contact"


@click.group()
def command() -> None:
    """Try the rules out."""


@command.command(
    epilog=examples(
        "letterlock policy test referral.eml",
        "letterlock policy test referral.eml --from anna@example.org --to jane@example.net --json",
    )
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True))
@click.option("--from", "sender", metavar="ADDRESS", help="The sender; by default the address in From.")
@click.option(
    "--to", "recipients", metavar="ADDRESS", multiple=True, help="A recipient, repeatable; default To and Cc."
)
@click.option(
    "--history/--no-history", default=True, help="Whether to look up who knows whom (if there is a database)."
)
@click.option("--json", "as_json", is_flag=True, help="Print for a script: one action per recipient.")
@pass_session
def test(
    session: Session, *, file: Path, sender: str | None, recipients: tuple[str, ...], history: bool, as_json: bool
) -> None:
    """Judge FILE (a message as .eml) as the gateway would, and say why. Nothing is sent or recorded."""
    inspection = inspect(session.config_path)
    configuration, ruleset = inspection.configuration, inspection.ruleset
    if configuration is None or ruleset is None:
        raise ConfigurationError(inspection.problems)
    reading = read(file.read_bytes())
    to = tuple(map(_address, recipients)) or tuple(dict.fromkeys((*reading.to, *reading.cc)))
    if not to:
        raise RefusedError(f"{file} names no recipient: add --to ADDRESS")
    with _history(session, wanted=history) as known, _extractor() as extractor:
        seconds = configuration.limits.judge_time.total_seconds()
        judge = Judge(
            ruleset,
            extractor,
            configuration.organisation.domains,
            partners=configuration.partner_names,
            seconds=seconds,
            history=known,
        )
        message = judge.message(_address(sender) if sender else reading.from_, to, reading)
        explanations = explain(ruleset, message)
    if as_json:
        print_json(_as_json(message, explanations))
        return
    _print(file, reading, message, explanations)


@contextmanager
def _extractor() -> Iterator[Extractor]:
    extractor = Extractor(1)
    extractor.start()
    for refused in extractor.refused:
        warn(f"attachments are read with less confinement than asked for: {refused}")
    try:
        yield extractor
    finally:
        extractor.close()


@contextmanager
def _history(session: Session, *, wanted: bool) -> Iterator[History | None]:
    """Look history up as the gateway does; None where it is not wanted, or there are no keys or database yet."""
    with ExitStack() as stack:
        one = None
        if wanted:
            with suppress(KeyringError, StoreError):
                one = stack.enter_context(opened(session))
        yield history_of(one.store, one.keyring) if one else None


def _address(text: str) -> str:
    try:
        return str(parse_mailbox(text, smtputf8=True))
    except ValueError as error:
        raise RefusedError(f'"{text}" is no address: {error}') from None


def _print(file: Path, reading: Reading, message: Message, explanations: Sequence[Explanation]) -> None:
    say(f"{file}: from {message.sender or 'nobody'}", style="bold")
    for problem in (*message.content.problems, *_unread(message)):
        warn(f"  could not be inspected: {problem}")
    if not message.history_known:
        warn(f"  {NO_HISTORY}")
    if reading.auto_submitted:
        say("  it was sent by a machine (Auto-Submitted): no receipt would be written")
    for explanation in explanations:
        _print_one(explanation)


def _print_one(explanation: Explanation) -> None:
    recipient = explanation.recipient
    side = "inside" if recipient.inside else "outside"
    hidden = "" if recipient.visible else ", Bcc"
    partner = f", partner {recipient.partner}" if recipient.partner else ""
    say()
    say(
        f"{recipient.address} ({side}{partner}{hidden}): {explanation.action.word}",
        style=_STYLES[explanation.action.word],
    )
    for each in explanation.considered:
        marks = {Outcome.HIT: "hit", Outcome.SHADOW: "would have hit (shadow)"}
        mark = marks.get(each.outcome, str(each.outcome))
        decides = ", decides" if each.decided else ""
        hit = each.outcome in marks
        say(
            f"  {each.rule}: {mark}{f', asks to {each.action.word}{decides}' if hit else ''}",
            style="" if hit else "dim",
        )
        if hit:
            say(f"    because {each.because}")
            for finding in each.findings:
                say(f"    {finding_sentence(finding)}")


def _unread(message: Message) -> Iterator[str]:
    return (f"{each.name} {each.problem}" for each in message.content.attachments if each.problem)


def _as_json(message: Message, explanations: Sequence[Explanation]) -> dict[str, Any]:
    return {
        "sender": message.sender,
        "history": message.history_known,
        "problems": [*message.content.problems, *_unread(message)],
        "recipients": [
            {
                "recipient": one.recipient.address,
                "inside": one.recipient.inside,
                "partner": one.recipient.partner or None,
                "visible": one.recipient.visible,
                "action": one.action.word,
                "rules": [
                    {
                        "rule": each.rule,
                        "action": each.action.word,
                        "outcome": each.outcome.name.lower(),
                        "decides": each.decided,
                        "because": each.because,
                        "findings": [
                            {
                                "detector": finding.detector,
                                "where": finding.where,
                                "evidence": finding.evidence,
                                "confidence": finding.confidence.name.lower(),
                                "count": finding.count,
                            }
                            for finding in each.findings
                        ],
                    }
                    for each in one.considered
                ],
            }
            for one in explanations
        ],
    }
