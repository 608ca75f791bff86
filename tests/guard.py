"""A SQLite database that refuses what no queue entry may do: every test on it states that nothing else happens.

The triggers are made from `relay.store.tables.queue.FOLLOWS`, the table behind the picture in docs/flow.md.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from relay.store.tables.queue import BEGINNINGS, ENDINGS, FOLLOWS, EntryState

_BEGIN = """
CREATE TRIGGER guard_begin BEFORE INSERT ON entry WHEN NEW.state NOT IN ({beginnings})
BEGIN SELECT RAISE(ABORT, 'no entry begins in this state'); END;
"""
_GO_ON = """
CREATE TRIGGER guard_follow BEFORE UPDATE OF state ON entry
WHEN OLD.state <> NEW.state AND OLD.state || ' ' || NEW.state NOT IN ({arrows})
BEGIN SELECT RAISE(ABORT, 'this state does not follow that'); END;
CREATE TRIGGER guard_end BEFORE DELETE ON entry WHEN OLD.state NOT IN ({endings})
BEGIN SELECT RAISE(ABORT, 'an entry is removed before its end'); END;
"""


def guard(file: Path, *, beginnings: bool = True) -> None:
    """Let a database watch over its entries from now on.

    Without ``beginnings`` an entry may be put in in any state: what tests make up as the past of an installation.
    """
    script = (_BEGIN + _GO_ON if beginnings else _GO_ON).format(
        beginnings=_list(BEGINNINGS),
        arrows=_list(f"{state} {next_}" for state, following in FOLLOWS.items() for next_ in following),
        endings=_list(ENDINGS),
    )
    with closing(sqlite3.connect(file)) as database:
        database.executescript(script)


def _list(words: Iterable[EntryState | str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))
