"""What a message costs when there is much of everything: the least CPU of many rounds, before and after filling.

Terms of the rules times 500; a million contacts in the history; 100,000 mails that wait in the queue; 100,000 sealed
messages. The rows are made up, but they are as many, and under the same indices. A second gateway, with nothing in it,
takes turns with the first in the same process: what else runs on the machine moves a figure by half, the ratio hardly.
What a message costs has its share of the history's counting in it, which the relay does ten times a second: without it
the tail of what is not counted yet would grow with every round, and the figure with it.
"""

import asyncio
import gc
import math
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlmodel import AutoString, SQLModel

from relay import clock
from relay.config.demo import word_lists
from relay.store.folding import fold
from relay.store.prepared import insertion
from relay.store.tables import Entry, Pair, Part, Participant, QueuedMessage, Sealed, Spool, Stanza
from relay.store.types import Bytes, Moment
from relay.store.writer import Store
from tests.benchmarks.load import Effort, Sink
from tests.benchmarks.parts import SENDER, TOGETHER, Line, line
from tests.benchmarks.peers import example_rules

TERMS = 500
ROUNDS = 60
CONTACTS, QUEUED, SEALED = 1_000_000, 100_000, 100_000
SENDERS = 1000
AT_ONCE = 5_000  # rows in one transaction
RETRY = "1h"
LATER = timedelta(minutes=90)  # no later than twice that pause: a clock that jumped would be suspected, and all sent


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
    if isinstance(kind, Bytes):
        return secrets.token_bytes(16)
    if isinstance(kind, Moment):
        return now
    if isinstance(kind, AutoString):
        return ""
    return kind.python_type(1)


def _each(ids: list[bytes]) -> Callable[[], bytes]:
    return iter(ids).__next__


def contacts(measured: Line, effort: Effort) -> None:
    """Let a thousand senders, the one of the letters among them, know a thousand people each."""
    senders = [secrets.token_bytes(16) for _ in range(SENDERS - 1)]
    senders.append(measured.gateway.keyring.address_hash(SENDER))
    each = effort.of(CONTACTS) // SENDERS
    # In the order of the table, which is its key's: any other takes minutes.
    parties = [(sender, secrets.token_bytes(16)) for sender in sorted(senders) for _ in range(each)]
    parties.sort()
    fill(
        measured.gateway.store,
        Pair,
        len(parties),
        sender=iter([sender for sender, _ in parties]).__next__,
        recipient=iter([recipient for _, recipient in parties]).__next__,
        sent=1.0,
        weight=1.0,
    )


def queued(measured: Line, effort: Effort) -> None:
    """Let mail wait for its next try; it cannot be opened, so nobody must look at it."""
    store = measured.gateway.store
    ids = [clock.new_queue_id() for _ in range(effort.of(QUEUED))]
    later = clock.now() + LATER
    fill(store, QueuedMessage, len(ids), id=_each(ids), direction="out", message_key=clock.new_id)
    fill(store, Spool, len(ids), message_id=_each(ids), content=lambda: secrets.token_bytes(2000))
    fill(store, Entry, len(ids), message_id=_each(ids), kind="mail", route="outside", state="due", due_at=later)


def sealed(measured: Line, effort: Effort) -> None:
    """Let sealed messages of 4 KB wait for their readers for a month."""
    store = measured.gateway.store
    ids = [clock.new_queue_id() for _ in range(effort.of(SEALED))]
    month = clock.now() + timedelta(days=30)
    fill(store, Sealed, len(ids), id=_each(ids), state="live", expires_at=month)
    fill(store, Part, len(ids), message_id=_each(ids), content=lambda: secrets.token_bytes(4000))
    fill(store, Stanza, len(ids), message_id=_each(ids))
    fill(store, Participant, len(ids), state="notified", notified_at=clock.now)


def many_terms(folder: Path) -> None:
    """Make every list of the demo rules ``TERMS`` times as long; what is added occurs in no letter."""
    _fixed(folder)
    for name, words in word_lists().items():
        more = (f"zq{number:x}x zq{number * 7919 % 65521:x}" for number in range(words.count("\n") * (TERMS - 1)))
        (folder / name).write_text(words + "\n".join(more) + "\n")


def report(home: Path, into: Sink, effort: Effort) -> None:
    """Print the table; what is filled in stays for the next row."""
    print("| what there is | ms for a message | ms beside it, with nothing | ratio |\n|---|---|---|---|")
    with asyncio.Runner() as runner, line(home / "empty", example_rules(), prepare=_fixed) as empty:
        control = _Desk(empty, into, runner)
        with line(home / "full", example_rules(), prepare=_fixed) as full:
            measured = _Desk(full, into, runner)
            _row("nothing", measured, control, effort)
            for name, filled in (
                ("1,000,000 contacts", contacts),
                ("and 100,000 queued", queued),
                ("and 100,000 sealed", sealed),
            ):
                filled(full, effort)
                _row(name, measured, control, effort)
            measured.close()
        with line(home / "terms", example_rules(), prepare=many_terms) as terms:
            measured = _Desk(terms, into, runner)
            _row(f"terms times {TERMS}, nothing else", measured, control, effort)
            measured.close()
        control.close()


def _fixed(folder: Path) -> None:
    """Name the files of an installation so that a process may hold several, and let mail wait as long as mail does."""
    file = folder / "relay.toml"
    text = file.read_text().replace('"var/', f'"{folder}/var/').replace("///var/", f"///{folder}/var/")
    assert 'retry = ["1s"]' in text
    file.write_text(text.replace('retry = ["1s"]', f'retry = ["{RETRY}"]'))


def _row(name: str, measured: "_Desk", control: "_Desk", effort: Effort) -> None:
    """Print a row: rounds of both take turns, so that what else runs on the machine slows both."""
    gc.collect()  # what filling left behind is no part of a message
    least = least_control = math.inf
    for _ in range(effort.of(ROUNDS)):
        least_control = min(least_control, control.cost())
        least = min(least, measured.cost())
    print(f"| {name} | {least * 1e3:.2f} | {least_control * 1e3:.2f} | {least / least_control:.2f} |", flush=True)


class _Desk:
    """One gateway whose delivery works, until `close`."""

    def __init__(self, gateway: Line, into: Sink, runner: asyncio.Runner) -> None:
        self._line, self._into, self._runner = gateway, into, runner
        runner.run(gateway.gateway.delivery.start())

    def cost(self) -> float:
        """Return the CPU seconds for one message of a round, delivered and counted."""
        return self._runner.run(self._round())

    def close(self) -> None:
        """Stop delivery; it is started once in its life."""
        self._runner.run(self._line.gateway.delivery.stop())

    async def _round(self) -> float:
        delivered = await self._line.deliver(self._into)
        begun = time.process_time()
        while await self._line.gateway.store.commit(fold):
            pass
        return delivered + (time.process_time() - begun) / TOGETHER
