"""``letterlock queue``: what waits, why, and what to do about it."""

from datetime import datetime
from typing import Any

import click

from relay import clock
from relay.cli.drop import drop
from relay.cli.opened import identifier, opened
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, plural, print_json, print_table, say
from relay.config.values import size_words
from relay.queue.inspection import UNFINISHED, ListedEntry, count_entries, list_entries, retry, show_entries
from relay.store.tables.queue import EntryState


@click.group()
def command() -> None:
    """Look at what waits to be sent.

    Try it at once, or take it out.

    An ID is that of one entry (one recipient), or of a message with all its entries.
    """


command.add_command(drop)


@command.command("list", epilog=examples("letterlock queue list", "letterlock queue list --route outside --json"))
@click.option("--route", metavar="NAME", help="Only entries that leave this way: inside, outside, partner:NAME …")
@click.option("--all", "everything", is_flag=True, help="Finished entries too.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most entries to list.")
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def show_list(session: Session, route: str | None, everything: bool, limit: int, as_json: bool) -> None:
    """List what waits, the longest due first, with the reason."""
    states = tuple(EntryState) if everything else UNFINISHED
    with opened(session) as one, one.store.read() as conn:
        entries = list_entries(conn, one.keyring, states=states, route=route, limit=limit)
        counts = count_entries(conn)
    if as_json:
        print_json({"entries": [_as_json(entry) for entry in entries], "counts": dict(counts)})
        return
    now = clock.now()
    if entries:
        print_table(
            ("id", "kind", "to", "size", "age", "next try", "why"),
            (
                (
                    clock.id_text(entry.id),
                    entry.kind,
                    entry.recipient,
                    size_words(entry.size),
                    span(now, entry.created_at),
                    _next_try(entry, now),
                    entry.why,
                )
                for entry in entries
            ),
            right=("size", "age"),
        )
    waiting = sum(count for state, count in counts.items() if state in UNFINISHED)
    more = f", {len(entries)} shown" if len(entries) < waiting and not everything else ""
    say(f"{plural(waiting, 'entry', 'entries')} waiting{more}." if waiting else "Nothing is waiting.")


@command.command(epilog=examples("letterlock queue show 4ig7yxbkzvv2pcsxhxeyzxuuym"))
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def show(session: Session, id: str, as_json: bool) -> None:  # noqa: A002  # the word of the help page
    """Show one entry, or every entry of a message."""
    with opened(session) as one, one.store.read() as conn:
        entries = show_entries(conn, one.keyring, identifier(id))
    if as_json:
        print_json([_as_json(entry) for entry in entries])
        return
    for entry in entries:
        say(f"{clock.id_text(entry.id)}  {entry.kind} to {entry.recipient}", style="bold")
        facts = {
            "message": f"{clock.id_text(entry.message_id)}, {size_words(entry.size)}",
            "from": entry.sender or "(none: a notice or report)",
            "route": entry.route,
            "queued": moment(entry.created_at),
            "state": f"{entry.state}: {entry.why}",
            "next try": moment(entry.due_at) if entry.state is EntryState.DUE else "",
            "leased until": moment(entry.lease_until) if entry.lease_until else "",
            "finished": moment(entry.finished_at) if entry.finished_at else "",
            "last reply": entry.reply,
        }
        for name, value in facts.items():
            if value:
                say(f"  {name + ':':<14}{value}")


@command.command("retry", epilog=examples("letterlock queue retry 4ig7yxbkzvv2pcsxhxeyzxuuym"))
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@pass_session
def try_again(session: Session, ids: tuple[str, ...]) -> None:
    """Try waiting entries at once instead of at their next turn."""
    wanted = [identifier(text) for text in ids]
    with opened(session) as one:
        tried = one.store.run(
            lambda conn: sum(retry(conn, one.keyring, one.audit, each, clock.now()) for each in wanted)
        )
    say(f"{plural(tried, 'entry is', 'entries are')} due now; a running gateway takes them up within a second.")


def moment(at: datetime) -> str:
    """Return a moment in local time, to the second, with the zone named."""
    return clock.local_text(at)


def span(later: datetime, earlier: datetime) -> str:
    """Return the time between two moments in its largest unit: ``3 h``; never negative."""
    seconds = max(0, int((later - earlier).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _next_try(entry: ListedEntry, now: datetime) -> str:
    if entry.state is not EntryState.DUE:
        return ""
    return "now" if entry.due_at <= now else f"in {span(entry.due_at, now)}"


def _as_json(entry: ListedEntry) -> dict[str, Any]:
    return {
        "id": clock.id_text(entry.id),
        "message": clock.id_text(entry.message_id),
        "kind": entry.kind.value,
        "route": entry.route,
        "state": entry.state.value,
        "recipient": entry.recipient,
        "sender": entry.sender,
        "size": entry.size,
        "queued": entry.created_at.isoformat(),
        "next_try": entry.due_at.isoformat() if entry.state is EntryState.DUE else None,
        "attempts": entry.attempts,
        "last_reply": entry.reply,
        "why": entry.why,
    }
