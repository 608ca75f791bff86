"""Many transactions under one COMMIT.

Each transaction runs inside a savepoint: one that fails takes back its own rows and nothing else. If something
spoils the batch as a whole before COMMIT, everything is rolled back and each transaction runs once more on its
own, so that only the guilty one fails. If COMMIT itself fails, all of them fail and none is tried again: what a
failed fsync left behind is unknown, and must never be reported as durable (https://lwn.net/Articles/752063/).
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Table, Transaction
from sqlalchemy.exc import SQLAlchemyError

from relay.errors import StoreError
from relay.fail_points import reached
from relay.store.faults import is_database_error, is_worth_retrying, translate
from relay.store.prepared import insertion

BATCH_TRANSACTIONS = 128
BATCH_SECONDS = 0.02  # a batch takes no more transactions after this: the first one waits for the last
_TRIES = 4  # of a transaction that lost a race on PostgreSQL
_LATER = "letterlock rows of this batch"

Flush = Callable[[Connection, list[Any]], None]
T = TypeVar("T")


class Job(Protocol):
    """One submitted transaction and where its outcome goes."""

    work: Callable[[Connection], Any]

    def succeed(self, value: Any) -> None:
        """Note what the transaction returned: it is durable if the batch's COMMIT returns."""

    def fail(self, error: BaseException) -> None:
        """Note why the transaction has not happened."""


class _SpoiledError(Exception):
    """The database rolled back more than one transaction's savepoint, or the shared part of the batch failed."""


class _Later:
    """Rows that the transactions of a batch leave to be written together just before COMMIT."""

    def __init__(self) -> None:
        self._items: list[tuple[object, Flush, Any]] = []
        self._claims: dict[object, None] = {}  # in their order

    def add(self, key: object, flush: Flush, items: Iterable[Any]) -> None:
        self._items.extend((key, flush, item) for item in items)

    def claim(self, what: object) -> bool:
        known = what in self._claims
        self._claims[what] = None
        return not known

    def mark(self) -> tuple[int, int]:
        return len(self._items), len(self._claims)

    def back_to(self, mark: tuple[int, int]) -> None:
        items, claims = mark
        del self._items[items:]
        while len(self._claims) > claims:
            self._claims.popitem()

    def flush(self, connection: Connection) -> None:
        while self._items:  # what is flushed may leave more
            groups: dict[object, tuple[Flush, list[Any]]] = {}
            for key, flush, item in self._items:
                groups.setdefault(key, (flush, []))[1].append(item)
            self._items.clear()
            for flush, items in groups.values():
                flush(connection, items)


def later(connection: Connection, key: object, flush: Flush, items: Iterable[Any]) -> None:
    """Leave ``items`` to ``flush``, called once for all items of the same ``key`` just before the batch's COMMIT.

    On a connection that is not inside a batch the call is made at once.
    """
    rows = connection.info.get(_LATER)
    if rows is None:
        flush(connection, list(items))
    else:
        rows.add(key, flush, items)


def claim(connection: Connection, what: object) -> bool:
    """Tell whether no other transaction of this batch has claimed the same before; shares the transaction's fate.

    For rows that must be alone of their kind and are left for later: until COMMIT no SELECT sees them.
    """
    rows = connection.info.get(_LATER)
    return rows is None or rows.claim(what)


