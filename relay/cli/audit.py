"""``letterlock audit``: whether anybody changed what is recorded."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from relay.cli.opened import opened
from relay.cli.session import Session, pass_session
from relay.cli.spans import moment
from relay.cli.terminal import examples, plural, print_json, say
from relay.errors import RefusedError
from relay.store.verification import Report, verify

_EVENT = "checkpoint"  # of the log line that exports one (relay/housekeeping.py)


@click.group()
def command() -> None:
    """Check the record of what happened."""


@command.command(
    "verify",
    short_help="Check every event against the signed checkpoints.",
    epilog=examples(
        "letterlock audit verify",
        "letterlock audit verify --exported /backup/letterlock.log --exported /backup/letterlock.log.1",
    ),
)
@click.option(
    "--exported",
    "logs",
    metavar="LOGFILE",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A log of the gateway (JSON lines) that was kept on another machine; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def check(session: Session, logs: tuple[Path, ...], as_json: bool) -> None:
    """Check every recorded event against the checkpoints that were signed once a minute.

    Whoever rewrites the database can cut off its newest part together with the checkpoints over it. Only the
    checkpoints in a log that was kept elsewhere show that: name it with --exported. Exit code 1 means that something
    was changed.
    """
    # The log before the database: what is signed meanwhile would be missing in the older of the two.
    exported = [line for log in logs for line in exported_checkpoints(log)]
    with opened(session) as one, one.store.read() as conn:
        report = verify(conn, one.keyring.signing_public, exported)
    if as_json:
        print_json(_as_json(report, exported))
    else:
        _print(report, exported)
    if report.problems:
        raise click.exceptions.Exit(1)


def exported_checkpoints(log: Path) -> tuple[str, ...]:
    """Return the checkpoints in a log of the gateway; other lines, and whatever stands before the JSON, are passed by.

    RefusedError when the file cannot be read or holds none: a check against nothing would only look like one.
    """
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            found = tuple(_checkpoints(lines))
    except OSError as error:
        raise RefusedError(f"{log} cannot be read: {error.strerror}") from error
    if not found:
        raise RefusedError(f"{log} holds no checkpoint: name a log of the gateway with one JSON object a line")
    return found


def _checkpoints(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if _EVENT not in line or "{" not in line:
            continue
        try:
            event = json.loads(line[line.index("{") :])
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("event") == _EVENT and isinstance(event.get("line"), str):
            yield event["line"]


def _print(report: Report, exported: Sequence[str]) -> None:
    if report.proven_until is None:
        say("Nothing is proven: there is no valid checkpoint.", style="yellow")
    else:
        are = plural(report.proven, "event is", "events are")
        say(f"{are} covered by {plural(report.checkpoints, 'checkpoint')}, until {moment(report.proven_until)}.")
    if report.unproven:
        are = plural(report.unproven, "event is", "events are")
        say(f"{are} newer than the last checkpoint and unproven: nobody can tell whether more were cut off.")
    if exported:
        say(f"Compared with {plural(len(set(exported)), 'exported checkpoint')}.")
    else:
        say("Not compared with a log kept elsewhere (--exported): a newest part that was cut off is not seen.")
    for problem in report.problems:
        say(f"  {problem}", style="red")
    if report.problems:
        say(f"{plural(len(report.problems), 'problem')}: the audit is not what was signed.", style="bold red")
    else:
        say("No problem was found.", style="green")


def _as_json(report: Report, exported: Sequence[str]) -> dict[str, Any]:
    return {
        "ok": not report.problems,
        "events": report.events,
        "proven": report.proven,
        "unproven": report.unproven,
        "checkpoints": report.checkpoints,
        "proven_until": report.proven_until.isoformat() if report.proven_until else None,
        "exported": len(set(exported)),
        "problems": list(report.problems),
    }
