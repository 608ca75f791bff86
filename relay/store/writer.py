"""The store: one thread of this process writes, many submitted transactions share one COMMIT.

A future resolves only after COMMIT returned: this is the ground that "250" stands on. Between processes that share
a SQLite file a fair gate decides whose turn it is; on PostgreSQL the server does.
"""

import asyncio
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, event

from relay.errors import StoreError
from relay.store.batch import claim, forbid_commit, insert_later, run_batch
from relay.store.engine import SameFile, check_durable, database_file, open_engine, truncate_log
from relay.store.faults import is_database_error, translate
from relay.store.gate import Gate, gate_file
from relay.store.schema import check_schema

__all__ = ["Store", "claim", "insert_later", "open_store"]

T = TypeVar("T")
Work = Callable[[Connection], T]

_TRUNCATE_SECONDS = 30.0  # deleted rows leave SQLite's log at least this often
_TRUNCATE_WAIT = 20  # milliseconds that a reader may hold a truncation up while others wait to write
_CLOSE_WAIT = 1000


class _Job(ABC):
    """A transaction, and its outcome once there is one. Until the moment ``until`` it can wait for company."""

    loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, work: Work[Any], until: float = 0.0) -> None:
        self.work = work
        self.until = until
        self.value: Any = None
        self.error: BaseException | None = StoreError("the transaction was not run")

    def succeed(self, value: Any) -> None:
        self.value, self.error = value, None

    def fail(self, error: BaseException) -> None:
        self.error = error

    @abstractmethod
    def resolve(self) -> None:
        """Tell the submitter."""


class _ThreadJob(_Job):
    """Its submitter waits in a thread."""

    def __init__(self, work: Work[Any]) -> None:
        super().__init__(work)
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # from here on nobody can cancel it

    def resolve(self) -> None:
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


class _TaskJob(_Job):
    """Its submitter is a task of an event loop, and may have left in the meantime."""

    def __init__(self, work: Work[Any], loop: asyncio.AbstractEventLoop, until: float) -> None:
        super().__init__(work, until)
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def resolve(self) -> None:
        if self.future.cancelled():
            return
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


