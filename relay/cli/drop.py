"""``letterlock queue drop``: what was accepted is never lost in silence, so its sender is told."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
from sqlalchemy import Connection, Row, select

from relay import clock
from relay.cli.opened import Opened, opened
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, plural, say
from relay.cli.whom import identifiers, portions
from relay.errors import RefusedError
from relay.outgoing import letterhead_of, lost_replies_of, reporter_of, routes_of, spooler_of
from relay.queue.entries import load
from relay.queue.inspection import show_entries
from relay.queue.interventions import WAITING
from relay.queue.interventions import drop as take_out
from relay.queue.items import Consignment, QueuedEntry
from relay.queue.outcomes import Failed, local_answer
from relay.queue.reports import Reports
from relay.queue.routes import REPLIES
from relay.queue.settling import Report, Settled, wants
from relay.queue.spooling import Draft
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState, Kind
from relay.vault.blobs import FileBlobs

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_DROPPED = local_answer("5.7.0", "taken out of the queue by the administrator")


@click.command(
    short_help="Take waiting entries out for good.", epilog=examples("letterlock queue drop 4ig7yxbkzvv2pcsxhxeyzxuuym")
)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--silent", is_flag=True, help="Do not tell the senders.")
@pass_session
def drop(session: Session, ids: tuple[str, ...], yes: bool, silent: bool) -> None:
    """Take waiting entries out of the queue for good; each sender gets a report that it was not delivered.

    All of them or, where one cannot be dropped, none. A reader's answer goes to the organisation's mailbox instead.
    Of more than a few hundred, so many at a time: what moves on meanwhile stays, and the rest behind it.
    """
    wanted = identifiers(ids)
    dropped = 0
    with opened(session) as one:
        blobs = FileBlobs(one.configuration.storage.blobs)
        reports = _reports(one, blobs)
        plans: list[_Plan] = []
        named: set[bytes] = set()
        for each in wanted:
            plan = _plan(one, blobs, reports, each, named, silent=silent)
            named |= plan.seen
            plans += [plan] if plan.seen else []
        if not yes:
            entries = sum(len(plan.seen) for plan in plans)
            click.confirm(f"Take {_entries(entries)} out of the queue for good?", abort=True, err=True)
        try:
            for portion in portions(plans):
                dropped += one.store.run(partial(_take_out_all, one=one, plans=portion))
        except RefusedError as error:
            raise RefusedError(f"{error}{f' ({_entries(dropped)} taken out before)' if dropped else ''}") from None
    kinds = Counter(draft.entry_rows[0]["kind"] for plan in plans for draft in plan.reports)
    answers, told = kinds[Kind.REPLY.value], kinds[Kind.DSN.value]
    say(f"Took {_entries(dropped)} out of the queue.")
    if answers:
        say(f"{plural(answers, 'answer')} of readers to {one.configuration.fallback_mailbox} instead.")
    say(f"{plural(told, 'report')} to the sender." if told else "No sender was told.")


@dataclass(frozen=True, slots=True)
class _Plan:
    """An entry or message to drop: which entries waited when its reports were written."""

    item: bytes
    seen: frozenset[bytes]
    reports: tuple[Draft, ...]


def _plan(
    one: Opened, blobs: FileBlobs, reports: Reports, item: bytes, named: Collection[bytes], *, silent: bool
) -> _Plan:
    """Return what dropping an entry or message means, but for entries ``named`` before; RefusedError, NotFoundError."""
    with one.store.read() as conn:
        waiting = [row for row in _waiting(conn, one, item) if row.id not in named]
        consignments, _damaged = load(conn, one.keyring, blobs, waiting)
    now = clock.now()
    settled = [
        Settled(consignment, entry, Failed(_DROPPED), EntryState.DROPPED, entry.attempts, now, report=Report.FAILED)
        for consignment in consignments
        for entry in consignment.entries
        if _redirected(consignment, entry) or (not silent and wants(Report.FAILED, entry, consignment.envelope))
    ]
    drafts = [report.draft for report in reports.draft(settled)]
    return _Plan(item, frozenset(row.id for row in waiting), tuple(drafts))


def _entries(count: int) -> str:
    return plural(count, "entry", "entries")


def _redirected(consignment: Consignment, entry: QueuedEntry) -> bool:
    """Tell whether this is a reader's answer to staff: its page says that the organisation's mailbox has it now."""
    return entry.kind is Kind.REPLY and consignment.route == REPLIES


def _take_out_all(conn: Connection, one: Opened, plans: Sequence[_Plan]) -> int:
    return sum(_take_out(conn, one, plan) for plan in plans)


def _take_out(conn: Connection, one: Opened, plan: _Plan) -> int:
    """Drop what was planned; return how many entries. RefusedError when it is not what waits any more."""
    if {row.id for row in _waiting(conn, one, plan.item, keep=True)} != plan.seen:
        raise RefusedError("the queue moved on while it was looked at: look again, and drop what still waits")
    return take_out(conn, one.keyring, one.audit, plan.item, clock.now(), reports=plan.reports)


def _waiting(conn: Connection, one: Opened, item: bytes, *, keep: bool = False) -> Sequence[Row[Any]]:
    """Return what waits of an entry or a message; with ``keep`` no worker takes it until the transaction has ended."""
    of_item = (_ENTRY.c.id == item) | (_ENTRY.c.message_id == item)
    chosen = select(_ENTRY).where(of_item, _ENTRY.c.state.in_([one.value for one in WAITING]))
    rows = conn.execute(chosen.with_for_update() if keep else chosen).all()
    if not rows:
        why = {entry.why for entry in show_entries(conn, one.keyring, item)}
        raise RefusedError(f"nothing of {clock.id_text(item)} is waiting ({'; '.join(sorted(why))})")
    return rows


def _reports(one: Opened, blobs: FileBlobs) -> Reports:
    configuration = one.configuration
    letterhead, routes = letterhead_of(configuration), routes_of(configuration)
    spooler = spooler_of(configuration, one.store, one.keyring, blobs)
    return Reports(
        one.store,
        reporter_of(configuration, letterhead),
        spooler,
        routes,
        configuration.delivery.give_up_after,
        lost_replies_of(configuration, letterhead, one.store, one.keyring, spooler, routes),
    )
