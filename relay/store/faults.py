"""What a database's complaint means to us: one sentence, whether there is no room, whether trying again helps.

SQLite result codes: https://www.sqlite.org/rescode.html. PostgreSQL: appendix A, SQLSTATE. A sentence never
carries a statement or a value: those may be personal data.
"""

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from relay.errors import StoreError, StoreFullError

_SQLITE = {
    sqlite3.SQLITE_BUSY: "the database is locked by another program and was not released in time",
    sqlite3.SQLITE_LOCKED: "the database is locked by another program and was not released in time",
    sqlite3.SQLITE_READONLY: "the database cannot be written: file, folder, or -wal or -shm beside it is read-only",
    sqlite3.SQLITE_CANTOPEN: "the database file is not there or cannot be opened: see storage.database",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged: stop Letterlock and restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the database file is damaged: stop Letterlock and restore it from a backup",
    sqlite3.SQLITE_IOERR: "the disk under the database reports an error",
    sqlite3.SQLITE_AUTH: "the database refuses this statement",
    sqlite3.SQLITE_CONSTRAINT: "a row of this identity is already there, or a value does not fit its column",
}
_DAMAGED = "the database is damaged: stop Letterlock and restore it from a backup"
_TOO_LONG = "the database server ended what took longer than a timeout set there allows, or somebody cancelled it"
_POSTGRESQL = {  # by state, else by its class
    "23": "a row of this identity is already there, or a value does not fit its column",
    "25": "the database cannot be written: it is read-only",
    "08": "the connection to the database was lost",
    "57": "the database server is stopping or starting",
    "53": "the database server is out of memory or connections",
    "40": "another transaction stood in the way",
    "28": "the database server does not accept our user name or password",
    "3D": "the database does not exist on its server",
    "42": "the database does not have the tables that this version needs, or forbids us to use them",
    "58": "the disk under the database reports an error",
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
    "55P03": "another transaction stood in the way",
    "57014": _TOO_LONG,
    "57P05": _TOO_LONG,
    "25P03": _TOO_LONG,
    "25P04": _TOO_LONG,
}
_DISK_FULL = "no room is left on the disk under the database"
_RETRY_STATES = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock not available


def translate(error: BaseException) -> StoreError:
    """Return the StoreError (StoreFullError when there is no room) that says what ``error`` means."""
    if isinstance(error, StoreError):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    name = (cause or error).__class__.__name__
    sentence = f"the database does not answer ({name}): see that it runs, and that storage.database names it"
    if (code := getattr(cause, "sqlite_errorcode", None)) is not None:
        if code & 0xFF == sqlite3.SQLITE_FULL:
            return StoreFullError(_DISK_FULL)
        sentence = _SQLITE.get(code & 0xFF, f"the database refused ({name})")
    elif state := getattr(cause, "sqlstate", None):
        if state == "53100":
            return StoreFullError(_DISK_FULL)
        sentence = _POSTGRESQL.get(state, _POSTGRESQL.get(state[:2], f"the database refused (SQLSTATE {state})"))
    elif getattr(error, "connection_invalidated", hasattr(error, "sqlstate")):  # PostgreSQL's driver, no server's word
        sentence = _POSTGRESQL["08"]
    return StoreError(sentence)


def is_database_error(error: BaseException) -> bool:
    """Tell an error of the database layer from one that the transaction's own code raised."""
    return isinstance(error, (SQLAlchemyError, sqlite3.Error)) or hasattr(error, "sqlstate")


def is_worth_retrying(error: BaseException) -> bool:
    """Tell whether the same transaction may well succeed when run again at once (a lost race on PostgreSQL)."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) in _RETRY_STATES