def insert_later(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert ``rows``, all with the same columns, together with those of the other transactions of the batch.

    One executemany for the whole batch costs a tenth of single inserts. A SELECT in the same transaction does not
    see the rows yet; apart from that, they share the transaction's fate like any other.
    """
    if rows:
        inserted = insertion(table, tuple(rows[0]))
        later(connection, inserted, inserted.many, rows)


def forbid_commit(connection: Connection) -> None:
    """Refuse a COMMIT that a transaction's work gives by itself (listener of the engine's ``commit`` event)."""
    if _LATER in connection.info:
        raise StoreError("a transaction's work must not commit by itself")


def run_batch(connection: Connection, jobs: Iterator[Job]) -> None:
    """Run what ``jobs`` hands out until it ends or the batch is full, under one COMMIT.

    When it returns, every job that was taken knows its outcome; a job that succeeded is durable.
    """
    taken: list[Job] = []
    try:
        again = _run_together(connection, jobs, taken)
    except _SpoiledError:
        again = taken
    for job in again:
        _run_alone(connection, job)


def _run_together(connection: Connection, jobs: Iterator[Job], taken: list[Job]) -> list[Job]:
    """Return the jobs that lost a race with another transaction and are worth another try."""
    again: list[Job] = []
    done: list[tuple[Job, Any]] = []
    transaction = connection.begin()
    connection.info[_LATER] = _Later()
    try:
        end = time.monotonic() + BATCH_SECONDS
        for job in jobs:
            taken.append(job)
            try:
                done.append((job, _in_savepoint(connection, job.work)))
                reached("store: transaction run")
            except _SpoiledError:
                raise
            except BaseException as error:  # noqa: BLE001 (whatever a transaction raises is its submitter's)
                if is_worth_retrying(error):
                    again.append(job)
                else:
                    job.fail(_for_submitter(error))
            if len(taken) >= BATCH_TRANSACTIONS or time.monotonic() > end:
                break
        _flush(connection)
    except _SpoiledError:
        _forget_later(connection)
        _roll_back(transaction)
        raise
    _forget_later(connection)
    reached("store: before commit")
    try:
        transaction.commit()
    except BaseException as error:  # noqa: BLE001
        _roll_back(transaction)
        for job, _ in done:
            job.fail(translate(error))
        return again
    reached("store: after commit")
    for job, value in done:
        job.succeed(value)
    return again


def _in_savepoint(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Run one transaction; raise its error when it was taken back, _SpoiledError when the batch is lost with it."""
    driver: Any = connection.connection.driver_connection
    rows: _Later = connection.info[_LATER]
    mark = rows.mark()
    driver.execute("SAVEPOINT work")
    try:
        value = work(connection)
        driver.execute("RELEASE SAVEPOINT work")
    except BaseException as error:
        rows.back_to(mark)
        try:
            driver.execute("ROLLBACK TO SAVEPOINT work")
            driver.execute("RELEASE SAVEPOINT work")
        except Exception:  # noqa: BLE001 (SQLite rolls back everything on a full disk; a connection may be gone)
            raise _SpoiledError from error
        raise
    return value


def _flush(connection: Connection) -> None:
    try:
        connection.info[_LATER].flush(connection)
    except Exception as error:
        raise _SpoiledError from error


def _roll_back(transaction: Transaction) -> None:
    with suppress(SQLAlchemyError, sqlite3.Error):  # a connection that is gone has rolled back by itself
        transaction.rollback()


def _run_alone(connection: Connection, job: Job) -> None:
    """Run one transaction under a COMMIT of its own; its outcome is final."""
    for tries_left in reversed(range(_TRIES)):
        transaction = None
        committing = False
        try:
            transaction = connection.begin()
            connection.info[_LATER] = _Later()
            value = job.work(connection)
            connection.info[_LATER].flush(connection)
            _forget_later(connection)
            reached("store: before commit")
            committing = True
            transaction.commit()
        except BaseException as error:  # noqa: BLE001
            _forget_later(connection)
            if transaction is not None:
                _roll_back(transaction)
            if tries_left and not committing and is_worth_retrying(error):
                continue
            job.fail(_for_submitter(error))
            return
        reached("store: after commit")
        job.succeed(value)
        return


def _forget_later(connection: Connection) -> None:
    if not connection.invalidated:  # what belonged to a connection that was lost is gone with it
        connection.info.pop(_LATER, None)


def _for_submitter(error: BaseException) -> BaseException:
    return translate(error) if is_database_error(error) else error
