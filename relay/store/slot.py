"""A name that one process at a time may work under, for as long as it lives.

An audit chain has one writer, and a lease has one owner: both go by the name of the process, so that a restarted
process goes on where it ended. Two that live under one name would fork the chain and send each other's mail. The
name is therefore locked by something that dies with its holder: a file lock beside a SQLite database, a session's
advisory lock on PostgreSQL. On PostgreSQL others see by that lock whether the holder lives, so that its mail need not
wait for its leases to lapse. A server that is restarted ends all sessions, and no process: each takes its name anew as
soon as it can, and whoever looks has to find a name unheld for longer than that takes (`GRACE`).

A machine may also be cut off from a server that others reach, or stand still: others go on with its work then, and it
lives. So it relies on its name only while it is sure of it, and looks what is left when it has it anew (`tenure`).
"""

import asyncio
import fcntl
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from relay.clock import monotonic
from relay.durable import open_shared
from relay.errors import StoreError
from relay.store.engine import database_file, open_engine
from relay.store.faults import translate

PATIENCE = 5.0  # seconds for a predecessor that was killed a moment ago to be gone
CHECKED_EVERY = 2.0  # seconds between two calls of `held`
GRACE = timedelta(seconds=5)  # a name that is unheld for longer is that of a dead process
_ANEW = 20.0  # seconds until a server has missed a session whose network was cut, as `_session` asks it to
_PAUSE = 0.1
_UNFIT = re.compile(r"[^A-Za-z0-9.@_-]")


class Slot:
    """One name, held until ``close`` or the end of the process.

    ``mark`` is what others know the holder by, such as the owner of its leases.
    """

    def __init__(self, url: str, name: str, *, mark: bytes = b"", patience: float = PATIENCE) -> None:
        """Take ``name`` in the database at ``url``; StoreError when another process holds it, or for the database."""
        self._url = url
        self._key = _key(mark or name.encode())
        file = database_file(url)
        self._descriptor = -1
        self._session: Connection | None = None
        self._refused_at: float | None = None
        self._tenure, self._sure_at = 0, 0.0
        if file is not None:
            path = file.with_name(f"{file.name}.{_UNFIT.sub('_', name)}.slot")
            try:
                self._descriptor = open_shared(path)
            except OSError as error:
                raise StoreError(f"cannot open {path}: {error.strerror}") from error
        else:
            self._session = _session(url)
        deadline = monotonic() + patience
        while not self._try():
            if monotonic() >= deadline:
                self.close()
                raise StoreError(
                    f"another process works as {name} on this database: stop it, or give each machine "
                    "a name of its own ([gateway] machine)"
                )
            time.sleep(_PAUSE)

    def tenure(self) -> int | None:
        """Return how often the name has been taken; None while nobody knows whether others think us dead by now.

        Not for longer than `GRACE` after it was last seen to be ours: nobody does anything in our place before.
        """
        if self._descriptor >= 0 or monotonic() - self._sure_at < GRACE.total_seconds():
            return self._tenure
        return None

    def held(self) -> bool:
        """Say whether the name is still ours, and take it anew where the session was lost. Blocking, some seconds.

        False when another process has it. While the server does not answer nobody can say (`tenure`); and who seems to
        have it may be our own lost session, until the server misses that.
        """
        if self._descriptor >= 0:
            return True
        asked_at = monotonic()
        try:
            if self._session is not None and self._refused_at is None:
                self._session.execute(text("SELECT 1"))
                self._sure_at = asked_at
                return True
        except SQLAlchemyError:
            self._end_session()
        try:
            self._session = self._session or _session(self._url)
            taken = self._try()
        except StoreError:
            self._end_session()
            self._refused_at = None
            return True
        if taken:
            self._refused_at = None
            return True
        self._refused_at = self._refused_at or monotonic()
        return monotonic() - self._refused_at < _ANEW

    async def lost(self) -> None:
        """Return once another process has the name; take it anew until then, whenever its session is lost."""
        # Not in a thread of the loop's: those may all be waiting, for a server that does not answer.
        thread = ThreadPoolExecutor(1, thread_name_prefix="slot-keeper")
        try:
            while True:
                if not await asyncio.get_running_loop().run_in_executor(thread, self.held):
                    return
                await asyncio.sleep(CHECKED_EVERY)
        finally:
            thread.shutdown(wait=False)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Take the name anew whenever its session is lost, in a thread, for the block; close the slot after it."""
        if self._descriptor >= 0:
            yield
            return
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(CHECKED_EVERY):
                self.held()

        thread = threading.Thread(target=keep, name="slot-keeper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def close(self) -> None:
        """Give the name back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._end_session()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            engine = session.engine
            with suppress(SQLAlchemyError):  # by itself the server gives it back a moment after the session's end
                session.execute(text("SELECT pg_advisory_unlock_all()"))
            with suppress(SQLAlchemyError):
                session.close()
            engine.dispose()

    def _try(self) -> bool:
        if self._session is None:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True
        asked_at = monotonic()
        try:
            taken = self._session.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}).scalar()
        except SQLAlchemyError as error:
            raise translate(error) from error
        if taken:
            self._tenure, self._sure_at = self._tenure + 1, asked_at  # in this order: `tenure` reads the second first
        return bool(taken)


def holder_is_gone(connection: Connection, mark: bytes) -> bool:
    """Say whether nobody lives who holds a slot with this mark; on SQLite nobody can tell, so False.

    Until the end of the transaction nobody can take that slot: what is done in it is done for a dead process.
    """
    if connection.dialect.name != "postgresql":
        return False
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _key(mark)}).scalar())


def _key(mark: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(b"letterlock slot " + mark, digest_size=8).digest(), signed=True)


def _session(url: str) -> Connection:
    try:
        # No transaction stays open behind it: an old one would keep the server from cleaning up.
        engine = open_engine(url, writer=True)
        session = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # The server shall miss us as soon as we miss it: a machine that lost its power says no farewell.
        for setting, value in (("idle", 5), ("interval", 2), ("count", 3)):
            session.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
    except SQLAlchemyError as error:
        raise translate(error) from error
    return session
