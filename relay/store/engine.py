"""Connections to the database, set up so that what COMMIT reports is on disk and what is deleted is gone.

SQLite: write-ahead log, ``synchronous=FULL`` (one fsync of the log per COMMIT), ``secure_delete``, writers begin
with ``BEGIN IMMEDIATE`` so that they never fail half-way for a lock. PostgreSQL through psycopg 3, with
``synchronous_commit`` never off. Parameters never appear in error texts.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from relay.errors import StoreError
from relay.store.faults import translate

BUSY_MILLISECONDS = 10_000  # how long SQLite waits for a program that ignores our gate, such as a backup
_LOG_PAGES = 32_000  # 128 MiB: long before, the log is moved beside the mail (`relay.store.write_ahead`)
_WRITER_CACHE = 16_000  # KiB
_READER_CACHE = 2_000  # KiB, for each of up to forty connections
_READERS = 8
_MORE_READERS = 32  # a portal's threads all read at once
# Of libpq: a server that lost its power, or a network that was cut, shows within seconds. Else whoever waits for an
# answer waits for two hours, as the kernel does, while another server has long taken over.
_ALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}


def database_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for PostgreSQL; StoreError for any other kind of database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the database address cannot be read: write sqlite:///FILE or postgresql+psycopg://…"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return None
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise StoreError("the database is either a SQLite file (sqlite:///FILE) or PostgreSQL (postgresql+psycopg://…)")
    return Path(parsed.database)


def open_engine(url: str, *, writer: bool) -> Engine:
    """Return an engine for ``url``; no connection is made yet.

    A writer's transactions take the write lock when they begin. Other engines refuse to write and see one
    snapshot from their first statement to their last. A SQLite file is never created here (``migrate`` does).
    """
    file = database_file(url)
    if file is not None:
        return _sqlite(file, writer=writer)
    return _postgresql(make_url(url), writer=writer)


def _sqlite(file: Path, *, writer: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=f"file:{quote(str(file.absolute()))}", query={"mode": "rw", "uri": "true"}),
        hide_parameters=True,
        pool_size=1 if writer else _READERS,
        max_overflow=0 if writer else _MORE_READERS,
    )

    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, not the driver's
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")  # nothing spills into files that we do not know
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE if writer else _READER_CACHE}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        if not writer:
            connection.execute("PRAGMA query_only = ON")

    statement = "BEGIN IMMEDIATE" if writer else "BEGIN"

    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        try:
            driver.execute(statement)  # straight to the driver: with every transaction it saves 50 us
        except sqlite3.Error as error:
            raise OperationalError(statement, None, error) from error

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)
    return engine


def _postgresql(url: URL, *, writer: bool) -> Engine:
    alive = {name: value for name, value in _ALIVE.items() if name not in url.query}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_pre_ping=True,  # a server that was restarted is met before, not inside, a transaction
        pool_size=1 if writer else _READERS,
        max_overflow=0 if writer else _MORE_READERS,
        isolation_level="READ COMMITTED" if writer else "REPEATABLE READ",
        execution_options={} if writer else {"postgresql_readonly": True},
        connect_args={"connect_timeout": 10, "application_name": "letterlock", **alive},
    )

    def set_up(connection: Any, _record: object) -> None:
        connection.autocommit = True
        if connection.execute("SHOW synchronous_commit").fetchone() == ("off",):
            connection.execute("SET synchronous_commit = on")
        connection.autocommit = False

    event.listen(engine, "connect", set_up)
    return engine


def check_durable(engine: Engine) -> None:
    """Refuse a PostgreSQL server that answers COMMIT before its log is on disk; StoreError says which setting."""
    if engine.dialect.name != "postgresql":
        return
    try:
        with engine.connect() as connection:
            for setting in ("fsync", "full_page_writes"):
                if connection.exec_driver_sql(f"SHOW {setting}").scalar_one() != "on":
                    raise StoreError(f"PostgreSQL runs with {setting} = off and could lose accepted mail: switch it on")
    except DBAPIError as error:
        raise translate(error) from error


class SameFile:
    """Notices that a SQLite file was deleted or replaced under open connections: what is written then is lost."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._identity = None if file is None else self._look(file)

    def check(self) -> None:
        """Raise StoreError when the path no longer leads to the file that was opened."""
        if self._file is not None and self._look(self._file) != self._identity:
            raise StoreError("the database file was removed or replaced while in use: restart Letterlock")

    @staticmethod
    def _look(file: Path) -> tuple[int, int] | None:
        try:
            status = os.stat(file)  # noqa: PTH116 (os.stat costs half of Path.stat, and this runs before every COMMIT)
        except OSError:
            return None
        return status.st_dev, status.st_ino