class Store:
    """The database of this installation as one process sees it.

    A transaction is a function of the connection. It may run more than once (only its last run counts), so it
    touches nothing but the database, and it never commits by itself. What it raises comes out of the future;
    errors of the database come out as StoreError or StoreFullError.
    """

    def __init__(self, url: str, *, gate: Path | None) -> None:
        file = database_file(url)
        self._writer = open_engine(url, writer=True)
        self._readers = open_engine(url, writer=False)
        try:
            check_schema(self._readers)
            check_durable(self._readers)
        except StoreError:
            self._dispose()
            raise
        event.listen(self._writer, "commit", forbid_commit)
        self._file = SameFile(file)
        self._gate = Gate(gate or gate_file(file) if file is not None else None)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting: deque[_Job] = deque()  # the writer's own: taken from the queue, not run yet
        self._closing = threading.Lock()
        self._closed = False
        self._truncated_at = time.monotonic()
        self._dirty = False
        self._thread = threading.Thread(target=self._write, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Hand a transaction to the writer; the future resolves after its COMMIT. It cannot be cancelled."""
        job = _ThreadJob(work)
        self._put(job)
        return job.future

    async def commit(self, work: Work[T], *, patience: float = 0.0) -> T:
        """Await a transaction's COMMIT. When the awaiting task is cancelled the transaction still happens.

        With ``patience`` it waits so many seconds for a transaction that has none, to share its COMMIT.
        """
        until = time.monotonic() + patience if patience else 0.0
        job = _TaskJob(work, asyncio.get_running_loop(), until)
        self._put(job)
        value: T = await job.future
        return value

    def run(self, work: Work[T]) -> T:
        """Wait for a transaction's COMMIT and return what it returned; not for an event loop's thread."""
        return self.submit(work).result()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Lend a connection that sees one snapshot of what is committed and refuses to write.

        Keep the block short: on SQLite an open snapshot keeps deleted rows in the log.
        """
        try:
            with self._readers.connect() as connection:
                yield connection
        except Exception as error:
            if is_database_error(error):
                raise translate(error) from error
            raise

    def close(self) -> None:
        """Finish what was submitted, refuse anything more, cut the log and let go of the database."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        self._readers.dispose()
        with suppress(StoreError):  # everything is committed; whoever closes next cuts the log
            self._truncate(_CLOSE_WAIT)
        self._dispose()
        self._gate.close()

    def _put(self, job: _Job) -> None:
        with self._closing:
            if self._closed:
                raise StoreError("the store is closed: this process is stopping")
            self._jobs.put(job)

    def _write(self) -> None:
        """Do the writer thread's work until the store is closed and everything submitted has happened."""
        closing = False
        while self._waiting or not closing:
            if not closing:
                closing = self._wait()
            if self._waiting:
                closing = self._write_batch() or closing
            self._truncate_if_due()

    def _wait(self) -> bool:
        """Wait until there is something to do; return True when the store is to close after it."""
        while True:
            try:
                job = self._jobs.get(timeout=self._idle_seconds())
            except queue.Empty:
                return False
            if job is None:
                return True
            self._waiting.append(job)
            if not self._idle_seconds():
                return False

    def _idle_seconds(self) -> float | None:
        """Return how long there is nothing to do unless something impatient is submitted."""
        if self._waiting:
            return max(0.0, min(job.until for job in self._waiting) - time.monotonic())
        return _TRUNCATE_SECONDS if self._dirty else None

    def _write_batch(self) -> bool:
        """Run one batch and tell its submitters; return True when the store is to close after it."""
        taken: list[_Job] = []
        closing = False

        def jobs() -> Iterator[_Job]:
            nonlocal closing
            while self._waiting:
                taken.append(self._waiting.popleft())
                yield taken[-1]
            while not self._jobs.empty():  # this thread alone takes from the queue
                job = self._jobs.get()
                if job is None:
                    closing = True
                    return
                taken.append(job)
                yield job

        try:
            with self._gate.held():
                self._file.check()
                with self._writer.connect() as connection:
                    run_batch(connection, jobs())
        except BaseException as error:  # noqa: BLE001 (no connection, no gate: the thread must live on)
            taken += self._waiting
            self._waiting.clear()
            for job in taken:
                if job.error is not None:
                    job.fail(translate(error))
        self._dirty = True
        _tell(taken)
        return closing

    def _truncate_if_due(self) -> None:
        if self._dirty and time.monotonic() - self._truncated_at >= _TRUNCATE_SECONDS:
            try:
                self._dirty = not self._truncate(_TRUNCATE_WAIT)
            except StoreError:
                self._dirty = True  # the next COMMIT meets the same fault and reports it to somebody
            self._truncated_at = time.monotonic()

    def _truncate(self, wait: int) -> bool:
        with self._gate.held():
            return truncate_log(self._writer, wait_milliseconds=wait)

    def _dispose(self) -> None:
        self._readers.dispose()
        self._writer.dispose()


def open_store(url: str, *, gate: Path | None = None) -> Store:
    """Open the database behind ``url`` for this process.

    ``gate`` is the lock file that processes sharing a SQLite file queue at (default: beside the database). Raises
    StoreError when the database does not answer, is damaged, or belongs to another version of Letterlock.
    """
    return Store(url, gate=gate)


def _tell(jobs: list[_Job]) -> None:
    """Resolve the submitters' futures; one wake-up for each event loop, however many of its tasks wait."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        if job.loop is None:
            job.resolve()
        else:
            loops.setdefault(job.loop, []).append(job)
    for loop, waiting in loops.items():
        # A loop that is closed has nobody left to be told; the transactions stand.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell_in_loop, waiting)


def _tell_in_loop(jobs: list[_Job]) -> None:
    for job in jobs:
        job.resolve()
