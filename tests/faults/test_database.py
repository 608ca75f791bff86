"""A database that is locked, gone, damaged or newer (R5): 451 while running, a clear sentence at the start."""

import hashlib
import shutil
import smtplib
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Connection

from relay.errors import StoreError
from relay.store.schema import migrate
from relay.store.writer import open_store
from tests.faults.conftest import DRILL
from tests.faults.shim import Shim
from tests.gateway import CONFIGURATION, Gateway, first_day, free_port
from tests.launcher import launch
from tests.letters import ANNA, letter
from tests.postoffice import PostOffice

LOCKED = 60 if DRILL else 0  # seconds; without the drill SQLite's patience is made a hundred times shorter
NOBODY = "nobody@example.net"


@pytest.mark.story
def test_a_lock_that_another_program_keeps(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """451 as long as it is locked, pages are shown all the while, and what was sent in time is sent once."""
    pid = gateway.service_id("relay")
    gateway.send(ANNA, ["early@example.net"], letter(to=["early@example.net"]))
    with closing(sqlite3.connect(gateway.folder / "var/letterlock.db", isolation_level=None)) as other:
        released = threading.Event()
        with shim.fault(hurry=1 if LOCKED else 100):
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(LOCKED, released.set).start()
            while True:
                with pytest.raises(smtplib.SMTPDataError) as refused:
                    gateway.send(ANNA, [NOBODY], letter(to=[NOBODY]))
                assert refused.value.smtp_code == 451
                assert httpx2.get(f"http://127.0.0.1:{gateway.portal}/").status_code == 200
                if released.is_set():
                    break
            other.execute("ROLLBACK")
    gateway.send(ANNA, ["unlocked@example.net"], letter(to=["unlocked@example.net"]))
    office.wait_for("unlocked@example.net")
    assert len(office.wait_for("early@example.net")) == 1
    assert not office.of(NOBODY)
    assert gateway.service_id("relay") == pid


@pytest.mark.story
def test_a_file_that_is_moved_away_while_running(gateway: Gateway, office: PostOffice) -> None:
    """Nothing is accepted into a file that nobody will find; put back, it goes on."""
    file = gateway.folder / "var/letterlock.db"
    away = file.with_name("elsewhere.db")
    file.rename(away)
    try:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            gateway.send(ANNA, [NOBODY], letter(to=[NOBODY]))
        assert refused.value.smtp_code == 451
        health = httpx2.get(f"http://127.0.0.1:{gateway.portal}/healthz", timeout=30)
        assert health.status_code == 503
        assert not file.exists()
    finally:
        away.rename(file)
    gateway.send(ANNA, ["back@example.net"], letter(to=["back@example.net"]))
    office.wait_for("back@example.net")


def _refusal(folder: Path) -> str:
    """Try to start a gateway that must not start; return what it says."""
    (folder / "errors").write_text("")
    assert launch(["run"], folder, folder / "output", folder / "errors").wait(60) == 1
    return (folder / "errors").read_text()


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A gateway that is not running, with one message's part beside its database."""
    values = {"smtp": free_port(), "portal": free_port(), "world": 9, "workers": 1, "trusted": "127.0.0.0/8"}
    (tmp_path / "relay.toml").write_text(CONFIGURATION.format(**values, database="sqlite:///var/letterlock.db"))
    shutil.copytree(first_day(), tmp_path / "var", copy_function=shutil.copy2)
    shard = tmp_path / "var/blobs/ab"
    shard.mkdir(parents=True)
    (shard / "ab000000000000000000000000000000").write_bytes(b"sealed")
    return tmp_path


@pytest.mark.story
def test_no_gateway_starts_on_a_database_that_is_gone_or_newer(stopped: Path) -> None:
    """It says what to do, changes nothing, and touches no part of a message."""
    file = stopped / "var/letterlock.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    before = hashlib.sha256(file.read_bytes()).digest()
    newer = _refusal(stopped)
    assert "from a newer version of Letterlock (schema 9999): install that version, or restore" in newer
    assert hashlib.sha256(file.read_bytes()).digest() == before

    file.unlink()
    assert "is missing or empty: restore it from its backup" in _refusal(stopped)
    assert not file.exists()
    assert list((stopped / "var/blobs/ab").iterdir())


def test_a_damaged_page_costs_no_row(tmp_path: Path) -> None:
    """Whoever needs the page hears that the file is damaged; every other row is still there, and none is dropped."""
    url = f"sqlite:///{tmp_path / 'letterlock.db'}"
    migrate(url)
    store = open_store(url)
    store.run(lambda conn: conn.exec_driver_sql("CREATE TABLE queue_of_the_test (id INTEGER PRIMARY KEY, data BLOB)"))
    for start in range(0, 400, 100):
        rows = [(number, bytes([number % 256]) * 900) for number in range(start, start + 100)]
        store.run(partial(_insert, rows=rows))
    store.close()
    _damage(tmp_path / "letterlock.db", bytes([200]) * 900)

    store = open_store(url)
    with store.read() as conn:
        assert conn.exec_driver_sql("SELECT data FROM queue_of_the_test WHERE id = 3").scalar_one() == bytes([3]) * 900
    with pytest.raises(StoreError, match="the database file is damaged"), store.read() as conn:
        conn.exec_driver_sql("SELECT sum(length(data)) FROM queue_of_the_test").scalar_one()
    with pytest.raises(StoreError, match="the database file is damaged"):
        store.run(lambda conn: conn.exec_driver_sql("DELETE FROM queue_of_the_test"))
    with store.read() as conn:
        assert conn.exec_driver_sql("SELECT data FROM queue_of_the_test WHERE id = 3").scalar_one() == bytes([3]) * 900
    store.close()


def _damage(file: Path, octets: bytes) -> None:
    """Overwrite the head of the page that holds these octets."""
    content = file.read_bytes()
    page = content.index(octets) // 4096 * 4096
    with file.open("r+b") as opened:
        opened.seek(page)
        opened.write(b"\xff" * 100)


def _insert(conn: Connection, rows: list[tuple[int, bytes]]) -> None:
    conn.exec_driver_sql("INSERT INTO queue_of_the_test VALUES (?, ?)", rows)
