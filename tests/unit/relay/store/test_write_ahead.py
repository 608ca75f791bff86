"""The log of SQLite is moved beside the mail: it begins anew without a COMMIT having had to do it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from relay.store.engine import database_file
from relay.store.tables import Meta
from relay.store.write_ahead import Mover
from relay.store.writer import open_store

META = Meta.__table__  # type: ignore[attr-defined]
PAGE = 4096


def put(name: str) -> Callable[[Connection], None]:
    """Return a transaction of two pages."""

    def work(connection: Connection) -> None:
        connection.execute(META.insert(), [{"name": name, "value": "x" * 2 * PAGE}])

    return work


def test_the_log_begins_anew(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 transactions the log never holds all; what they wrote is all there."""
    monkeypatch.setattr("relay.store.write_ahead.TRANSACTIONS", 20)
    file = database_file(sqlite_url)
    assert file is not None
    log = file.with_name(file.name + "-wal")
    with closing(open_store(sqlite_url)) as store:
        for number in range(200):
            store.run(put(f"row {number}"))
            if number % 20 == 19:
                store._mover.close()  # waits for what is under way
        assert 0 < log.stat().st_size < 200 * 2 * PAGE  # not even what the rows alone take
    assert not log.exists()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM meta WHERE name LIKE 'row %'").fetchone() == (200,)


def test_a_log_that_cannot_be_moved_is_left(tmp_path: Path) -> None:
    """The mover says nothing of a fault: the next COMMIT meets it and tells somebody."""
    mover = Mover(f"sqlite:///{tmp_path / 'missing.db'}", sqlite=True)
    mover.count(1)
    assert not mover.has_moved()
    mover.count(10_000)
    mover.close()
    assert mover.has_moved()
    assert not mover.has_moved()
    assert not list(tmp_path.iterdir())


def test_a_server_moves_its_own_log() -> None:
    """On PostgreSQL there is nothing to do."""
    mover = Mover("postgresql+psycopg://nobody@127.0.0.1:1/nothing", sqlite=False)
    mover.count(10_000)
    assert not mover.has_moved()
    mover.close()
