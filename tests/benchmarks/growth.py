"""What a message costs when there is much of everything: the least CPU of many rounds, before and after filling.

Terms of the rules times 500; a million contacts in the history; 100,000 mails that wait in the queue; 100,000 sealed
messages. The rows are made up, but they are as many, and under the same indices.
"""

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import LargeBinary, Table
from sqlmodel import SQLModel

from relay import clock
from relay.config.demo import word_lists
from relay.store.prepared import insertion
from relay.store.tables import Entry, Pair, Part, Participant, QueuedMessage, Sealed, Spool, Stanza
from relay.store.types import Moment
from relay.store.writer import Store
from tests.benchmarks.load import Effort, Sink
from tests.benchmarks.parts import Line, cost, line
from tests.benchmarks.peers import example_rules

TERMS = 500
CONTACTS, QUEUED, SEALED = 1_000_000, 100_000, 100_000
AT_ONCE = 5_000  # rows in one transaction
LATER = timedelta(days=1)


def fill(store: Store, model: type[SQLModel], count: int, **given: Any) -> None:
    """Insert made-up rows; a value that can be called is called for each row."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    now = clock.now()
    columns = tuple(column.name for column in table.columns if column.name in given or not column.nullable)
    statement = insertion(table, columns)

    def value(name: str) -> Any:
        if name in given:
            return given[name]() if callable(given[name]) else given[name]
        return _made_up(table.columns[name].type, now)

    for start in range(0, count, AT_ONCE):
        rows = [{name: value(name) for name in columns} for _ in range(start, min(start + AT_ONCE, count))]
        store.run(lambda connection, rows=rows: statement.many(connection, rows))  # type: ignore[misc]


def _made_up(kind: Any, now: datetime) -> Any:
    if isinstance(kind, LargeBinary):
        return secrets.token_bytes(16)
    if isinstance(kind, Moment):
        return now
    return "" if kind.python_type is str else kind.python_type(1)


def _each(ids: list[bytes]) -> Callable[[], bytes]:
    return iter(ids).__next__


def contacts(store: Store, effort: Effort) -> None:
    """Let a thousand senders know a thousand people each."""
    fill(store, Pair, effort.of(CONTACTS))


def queued(store: Store, effort: Effort) -> None:
    """Let mail wait for its next try tomorrow."""
    ids = [clock.new_id() for _ in range(effort.of(QUEUED))]
    later = clock.now() + LATER
    fill(store, QueuedMessage, len(ids), id=_each(ids), direction="out", message_key=clock.new_id)
    fill(store, Spool, len(ids), message_id=_each(ids), content=lambda: secrets.token_bytes(2000))
    fill(store, Entry, len(ids), message_id=_each(ids), kind="mail", route="outside", state="due", due_at=later)


def sealed(store: Store, effort: Effort) -> None:
    """Let sealed messages of 4 KB wait for their readers for a month."""
    ids = [clock.new_id() for _ in range(effort.of(SEALED))]
    month = clock.now() + timedelta(days=30)
    fill(store, Sealed, len(ids), id=_each(ids), state="live", expires_at=month)
    fill(store, Part, len(ids), message_id=_each(ids), content=lambda: secrets.token_bytes(4000))
    fill(store, Stanza, len(ids), message_id=_each(ids))
    fill(store, Participant, len(ids), state="notified", notified_at=clock.now)


def many_terms(folder: Path) -> None:
    """Make every list of the demo rules ``TERMS`` times as long; what is added occurs in no letter."""
    for name, words in word_lists().items():
        more = (f"zq{number:x}x zq{number * 7919 % 65521:x}" for number in range(words.count("\n") * (TERMS - 1)))
        (folder / name).write_text(words + "\n".join(more) + "\n")


def report(home: Path, into: Sink, effort: Effort) -> None:
    """Print the table; what is filled in stays for the next row."""
    print("| what there is | ms for a message | ratio |\n|---|---|---|")
    with line(home / "plain", example_rules()) as measured:
        base = _row("nothing", measured, into, effort)
        for name, filled in (
            ("1,000,000 contacts", contacts),
            ("and 100,000 queued", queued),
            ("and 100,000 sealed", sealed),
        ):
            filled(measured.gateway.store, effort)
            _row(name, measured, into, effort, base)
    with line(home / "terms", example_rules(), prepare=many_terms) as measured:
        _row(f"terms times {TERMS}, nothing else", measured, into, effort, base)


def _row(name: str, measured: Line, into: Sink, effort: Effort, base: float = 0.0) -> float:
    seconds = asyncio.run(cost(measured, into, effort))
    print(f"| {name} | {seconds * 1e3:.2f} | {f'{seconds / base:.2f}' if base else '-'} |", flush=True)
    return seconds
