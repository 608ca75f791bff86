"""``letterlock held``: copies that wait for their sender's answer, and deciding in the sender's place."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from relay import clock
from relay.cli.opened import Opened, identifier, opened
from relay.cli.session import Session, pass_session
from relay.cli.spans import moment, span
from relay.cli.terminal import examples, plural, print_json, print_table, say
from relay.config.amounts import size_words
from relay.conversation.furnishing import release_of
from relay.conversation.release import BY_ADMINISTRATOR, Release
from relay.errors import NotFoundError, OvertakenError, RefusedError
from relay.plan import Part
from relay.queue.holds import Held, find_hold, list_holds
from relay.queue.inspection import UNREADABLE
from relay.store.tables.queue import HoldState
from relay.vault.blobs import FileBlobs

_EXAMPLE = "4ig7yxbkzvv2pcsxhxeyzxuuym"


@click.group()
def command() -> None:
    """Look at messages that a rule holds.

    Decide about them in place of the sender, who was asked by mail.

    An ID is that of one question; it may be about several recipients.
    """


@command.command("list", epilog=examples("letterlock held list", "letterlock held list --all --json"))
@click.option("--all", "everything", is_flag=True, help="Decided ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def show_list(session: Session, everything: bool, as_json: bool) -> None:
    """List what waits for an answer, the shortest time first."""
    with opened(session) as one, one.store.read() as conn:
        holds = list_holds(conn, one.keyring, decided=everything)
    if as_json:
        print_json([_as_json(held) for held in holds])
        return
    now = clock.now()
    if holds:
        print_table(
            ("id", "from", "to", "waits for", "until", "state"),
            (
                (
                    clock.id_text(held.id),
                    _sender(held),
                    ", ".join(held.addresses),
                    span(now, held.created_at),
                    moment(held.until),
                    held.state.value,
                )
                for held in holds
            ),
            whole=("id",),
        )
    waiting = sum(held.state is HoldState.WAITING for held in holds)
    say(f"{plural(waiting, 'question')} not answered." if waiting else "Nothing is held.")


@command.command(epilog=examples(f"letterlock held show {_EXAMPLE}"))
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def show(session: Session, id: str, as_json: bool) -> None:  # noqa: A002  # the word of the help page
    """Show one question: who was asked, for whom, and which rules hold it."""
    with opened(session) as one:
        held = _find(one, id)
    if as_json:
        print_json(_as_json(held))
        return
    say(f"{clock.id_text(held.id)}  {held.state.value}", style="bold")
    facts = {
        "message": clock.id_text(held.message_id) + (f", {size_words(held.size)}" if held.size else ""),
        "from": _sender(held),
        "asked": moment(held.created_at),
        "until": moment(held.until),
    }
    if held.decided_at:
        facts["decided"] = moment(held.decided_at)
    for name, value in facts.items():
        say(f"  {name + ':':<10}{value}")
    for copy in held.copies:
        say(f"  to {copy.address}")
        for rule, because in copy.reasons:
            say(f"    because {because} (rule {rule})")
        if not copy.plain:
            say("    the sender may send it sealed only")


@command.command(
    short_help="Let held copies go.",
    epilog=examples(f"letterlock held release {_EXAMPLE}", f"letterlock held release {_EXAMPLE} --plain"),
)
@click.argument("id")
@click.option("--sealed/--plain", default=True, help="Sealed, to be read in the portal (the default), or as it is.")
@pass_session
def release(session: Session, id: str, sealed: bool) -> None:  # noqa: A002
    """Let the copies that wait go to their recipients; the sender is told.

    With --plain they leave as they are, whatever the rules allow the sender. The audit says that you did it.
    """
    with opened(session) as one:
        held = _waiting(one, id)
        work = _release(one)
        now = clock.now()
        if sealed:
            decided = work.seal(held, by=BY_ADMINISTRATOR, now=now)
        else:
            decided = work.send(held, held.copies, by=BY_ADMINISTRATOR, now=now)
        news = work.mailings.decided(held, decided.said, now)
        _carry_out(work, held, replace(decided.part, drafts=(*decided.part.drafts, news)), now)
    for sentence in decided.said:
        say(sentence)


@command.command(
    "return", short_help="Return held copies to the sender.", epilog=examples(f"letterlock held return {_EXAMPLE}")
)
@click.argument("id")
@pass_session
def give_back(session: Session, id: str) -> None:  # noqa: A002
    """Return what waits: the recipients get nothing, the sender gets it reported as undelivered."""
    with opened(session) as one:
        held = _waiting(one, id)
        work = _release(one)
        now = clock.now()
        part = work.give_back(held, by=BY_ADMINISTRATOR, now=now)
        _carry_out(work, held, part, now)
    told = "the sender is told" if part.drafts else "no report was wanted"
    say(f"Returned; {told}. Nothing goes to {', '.join(held.addresses)}.")


def _find(one: Opened, text: str) -> Held:
    hold_id = identifier(text, "held list")
    with one.store.read() as conn:
        held = find_hold(conn, one.keyring, hold_id)
    if held is None:
        raise NotFoundError(f'there is no question {text}: "letterlock held list" shows those that wait')
    return held


def _waiting(one: Opened, text: str) -> Held:
    held = _find(one, text)
    if not held.copies:
        raise RefusedError(f"nothing of {text} waits any more: it was {held.state.value}")
    return held


def _release(one: Opened) -> Release:
    blobs = FileBlobs(one.configuration.storage.blobs)
    return release_of(one.configuration, one.store, one.keyring, blobs, one.audit)


def _carry_out(work: Release, held: Held, part: Part, now: datetime) -> None:
    try:
        work.carry_out(held, part, now)
    except OvertakenError:
        raise RefusedError("somebody decided about it at this moment: look again") from None


def _sender(held: Held) -> str:
    return held.sender or UNREADABLE


def _as_json(held: Held) -> dict[str, Any]:
    return {
        "id": clock.id_text(held.id),
        "message": clock.id_text(held.message_id),
        "state": held.state.value,
        "sender": _sender(held),
        "asked": held.created_at.isoformat(),
        "until": held.until.isoformat(),
        "decided": held.decided_at.isoformat() if held.decided_at else None,
        "size": held.size,
        "copies": [
            {
                "recipient": copy.address,
                "may_go_plain": copy.plain,
                "rules": [rule for rule, _ in copy.reasons],
                "because": [because for _, because in copy.reasons],
            }
            for copy in held.copies
        ],
    }
