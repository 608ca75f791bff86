"""SQLite's write-ahead log on its way into the database, beside the mail.

By itself SQLite moves the log inside the COMMIT that makes it too long: whoever waits for that one, and everybody at
the gate, waits for thousands of pages and two syncs more. Here a thread of its own moves it while others write, which
SQLite allows; what they have added meanwhile, a few pages, is moved between two batches, so that the log begins anew.
"""

import sqlite3
import threading
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from relay.errors import StoreError
from relay.store.engine import BUSY_MILLISECONDS, open_engine
from relay.store.faults import translate

TRANSACTIONS = 400  # after which the log is moved: some 16 to 32 MiB of small mail


class Mover:
    """Has the log moved from time to time. For the writer's thread; does nothing for a database without such a log."""

    def __init__(self, url: str, *, sqlite: bool) -> None:
        self._url = url if sqlite else ""
        self._since = 0
        self._thread: threading.Thread | None = None

    def count(self, transactions: int) -> None:
        """Note that so many were written, and begin to move the log when that makes enough."""
        self._since += transactions
        if self._url and self._since >= TRANSACTIONS and self._thread is None:
            self._since = 0
            thread = threading.Thread(target=self._move, name="store-mover", daemon=True)
            thread.start()
            self._thread = thread

    def has_moved(self) -> bool:
        """Say, once for each time, that all but a rest was moved."""
        if self._thread is None or self._thread.is_alive():
            return False
        self._thread = None
        return True

    def close(self) -> None:
        """Wait until nothing is being moved any more."""
        if self._thread is not None:
            self._thread.join()

    def _move(self) -> None:
        engine = open_engine(self._url, writer=True)
        try:
            move_log(engine)
        except StoreError:
            pass  # the next COMMIT meets the same fault and reports it to somebody
        finally:
            engine.dispose()


def move_log(engine: Engine) -> None:
    """Move what nobody reads of the log into the database; others may write meanwhile. StoreError leaves."""
    _checkpoint(engine, "PASSIVE")


def truncate_log(engine: Engine, *, wait_milliseconds: int) -> bool:
    """Move SQLite's write-ahead log into the database and cut it to nothing, so that deleted rows are gone there too.

    Waits at most ``wait_milliseconds`` for readers; returns False when one still stood in the way (the next call
    will do it). Always True on PostgreSQL, which has no such log to cut. StoreError leaves.
    """
    return engine.dialect.name != "sqlite" or _checkpoint(engine, "TRUNCATE", wait_milliseconds)


def _checkpoint(engine: Engine, mode: str, wait_milliseconds: int = 0) -> bool:
    try:
        connection = engine.raw_connection()
        try:
            driver: Any = connection.driver_connection
            driver.execute(f"PRAGMA busy_timeout = {wait_milliseconds}")
            blocked, _, _ = driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            driver.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        finally:
            connection.close()
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise translate(error) from error
    return bool(blocked == 0)
