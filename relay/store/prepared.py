"""Statements that run with every message: compiled once for each kind of database, then run on its driver.

Around each execution SQLAlchemy spends some 60 us on its cache key, its context, its events and its result, several
times what the database itself takes. Here a statement is still written as a SQLAlchemy expression, and values still
pass the types of their columns; only what would be worked out anew for every message is worked out once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, Connection, Dialect, Float, Table, bindparam
from sqlalchemy.types import TypeEngine

Convert = Callable[[Any], Any]
Values = Mapping[str, Any]
Rows = list[tuple[Any, ...]]

_MOST_ROWS = 64  # in one statement; the widest table has 19 columns, and SQLite takes 32,766 values
_VALUES = " VALUES "


class Prepared:
    """One statement. Each call takes values by the names of its parameters and belongs to the open transaction.

    ``in_`` of a list cannot be prepared (see `PreparedForKeys`). Errors come out as the driver raises them;
    `relay.store.faults` knows them.
    """

    def __init__(self, statement: ClauseElement, *, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Values) -> int:
        """Execute once; return how many rows it changed."""
        return int(self._execute(connection, values)[0].rowcount)

    def rows(self, connection: Connection, values: Values) -> Rows:
        """Execute once; return the rows, each value as the type of its column gives it."""
        cursor, compiled = self._execute(connection, values)
        return compiled.read(cursor.fetchall())

    def many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute for each of ``rows``."""
        if rows:
            compiled = self._for(connection)
            _driver(connection).cursor().executemany(compiled.text, [compiled.bind(row) for row in rows])

    def _execute(self, connection: Connection, values: Values) -> "tuple[Any, _Compiled]":
        compiled = self._for(connection)
        cursor = _driver(connection).cursor()
        cursor.execute(compiled.text, compiled.bind(values))
        return cursor, compiled

    def _for(self, connection: Connection) -> "_Compiled":
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect, self._columns)
        return compiled


class PreparedForKeys:
    """A statement about a list of keys, prepared for lists of 1, 2, 4, 8 … keys; the last key fills up shorter ones.

    ``statement`` writes it for the parameters that stand for the keys: repeating a key must not change what it says.
    """

    def __init__(self, statement: Callable[[list[BindParameter[Any]]], ClauseElement], *, most: int = 256) -> None:
        self._statement = statement
        self._most = most
        self._prepared: dict[int, Prepared] = {}

    def rows(self, connection: Connection, keys: Sequence[Any], values: Values | None = None) -> Rows:
        """Execute for at most ``most`` keys at a time; return the rows of all."""
        found: Rows = []
        for start in range(0, len(keys), self._most):
            some = keys[start : start + self._most]
            length = 1 << (len(some) - 1).bit_length()
            padded = [*some, *[some[-1]] * (length - len(some))]
            given = {f"key_{number}": key for number, key in enumerate(padded)}
            found += self._for(length).rows(connection, {**given, **(values or {})})
        return found

    def _for(self, length: int) -> Prepared:
        if length not in self._prepared:
            keys: list[BindParameter[Any]] = [bindparam(f"key_{number}") for number in range(length)]
            self._prepared[length] = Prepared(self._statement(keys))
        return self._prepared[length]


class Insertion(Prepared):
    """The insertion of rows into a table."""

    def many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Insert ``rows``: on SQLite 64, 32, 16 … in one statement.

        At each step of a statement SQLite's driver lets go of the interpreter and the event loop takes it: a row a step
        cost a message a dozen changes of threads.
        """
        compiled = self._for(connection)
        if not compiled.positional:
            super().many(connection, rows)
            return
        cursor = _driver(connection).cursor()
        begin, one = compiled.text.split(_VALUES)
        start = 0
        while start < len(rows):
            count = min(_MOST_ROWS, 1 << ((len(rows) - start).bit_length() - 1))
            bound = [value for row in rows[start : start + count] for value in compiled.bind(row)]
            cursor.execute(begin + _VALUES + ", ".join([one] * count), bound)
            start += count


@cache
def insertion(table: Table, columns: tuple[str, ...]) -> Insertion:
    """Return the insertion of rows that have these columns; others get their constant default, or nothing."""
    return Insertion(table.insert().inline(), columns=columns)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement for one kind of database: its text, and how values go in and come out."""

    text: str
    parameters: tuple[tuple[str, Convert | None], ...]  # in their order
    constants: Values
    positional: bool
    results: tuple[Convert | None, ...]  # empty where no value has to be converted

    def bind(self, values: Values) -> tuple[Any, ...] | dict[str, Any]:
        """Return what the driver wants to be given; KeyError for a value that is missing."""
        given = {**self.constants, **values} if self.constants else values
        if self.positional:
            return tuple([given[name] if to is None else to(given[name]) for name, to in self.parameters])
        return {name: given[name] if to is None else to(given[name]) for name, to in self.parameters}

    def read(self, rows: Rows) -> Rows:
        """Return the driver's rows as their types give them."""
        if not self.results:
            return rows
        return [
            tuple([value if to is None else to(value) for value, to in zip(row, self.results, strict=True)])
            for row in rows
        ]


def _compile(statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
    values: Values = compiled.params
    binds = {name: compiled.binds[name] for name in values}
    if any(bind.expanding for bind in binds.values()):
        raise TypeError("a statement with a list of values cannot be prepared")
    constants = {name: values[name] for name, bind in binds.items() if not bind.required}
    constants |= {column.name: column.default.arg for column in compiled.insert_prefetch}
    results = tuple(_reader(column.type, dialect) for column in getattr(statement, "exported_columns", ()))
    return _Compiled(
        str(compiled),
        tuple(
            (name, binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in (compiled.positiontup if compiled.positional else binds)
        ),
        constants,
        compiled.positional,
        results if any(results) else (),
    )


def _reader(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(type_, Float):  # both drivers give a float; SQLAlchemy would look at each answer for its kind
        return None
    return type_.dialect_impl(dialect).result_processor(dialect, None)


def _driver(connection: Connection) -> Any:
    if not connection.in_transaction():
        connection.begin()  # the driver by itself would commit each statement
    return connection.connection.driver_connection
