"""``letterlock queue``: what waits, why, and what to do about it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click

from relay import clock
from relay.cli.drop import drop
from relay.cli.opened import Opened, identifier, opened
from relay.cli.pausing import each, pause, resume
from relay.cli.session import Session, pass_session
from relay.cli.spans import due_in, moment, span
from relay.cli.summary import summary
from relay.cli.terminal import examples, plural, print_json, print_table, say
from relay.cli.whom import Age, DestinationDomain, Whom, identifiers, portions
from relay.config.amounts import size_words
from relay.errors import RefusedError
from relay.outgoing import routes_of
from relay.queue.inspection import UNFINISHED, ListedEntry, Wanted, count_entries, list_entries, show_entries
from relay.queue.interventions import retry, retry_portion, waiting_ids
from relay.queue.pauses import Pause, list_pauses
from relay.store.tables.queue import EntryState


@click.group()
def command() -> None:
    """Look at what waits to be sent.

    Try it at once, keep it back, or take it out.

    An ID is that of one entry (one recipient), or of a message with all its entries.
    """


command.add_command(drop)
command.add_command(pause)
command.add_command(resume)
command.add_command(summary)


@command.command(
    "list",
    epilog=examples(
        "letterlock queue list",
        "letterlock queue list --to example.net --older 2h",
        "letterlock queue list --from anna@example.org --all --json",
    ),
)
@click.option("--to", type=Whom(), help="Only entries for this address or domain.")
@click.option("--from", "sender", type=Whom(null=True), help="Only mail of this sender; <> is our own.")
@click.option("--older", type=Age(), help="Only what was queued longer ago than this: 15m, 4h, 2d.")
@click.option("--route", metavar="NAME", default="", help="Only entries that leave this way: inside, outside …")
@click.option("--paused", is_flag=True, help="Only what an operator keeps back.")
@click.option("--all", "everything", is_flag=True, help="Finished entries too, and those that a rule holds.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most entries to list.")
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def show_list(  # noqa: PLR0917  # the options
    session: Session,
    to: str | None,
    sender: str | None,
    older: timedelta | None,
    route: str,
    paused: bool,
    everything: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List what waits, the longest due first, with the reason."""
    now = clock.now()
    states = (EntryState.PAUSED,) if paused else tuple(EntryState) if everything else UNFINISHED
    wanted = Wanted(states, route, to or "", sender or "", now - older if older is not None else None)
    with opened(session) as one, one.store.read() as conn:
        entries = list_entries(conn, one.keyring, wanted, limit=limit)
        counts = count_entries(conn)
        pauses = list_pauses(conn)
    if as_json:
        told = [{"domain": one.domain, "since": one.since.isoformat(), "entries": one.entries} for one in pauses]
        print_json({"entries": [_as_json(entry) for entry in entries], "counts": dict(counts), "paused": told})
        return
    _print_entries(entries, now)
    waiting = sum(count for state, count in counts.items() if state in UNFINISHED)
    cut_off = len(entries) == limit < waiting
    more = f", {len(entries):,} {'shown' if cut_off else 'of them match'}"
    more = more if len(entries) < waiting and not everything else ""
    say(f"{plural(waiting, 'entry', 'entries')} waiting{more}." if waiting else "Nothing is waiting.")
    if cut_off:
        say('"letterlock queue summary" adds them up.')
    _print_kept_back(counts.get(EntryState.HELD, 0), pauses)


def _print_entries(entries: Sequence[ListedEntry], now: datetime) -> None:
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
            whole=("id",),
        )


def _print_kept_back(held: int, pauses: Sequence[Pause]) -> None:
    """Say what else is here and does not leave: what an operator paused, and what a rule holds."""
    for one in pauses:
        say(f"Nothing leaves to {one.domain} since {moment(one.since)}: an operator paused it.")
    if held:
        say(f'Besides, rules hold {plural(held, "copy", "copies")}: see "letterlock held list".')


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
            "paused": moment(entry.due_at) if entry.state is EntryState.PAUSED else "",
            "leased until": moment(entry.lease_until) if entry.lease_until else "",
            "finished": moment(entry.finished_at) if entry.finished_at else "",
            "last reply": entry.reply,
        }
        for name, value in facts.items():
            if value:
                say(f"  {name + ':':<14}{value}")


@command.command(
    "retry",
    epilog=examples(
        "letterlock queue retry 4ig7yxbkzvv2pcsxhxeyzxuuym",
        "letterlock queue retry --to example.net",
        "letterlock queue retry --route outside",
    ),
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--to", type=DestinationDomain(), help="All that waits for this domain.")
@click.option("--route", metavar="NAME", help="All that leaves this way: inside, outside …")
@click.option("--all", "everything", is_flag=True, help="All that waits.")
@pass_session
def try_again(session: Session, ids: tuple[str, ...], to: str | None, route: str | None, everything: bool) -> None:
    """Try waiting entries at once instead of at their next turn.

    Next hops that were left alone because they did not answer are asked again.
    """
    if sum(map(bool, (ids, to, route, everything))) != 1:
        raise click.UsageError("Name one or more IDs, a domain with --to, a route with --route, or --all.")
    wanted = identifiers(ids)
    with opened(session) as one:
        if wanted:
            tried, refused = each(one, wanted, retry)
        else:
            tried, refused = _retry_all(one, to or "", route or ""), None
    if tried:
        say(f"{plural(tried, 'entry is', 'entries are')} due now; a running gateway takes them up within a second.")
    if refused:
        raise refused


def _retry_all(one: Opened, to: str, route: str) -> int:
    with one.store.read() as conn:
        waiting = waiting_ids(conn, domain=to, route=route)
    facts = {"domain": to} if to else {"route": route or "every route"}
    tried = 0
    for portion in portions(waiting):
        tried += one.store.run(partial(retry_portion, audit=one.audit, entry_ids=portion, facts=facts, now=clock.now()))
    if tried:
        return tried
    names = f" (routes are {', '.join(routes_of(one.configuration).by_name)})" if route else ""
    raise RefusedError(f"nothing is waiting{' for ' if to or route else ''}{to or route}{names}")


def _next_try(entry: ListedEntry, now: datetime) -> str:
    return due_in(entry.due_at if entry.state is EntryState.DUE else None, now)


def _as_json(entry: ListedEntry) -> dict[str, Any]:
    return {
        "id": clock.id_text(entry.id),
        "message": clock.id_text(entry.message_id),
        "kind": entry.kind,
        "route": entry.route,
        "domain": entry.domain,
        "state": entry.state.value,
        "recipient": entry.recipient,
        "sender": entry.sender,
        "size": entry.size,
        "queued": entry.created_at.isoformat(),
        "next_try": entry.due_at.isoformat() if entry.state is EntryState.DUE else None,
        "paused_since": entry.due_at.isoformat() if entry.state is EntryState.PAUSED else None,
        "attempts": entry.attempts,
        "last_reply": entry.reply,
        "why": entry.why,
    }
