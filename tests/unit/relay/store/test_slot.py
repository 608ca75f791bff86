"""Names that one process at a time works under."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from relay.errors import StoreError
from relay.store.slot import GRACE, Slot, holder_is_gone
from relay.store.writer import Store, open_store


def hold(url: str, taken: "multiprocessing.connection.Connection") -> None:
    """Take a name and keep it until somebody kills this process."""
    slot = Slot(url, "relay-0")
    taken.send("taken")
    signal.pause()
    slot.close()


def test_a_name_has_one_holder(database_url: str) -> None:
    """The second process is refused with what to do; another name is free."""
    first = Slot(database_url, "relay-0")
    with pytest.raises(StoreError, match=r"another process works as relay-0 .*gateway\] machine"):
        Slot(database_url, "relay-0", patience=0)
    Slot(database_url, "relay-1", patience=0).close()
    first.close()
    Slot(database_url, "relay-0", patience=0).close()


def test_a_killed_holder_frees_its_name(database_url: str) -> None:
    """A holder that was killed leaves nothing behind that keeps the next process out."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(database_url, theirs))
    process.start()
    assert ours.poll(30)
    with pytest.raises(StoreError):
        Slot(database_url, "relay-0", patience=0)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    Slot(database_url, "relay-0").close()


def test_the_dead_are_told_from_the_living(database_url: str, open_another: Callable[[], Store]) -> None:
    """On PostgreSQL a slot shows whether its holder lives; on SQLite nobody is declared dead."""
    store = open_another()
    slot = Slot(database_url, "relay-0", mark=b"owner of leases.")
    assert slot.held()
    assert not store.run(lambda conn: holder_is_gone(conn, b"owner of leases."))
    slot.close()
    postgresql = database_url.startswith("postgresql")
    assert store.run(lambda conn: holder_is_gone(conn, b"owner of leases.")) is postgresql


def end_sessions(store: Store) -> None:
    """End every session that holds a name, and wait until it is gone."""
    holders = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    store.run(lambda conn: conn.execute(text(holders)).all())


def test_a_lost_session_is_replaced(database_url: str, open_another: Callable[[], Store]) -> None:
    """When the server ends the session, as at a restart, the holder takes its name anew and works on."""
    store = open_another()
    slot = Slot(database_url, "relay-0")
    if database_url.startswith("postgresql"):
        end_sessions(store)
        assert store.run(lambda conn: holder_is_gone(conn, b"relay-0"))
    assert slot.held()
    with pytest.raises(StoreError):
        Slot(database_url, "relay-0", patience=0)
    slot.close()


@pytest.mark.postgresql
def test_a_kept_name_is_taken_anew(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only holds a name, as the supervisor does, has it again after the server was restarted."""
    monkeypatch.setattr("relay.store.slot.CHECKED_EVERY", 0.01)
    store, slot = open_store(postgresql_url), Slot(postgresql_url, "supervisor", mark=b"supervisor")
    with slot.kept():
        end_sessions(store)
        while store.run(lambda conn: holder_is_gone(conn, b"supervisor")):
            pass
    with pytest.raises(StoreError):
        Slot(postgresql_url, "supervisor", patience=0)
    slot.close()
    store.close()


@pytest.mark.postgresql
def test_a_name_that_another_took_is_not_ours_any_more(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was faster after a lost session keeps the name; at first it may seem to be our own session that lingers."""
    store = open_store(postgresql_url)
    slot = Slot(postgresql_url, "relay-0")
    end_sessions(store)
    other = Slot(postgresql_url, "relay-0")
    assert slot.held(), "the server may not have missed our own session yet"
    monkeypatch.setattr("relay.store.slot._ANEW", 0.0)
    asyncio.run(slot.lost())
    assert not slot.held()
    other.close()
    assert slot.held()
    slot.close()
    store.close()


@pytest.mark.postgresql
def test_a_name_is_sure_for_a_moment(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows longer than a moment that a name is still ours; once it was lost, it is another tenure of it."""
    store, slot = open_store(postgresql_url), Slot(postgresql_url, "relay-0")
    seconds = [time.monotonic()]
    monkeypatch.setattr("relay.store.slot.monotonic", lambda: seconds[0])
    assert slot.tenure() == 1
    seconds[0] += GRACE.total_seconds()
    assert slot.tenure() is None
    assert slot.held()
    assert slot.tenure() == 1
    end_sessions(store)
    assert slot.held()
    assert slot.tenure() == 2
    end_sessions(store)
    other = Slot(postgresql_url, "relay-0")
    seconds[0] += GRACE.total_seconds()
    assert slot.held()
    assert slot.tenure() is None, "it seems to be ours, but is not"
    slot.close()
    other.close()
    store.close()


@pytest.mark.postgresql
def test_the_server_is_asked_to_miss_a_silent_holder(postgresql_url: str) -> None:
    """A machine that lost its power ends no session: the server has to look for it, and not after two hours."""
    slot = Slot(postgresql_url, "relay-0")
    assert slot._session is not None
    settings = "SELECT source FROM pg_settings WHERE name LIKE 'tcp_keepalives%'"
    assert set(slot._session.execute(text(settings)).scalars()) == {"session"}
    slot.close()
