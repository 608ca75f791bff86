"""What goes wrong under the store, and what it says then."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from relay.errors import StoreError, StoreFullError
from relay.store.duties import META
from relay.store.faults import translate
from relay.store.room import GOOD_FOR, Reserve, disks_of, free_room
from relay.store.writer import open_store


def test_full_disk_is_a_full_store_and_heals_without_restart(sqlite_url: str) -> None:
    """Without room the transaction fails as StoreFullError; as soon as there is room the store goes on."""
    store = open_store(sqlite_url)

    def limit_pages(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill(connection: Connection) -> None:
        connection.execute(META.insert(), [{"name": "big", "value": "x" * 1_000_000}])

    store.run(lambda connection: limit_pages(connection, 1))
    with pytest.raises(StoreFullError, match="no room is left on the disk"):
        store.run(fill)
    store.run(lambda connection: limit_pages(connection, 1 << 30))
    store.run(fill)
    store.close()


def test_error_text_carries_no_values(sqlite_url: str) -> None:
    """A failing statement's values, which may be personal data, are in no text of the error or its cause."""
    store = open_store(sqlite_url)
    row = [{"name": "jane@example.net", "value": ""}]
    store.run(lambda connection: connection.execute(META.insert(), row) and None)
    with pytest.raises(StoreError) as caught:
        store.run(lambda connection: connection.execute(META.insert(), row) and None)
    assert "jane" not in str(caught.value)
    assert "jane" not in str(caught.value.__cause__)
    store.close()


def test_read_only_database_says_so(sqlite_url: str, tmp_path: Path) -> None:
    """A database on a read-only disk is reported as such."""
    connection = sqlite3.connect(f"file:{tmp_path / 'letterlock.db'}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("DELETE FROM meta")
    connection.close()
    assert sqlite_url
    assert "read-only" in str(translate(caught.value))


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_FULL, StoreFullError, "no room is left"),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreError, "disk under the database reports an error"),
        (sqlite3.SQLITE_IOERR_WRITE, StoreError, "disk under the database reports an error"),
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreError, "read-only"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreError, "locked by another program"),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreError, "damaged"),
        (sqlite3.SQLITE_TOOBIG, StoreError, "refused"),
    ],
)
def test_each_result_code_of_sqlite_has_its_sentence(code: int, kind: type[StoreError], words: str) -> None:
    """Extended result codes count as their primary code."""
    error = sqlite3.OperationalError("…")
    error.sqlite_errorcode = code
    translated = translate(error)
    assert type(translated) is kind
    assert words in str(translated)


@pytest.mark.postgresql
@pytest.mark.parametrize("limit", ["statement_timeout", "idle_in_transaction_session_timeout"])
def test_a_timeout_of_the_server_is_named(postgresql_url: str, limit: str) -> None:
    """Whoever set a limit at the server hears that it struck, not that the server stops or is read-only."""
    store = open_store(postgresql_url)
    there = text("SELECT 1 FROM pg_stat_activity WHERE pid = :process")

    def slow(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL {limit} = 20")
        process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        if limit == "statement_timeout":
            connection.exec_driver_sql("SELECT pg_sleep(60)")
        while True:  # asked over another connection, so that this one stands still
            with store.read() as other:
                if not other.execute(there, {"process": process}).first():
                    break
        connection.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreError, match="longer than a timeout set there allows"):
        store.run(slow)
    store.run(lambda connection: connection.exec_driver_sql("SELECT 1").scalar_one())
    store.close()


def test_reserve_is_kept_free(tmp_path: Path) -> None:
    """New mail is refused before the last room is taken; without a reserve in danger nothing is said."""
    Reserve([tmp_path], 1).ensure()
    with pytest.raises(StoreFullError, match="new mail waits at its sender"):
        Reserve([tmp_path], free_room(tmp_path) * 2).ensure()
    with pytest.raises(StoreError, match="cannot be looked at"):
        Reserve([tmp_path, tmp_path / "gone"], 1).ensure()


def test_a_look_at_the_disks_is_good_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many messages come in a tenth of a second, the disks are looked at once; then it counts what is so."""
    free, looks, now = [10], [], [0.0]

    def look(disk: Path) -> int:
        looks.append(disk)
        return free[0]

    monkeypatch.setattr("relay.store.room.free_room", look)
    reserve = Reserve([tmp_path], 10, now=lambda: now[0])
    for _ in range(5):
        reserve.ensure()
    assert looks == [tmp_path]
    free[0], now[0] = 9, GOOD_FOR
    for _ in range(2):
        with pytest.raises(StoreFullError):
            reserve.ensure()
    assert looks == [tmp_path] * 2
    free[0], now[0] = 10, 2 * GOOD_FOR
    reserve.ensure()


def test_both_disks_keep_their_reserve(tmp_path: Path) -> None:
    """Where the database lies on another disk than the blobs, that disk is watched too; a server's disk is its own."""
    memory = Path("/dev/shm")  # noqa: S108  # another file system on every Linux; nothing is written there
    assert disks_of(f"sqlite:///{memory}/letterlock.db", tmp_path) == (tmp_path, memory)
    assert disks_of(f"sqlite:///{tmp_path}/letterlock.db", tmp_path) == (tmp_path,)
    assert disks_of("postgresql+psycopg://letterlock@/letterlock", tmp_path) == (tmp_path,)
