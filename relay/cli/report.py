"""``letterlock report``: what the rules did, and what the shadow rules would have done."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy import Connection, func, select

from policies.engine import BUILT_IN
from policies.model import Action
from relay import clock
from relay.cli.opened import opened
from relay.cli.session import Session, pass_session
from relay.cli.spans import moment
from relay.cli.terminal import examples, plural, print_json, print_table, say
from relay.config import Configuration
from relay.config.amounts import duration
from relay.conversation.answered import FLOOR
from relay.store.tables import Decision

_DONE = {"pass": "passed", "notify": "relayed with a receipt", "seal": "sealed", "hold": "held", "refuse": "refused"}
_BUILT_IN = BUILT_IN | {FLOOR.rule}
_DECISION = Decision.__table__  # type: ignore[attr-defined]


@dataclass(slots=True)
class Tally:
    """Copies (one message for one recipient) since a moment: by action, by live rule that decided, by shadow rule.

    ``rules`` counts by (rule, action that it asked for and the copy got), ``shadow`` by (rule, action it asks for).
    """

    messages: int = 0
    actions: Counter[tuple[str, bool]] = field(default_factory=Counter)  # (action, inside)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    shadow: Counter[tuple[str, str]] = field(default_factory=Counter)


class Since(click.ParamType[datetime]):
    """A time back from now (``7d``, ``12h``) or a day (``2026-11-01``, from its midnight in local time)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment, in UTC."""
        if isinstance(value, datetime):
            return value
        now = clock.now()
        since = self._moment(value, now)
        if since is None:
            self.fail(f'"{value}" is no time: write 7d, 12h or 2026-11-01', param, ctx)
        if since >= now:
            self.fail(f'"{value}" leaves no time to report on: write a time before now', param, ctx)
        return since

    @staticmethod
    def _moment(text: str, now: datetime) -> datetime | None:
        try:
            back = duration(text)
        except ValueError:
            pass
        else:
            return now - back
        try:
            return datetime.strptime(text, "%Y-%m-%d").astimezone().astimezone(UTC)  # local on purpose
        except (ValueError, OverflowError):
            return None


@click.command(epilog=examples("letterlock report --since 7d"))
@click.option("--since", type=Since(), default="7d", show_default=True, help="How far back: 7d, 12h or 2026-11-01.")
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def command(session: Session, since: datetime, as_json: bool) -> None:
    """Count what each rule decided.

    Shadow rules stand there with what they would have done.

    A copy is one message for one recipient. Nothing personal is printed.
    """
    with opened(session) as one, one.store.read() as conn:
        tally = count(conn, since)
        configuration = one.configuration
    if as_json:
        print_json(_as_json(tally, since))
    else:
        _print(tally, since, configuration)


def count(conn: Connection, since: datetime) -> Tally:
    """Return the tally of every decision since a moment; the database groups equal decisions."""
    tally = Tally()
    after = _DECISION.c.at >= since
    tally.messages = conn.execute(select(func.count(_DECISION.c.message_id.distinct())).where(after)).scalar_one()
    same = (_DECISION.c.action, _DECISION.c.inside, _DECISION.c.rules, _DECISION.c.shadow)
    for row in conn.execute(select(*same, func.count().label("copies")).where(after).group_by(*same)):
        tally.actions[row.action, row.inside] += row.copies
        for rule in json.loads(row.rules):
            tally.rules[rule, row.action] += row.copies
        for rule, action in json.loads(row.shadow):
            tally.shadow[rule, action] += row.copies
    return tally


def _print(tally: Tally, since: datetime, configuration: Configuration) -> None:
    copies = sum(tally.actions.values())
    say(f"Since {moment(since)}: {plural(tally.messages, 'message')}, {plural(copies, 'copy', 'copies')} judged.")
    if not copies:
        return
    say()
    print_table(
        ("action", "to inside", "to outside"),
        (
            (action.word, f"{tally.actions[action.word, True]:,}", f"{tally.actions[action.word, False]:,}")
            for action in Action
            if tally.actions[action.word, True] or tally.actions[action.word, False]
        ),
        right=("to inside", "to outside"),
    )
    say()
    print_table(
        ("rule", "mode", "hits", "which were"),
        _rule_rows(tally, configuration),
        right=("hits",),
    )


def _rule_rows(tally: Tally, configuration: Configuration) -> Iterable[tuple[str, str, str, str]]:
    """Yield a row for each rule of the file, silent ones too, then for rules that have left the file since."""
    modes = {rule.name: rule.mode.value for rule in configuration.rules}
    seen = dict.fromkeys([*modes, *(name for name, _ in tally.rules), *(name for name, _ in tally.shadow)])
    for name in seen:
        live = Counter({action: copies for (rule, action), copies in tally.rules.items() if rule == name})
        shadow = Counter({action: copies for (rule, action), copies in tally.shadow.items() if rule == name})
        mode = modes.get(name, "built in" if name in _BUILT_IN else "gone")
        if live or not shadow:
            yield name, mode, f"{live.total():,}", _list(live, "")
        if shadow:
            yield name, "shadow", f"{shadow.total():,}", _list(shadow, "would be ")


def _list(counted: Counter[str], before: str) -> str:
    return ", ".join(f"{copies:,} {before}{_DONE.get(action, action)}" for action, copies in counted.most_common())


def _as_json(tally: Tally, since: datetime) -> dict[str, Any]:
    return {
        "since": since.isoformat(),
        "messages": tally.messages,
        "copies": sum(tally.actions.values()),
        "actions": [
            {"action": action, "inside": inside, "copies": copies}
            for (action, inside), copies in sorted(tally.actions.items())
        ],
        "rules": [
            {"rule": rule, "action": action, "copies": copies} for (rule, action), copies in sorted(tally.rules.items())
        ],
        "shadow": [
            {"rule": rule, "would": action, "copies": copies} for (rule, action), copies in sorted(tally.shadow.items())
        ],
    }
