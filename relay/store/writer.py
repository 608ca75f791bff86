"""The store: one thread of this process writes, many submitted transactions share one COMMIT.

A future resolves only after COMMIT returned: this is the ground that "250" stands on. Between processes that share
a SQLite file a fair gate decides whose turn it is; on PostgreSQL the server does. Where the writer comes no further,
what has not begun is withdrawn.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from typing import TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError

from relay.errors import StoreError
from relay.store import line
from relay.store.batch import claim, forbid_commit, insert_later, run_batch
from relay.store.engine import SameFile, check_durable, database_file, open_engine
from relay.store.faults import translate
from relay.store.gate import Gate, gate_file
from relay.store.jobs import Job, TaskJob, ThreadJob, Work, tell
from relay.store.line import LOOKS, Line
from relay.store.readers import Readers
from relay.store.schema import check_schema
from relay.store.write_ahead import Mover, move_log, truncate_log

__all__ = ["Store", "claim", "insert_later", "open_store"]

T = TypeVar("T")

_TRUNCATE_SECONDS = 30.0  # deleted rows leave SQLite's log at least this often
_TRUNCATE_WAIT = 20  # milliseconds that a reader may hold a truncation up while others wait to write
_CLOSE_WAIT = 1000


class Store:
    """The database of this installation as one process sees it.

    A transaction is a function of the connection. It may run more than once (only its last run counts), so it
    touches nothing but the database, and it never commits by itself. What it raises comes out of the future;
    errors of the database come out as StoreError or StoreFullError.
    """

    def __init__(self, url: str) -> None:
        file = database_file(url)
        self._writer = open_engine(url, writer=True)
        readers = open_engine(url, writer=False)
        self._readers = Readers(readers)
        try:
            check_schema(readers)
            check_durable(readers)
        except StoreError:
            self._dispose()
            raise
        event.listen(self._writer, "commit", forbid_commit)
        self._keeps = file is not None
        self._connection: Connection | None = None  # the writer thread's
        self._file = SameFile(file)
        self._gate = Gate(gate_file(file))
        self._line = Line()
        self._truncated_at = time.monotonic()
        self.commit_seconds = 0.0  # how long the last batch took, its COMMIT included
        self._dirty = False
        self._mover = Mover(url, sqlite=file is not None)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._thread.start()
        self._watcher = threading.Thread(target=self._watch, name="store-watch", daemon=True)
        self._watcher.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Hand a transaction to the writer; the future resolves after its COMMIT. It cannot be cancelled.

        A transaction that could not begin within `relay.store.line.LOOKS` seconds never happens: StoreError.
        """
        job = ThreadJob(work)
        self._line.put(job)
        return job.future

    async def commit(self, work: Work[T], *, patience: float = 0.0) -> T:
        """Await a transaction's COMMIT. When the awaiting task is cancelled the transaction still happens.

        With ``patience`` it waits so many seconds for a transaction that has none, to share its COMMIT.
        """
        loop = asyncio.get_running_loop()
        job = TaskJob(work, loop, time.monotonic() + patience if patience else 0.0)
        self._line.put_with_turn(job, loop)
        value: T = await job.future
        return value

    def run(self, work: Work[T]) -> T:
        """Wait for a transaction's COMMIT and return what it returned; not for an event loop's thread."""
        return self.submit(work).result()

    def read(self) -> AbstractContextManager[Connection]:
        """Lend a connection that sees one snapshot of what is committed and refuses to write.

        Keep the block short: on SQLite an open snapshot keeps deleted rows in the log. Errors of the database leave the
        block as StoreError or StoreFullError.
        """
        return self._readers.lend()

    async def look(self, question: Callable[[Connection], T]) -> T:
        """Return the answer to a question that an index answers; for an event loop. Errors as in `read`.

        SQLite needs microseconds and waits for nobody who writes: to change threads twice would take many times that.
        A server is asked in a thread, because nobody knows how long it takes.
        """
        return self._ask(question) if self._keeps else await asyncio.to_thread(self._ask, question)

    def close(self) -> None:
        """Finish what was submitted, refuse anything more, cut the log and let go of the database.

        Where another process stands still inside the gate, nothing is finished: the writer is left to wait for it.
        """
        if not self._line.close():
            return
        patience = LOOKS
        while self._thread.is_alive() and patience:
            self._thread.join(line.LOOK_SECONDS)
            patience = patience - 1 if self._gate.waiting else LOOKS
        self._ended.set()
        self._watcher.join()
        _withdraw(self._line.take_all())

    def _ask(self, question: Callable[[Connection], T]) -> T:
        with self.read() as connection:
            return question(connection)

    def _write(self) -> None:
        """Do the writer thread's work until the store is closed and everything submitted has happened."""
        while self._line.wait(_TRUNCATE_SECONDS if self._dirty else None):
            if self._line:
                self._write_batch()
            if self._mover.has_moved():
                self._move_rest()
            self._truncate_if_due()
        self._mover.close()
        self._readers.close()
        with suppress(StoreError):  # everything is committed; whoever closes next cuts the log
            self._truncate(_CLOSE_WAIT)
        self._dispose()
        self._gate.close()

    def _write_batch(self) -> None:
        """Run one batch and tell its submitters."""
        taken: list[Job] = []

        def jobs() -> Iterator[Job]:
            while job := self._line.take():
                taken.append(job)
                yield job

        try:
            with self._gate.held():
                self._file.check()
                began = time.monotonic()
                run_batch(self._connected(), jobs())
                self.commit_seconds = time.monotonic() - began
        except BaseException as error:  # noqa: BLE001 (no connection, no gate: the thread must live on)
            taken += self._line.take_all()
            for job in taken:
                if job.error is not None:
                    job.fail(translate(error))
        if not self._keeps or any(job.error is not None for job in taken):
            self._let_go()
        self._dirty = True
        tell(taken)
        self._mover.count(len(taken))

    def _connected(self) -> Connection:
        """Return the connection for a batch: on SQLite that of the last one, unless something failed on it.

        To give it back and take it again costs as much as a tenth of a batch of one message. A server's goes back to
        the pool, which looks whether it is still alive.
        """
        if self._connection is None:
            self._connection = self._writer.connect()
        return self._connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # the pool makes another
                connection.close()

    def _watch(self) -> None:
        """Withdraw whoever waits in line for too long, because the writer comes no further."""
        while not self._ended.wait(line.LOOK_SECONDS):
            _withdraw(self._line.look())

    def _move_rest(self) -> None:
        self._let_go()  # there is only one
        with suppress(StoreError), self._gate.held():
            move_log(self._writer)

    def _truncate_if_due(self) -> None:
        if self._dirty and time.monotonic() - self._truncated_at >= _TRUNCATE_SECONDS:
            try:
                self._dirty = not self._truncate(_TRUNCATE_WAIT)
            except StoreError:
                self._dirty = True  # the next COMMIT meets the same fault and reports it to somebody
            self._truncated_at = time.monotonic()

    def _truncate(self, wait: int) -> bool:
        self._let_go()  # there is only one
        with self._gate.held():
            return truncate_log(self._writer, wait_milliseconds=wait)

    def _dispose(self) -> None:
        self._readers.close()
        self._writer.dispose()


def open_store(url: str) -> Store:
    """Open the database behind ``url`` for this process.

    Raises StoreError when the database does not answer, is damaged, or belongs to another version of Letterlock.
    """
    return Store(url)


def _withdraw(jobs: Sequence[Job]) -> None:
    """Tell the submitters of jobs that are in line no more that they have not happened."""
    for job in jobs:
        job.fail(StoreError("the database cannot be written: another process or the disk stands still"))
    tell(jobs)
