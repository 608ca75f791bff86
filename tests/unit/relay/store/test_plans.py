"""What is asked again and again finds its rows by an index, however many there are: SQLite says so of each statement."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from relay import grouping, health
from relay.conversation import read_reports, silence
from relay.conversation.silence_place import Place
from relay.queue import entries, holds, inspection, outages
from relay.store import audit, checkpoints, folding, history
from relay.store.writer import Store, open_store
from relay.vault import blobs, retention, sweeping

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ID = bytes(16)
KEYS: Any = SimpleNamespace()  # nothing is found, so nothing is opened
_SMALL = "meta|paused_destination|CONSTANT ROW"
_FEW = "entry_due|entry_leased|entry_paused|hold_waiting|sealed_awaited|observation_tail|observation_order"
_READS_ALL = re.compile(rf"SCAN (?!(?:{_SMALL})\b|\()(?!\w+ USING (?:COVERING )?INDEX (?:{_FEW})\b)")

Question = Callable[[Connection], object]
QUESTIONS: dict[str, Question] = {
    "health": lambda conn: health._queue(conn, NOW, ["inside"], ["outside"]),
    "whether anything leaves": lambda conn: outages._leaves(conn, "inside", NOW),
    "whether a domain answers": lambda conn: outages._no_domain_answers(conn, "inside", NOW, DAY),
    "due mail": lambda conn: entries.any_due(conn, "inside", NOW),
    "mail without a lane": lambda conn: entries.other_routes(conn, ["inside", "outside"]),
    "leases": lambda conn: entries.absent_holders(conn, ID, lambda *_: False),
    "an entry": lambda conn: inspection.code_mail(conn, ID, NOW),
    "holds": lambda conn: holds.list_holds(conn, KEYS, due=NOW),
    "silent readers": lambda conn: silence._next(conn, Place(NOW - DAY, ID), NOW, 1),
    "awaited readings": lambda conn: conn.execute(read_reports._AWAITED.limit(1)).first(),
    "the conversation of a message": lambda conn: grouping._conversation_of(conn, [ID, ID]),
    "acquaintances": lambda conn: history.acquaintances(conn, ID, [ID]),
    "what is not counted": folding.waits_to_be_folded,
    "doomed files": partial(blobs.doomed, limit=1),
    "the newest checkpoint": checkpoints.last_number,
    "the heads of chains": checkpoints._heads,
    "expired": lambda conn: retention._expire(conn, KEYS, NOW),
    "destroyed": lambda conn: retention._destroy(conn, KEYS, NOW),
    "old drafts": lambda conn: retention._end_drafts(conn, NOW, NOW),
    "old messages": partial(sweeping.old_messages, before=NOW),
    "old decisions": partial(sweeping.old_decisions, before=NOW),
    "old conversations": partial(sweeping.old_conversations, before=NOW),
    "old names": partial(audit.forget_until, before=NOW),
}


@pytest.fixture(scope="module")
def asked(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A SQLite database as it is made; nobody ever gathers statistics for it, so plans stay what they are here."""
    file = tmp_path_factory.mktemp("asked") / "letterlock.db"
    shutil.copy(migrated_file, file)
    store = open_store(f"sqlite:///{file}")
    yield store
    store.close()


def plan(store: Store, question: Question) -> list[str]:
    """Return how SQLite finds the rows of each statement that a question asks."""
    with store.read() as conn:
        driver: Any = conn.connection.driver_connection
        statements: list[str] = []
        driver.set_trace_callback(statements.append)
        try:
            question(conn)
        finally:
            driver.set_trace_callback(None)
        assert statements
        return [row[3] for one in statements for row in driver.execute(f"EXPLAIN QUERY PLAN {one}")]


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_table_is_read_from_end_to_end(asked: Store, name: str) -> None:
    """Neither a duty nor a look at the health costs more where two years of mail have gone through."""
    assert [step for step in plan(asked, QUESTIONS[name]) if _READS_ALL.match(step)] == []


def test_a_table_that_is_read_from_end_to_end_is_noticed(asked: Store) -> None:
    """Two states asked for at once, for which SQLite takes no index of one of them."""
    steps = plan(asked, inspection.count_entries)
    assert [step for step in steps if _READS_ALL.match(step)] == steps[:1]
