"""``letterlock trace``: what became of one message, from the audit, in words."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Connection, select

from relay import clock
from relay.cli.opened import Opened, messages_named, opened
from relay.cli.session import Session, pass_session
from relay.cli.spans import moment
from relay.cli.terminal import examples, plural, print_json, say
from relay.config.amounts import size_words
from relay.errors import NotFoundError
from relay.queue.inspection import UNFINISHED, ListedEntry, show_entries
from relay.store.audit import AuditLine
from relay.store.events import Event, sentence
from relay.store.tables import QueuedMessage

_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_FORGOTTEN = "names and addresses were forgotten: their key was destroyed"


@dataclass(frozen=True, slots=True)
class Trace:
    """One message: when it came, what is recorded of it and of the mails it caused, and what still waits."""

    id: bytes
    accepted_at: datetime | None  # None: it was refused, or its row has been swept
    size: int
    lines: tuple[AuditLine, ...]
    waiting: tuple[ListedEntry, ...]


@click.command(
    epilog=examples(
        "letterlock trace '<20261122.4711@mail.example.org>'", "letterlock trace 4ig7yxbkzvv2pcsxhxeyzxuuym"
    )
)
@click.argument("message_id", metavar="MESSAGE-ID")
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def command(session: Session, message_id: str, as_json: bool) -> None:
    """Tell what became of one message.

    MESSAGE-ID is what stands in the message's header (with or without <>), or the id of the 250 reply. Every mail
    with that Message-ID is told, and with it the notices and reports that it caused.
    """
    with opened(session) as one, one.store.read() as conn:
        traces = [trace(conn, one, found) for found in messages_named(conn, one, message_id)]
    traces = [each for each in traces if each.accepted_at or each.lines]
    if not traces:
        raise NotFoundError(f"nothing is recorded of {message_id}")
    if as_json:
        print_json([_as_json(each) for each in traces])
        return
    for each in traces:
        _print(each)


def trace(conn: Connection, one: Opened, message_id: bytes) -> Trace:
    """Return everything that is known of a message, the mails that it caused included."""
    row = conn.execute(select(_MESSAGE.c.accepted_at, _MESSAGE.c.size).where(_MESSAGE.c.id == message_id)).one_or_none()
    children = conn.execute(select(_MESSAGE.c.id).where(_MESSAGE.c.parent == message_id)).scalars().all()
    lines: list[AuditLine] = []
    waiting: list[ListedEntry] = []
    for each in (message_id, *children):
        lines += one.audit.events_of(conn, each)
        with suppress(NotFoundError):  # a sealed or refused message has no entry of its own
            waiting += [entry for entry in show_entries(conn, one.keyring, each) if entry.state in UNFINISHED]
    lines.sort(key=lambda line: line.at)
    return Trace(message_id, row.accepted_at if row else None, row.size if row else 0, tuple(lines), tuple(waiting))


def _print(found: Trace) -> None:
    size = f", {size_words(found.size)}" if found.size else ""
    accepted = f", accepted {moment(found.accepted_at)}" if found.accepted_at else ""
    say(f"Message {clock.id_text(found.id)}{accepted}{size}", style="bold")
    for line, said in _folded(found.lines):
        reply = (line.personal or {}).get("reply", "")
        say(f"  {moment(line.at)}  {said}{f': {reply}' if reply else ''}")
    for entry in found.waiting:
        now = "now".ljust(len(moment(entry.created_at)))
        say(f"  {now}  {entry.kind} to {entry.recipient} {entry.why} (entry {clock.id_text(entry.id)})", style="yellow")
    if found.lines and all(line.personal is None for line in found.lines):
        say(f"  ({_FORGOTTEN})", style="dim")
    if not found.waiting:
        say(f"  {plural(len(found.lines), 'event')}; nothing of it waits in the queue.", style="dim")
    say()


def _folded(lines: Sequence[AuditLine]) -> list[tuple[AuditLine, str]]:
    """Return the lines with their sentences; an entry that was put off again and again is told once, at the last."""
    runs: list[list[AuditLine]] = []
    open_runs: dict[object, list[AuditLine]] = {}  # by entry
    for line in lines:
        entry = line.facts.get("entry")
        if line.event != Event.DEFERRED or entry is None:
            open_runs.pop(entry, None)
            runs.append([line])
        elif entry in open_runs:
            open_runs[entry].append(line)
        else:
            runs.append(open_runs.setdefault(entry, [line]))
    told = [(run[-1], _run_sentence(run)) for run in runs]
    return sorted(told, key=lambda one: one[0].at)


def _run_sentence(run: Sequence[AuditLine]) -> str:
    if len(run) == 1:
        return run[0].sentence
    times = f"{len(run)} times since {moment(run[0].at)}, last"
    return sentence(run[-1].event, {**run[-1].facts, **(run[-1].personal or {}), "times": times})


def _as_json(found: Trace) -> dict[str, Any]:
    return {
        "id": clock.id_text(found.id),
        "accepted": found.accepted_at.isoformat() if found.accepted_at else None,
        "size": found.size,
        "events": [
            {
                "at": line.at.isoformat(),
                "writer": line.writer,
                "event": line.event,
                "sentence": line.sentence,
                "facts": dict(line.facts),
                "personal": dict(line.personal) if line.personal is not None else None,
            }
            for line in found.lines
        ],
        "waiting": [
            {"id": clock.id_text(entry.id), "recipient": entry.recipient, "why": entry.why} for entry in found.waiting
        ],
    }
