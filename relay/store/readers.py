"""The connections that read: lent for a block, where they see one snapshot of what is committed and refuse to write."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from relay.store.faults import is_database_error, translate


class Readers:
    """Lends the connections of an engine; safe to share between threads.

    On SQLite a connection is kept from one block to the next: to lend one, SQLAlchemy's pool takes longer than an
    indexed look-up. To SQLAlchemy it is in one transaction all the time; that of each block begins and ends on the
    driver, which is the same at a fifth of the price. A server's connections go back to the pool, which looks whether
    they are still alive.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keeps = engine.dialect.name == "sqlite"
        self._idle: deque[Connection] = deque()  # its append and pop are atomic

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend a connection for the block. Errors of the database leave as StoreError or StoreFullError."""
        connection: Connection | None = None
        try:
            connection = self._taken()
            self._begin(connection)
            yield connection
            if self._keeps:
                _driver(connection).rollback()
        except BaseException as error:
            if connection is not None:
                connection.close()
            if is_database_error(error):
                raise translate(error) from error
            raise
        if self._keeps:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Let go of all that is not lent."""
        self._keeps = False
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()

    def _taken(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect()

    @staticmethod
    def _begin(connection: Connection) -> None:
        if connection.in_transaction():  # a kept one
            _driver(connection).execute("BEGIN")
        else:
            connection.begin()


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
