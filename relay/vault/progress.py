"""How far this installation has come, noted beside its keys: a database of an earlier day is recognised by it.

What an earlier day's database knows of the queue is not true any more: most of it has left. So nothing starts on one
before `relay.restoring` has kept that queue back. Two signs tell:

    progress     a file beside the keys, in no backup: the number of the last checkpoint of the audit. It is written
                 after the checkpoint's commit, so no crash leaves it ahead of the database; a database behind it is
                 an older one. A row in the database says that there must be such a file: where it is missing, the
                 database stands beside keys from a backup.
    a row        in each copy that `letterlock backup` made, from its first moment.

A database that is put back within the minute before its next checkpoint, by other means than ours, is not told.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Table, delete
from sqlalchemy.exc import SQLAlchemyError

from relay import clock
from relay.errors import KeyringError, RefusedError
from relay.store.checkpoints import last_number
from relay.store.engine import open_engine
from relay.store.faults import translate
from relay.store.remembered import remember, remembered
from relay.store.tables import Meta
from relay.store.writer import Store
from relay.vault.keyfiles import read_private, replace

FILE = "progress"
_META: Table = cast("Any", Meta).__table__
_NOTED = "progress is noted"
_COPIED = "copied at"


def note(store: Store, folder: Path) -> None:
    """Note the last checkpoint beside the keys in ``folder``. Blocking; StoreError, KeyringError."""
    with store.read() as conn:
        number, noted = last_number(conn), remembered(conn, _NOTED)
    if number > (_noted(folder) or 0):
        replace(folder / FILE, f"{number}\n".encode("ascii"))
    if noted is None:  # after the file, so that a crash between them is no sign of anything
        store.run(_promise_file)


def require_newest(url: str, folder: Path) -> None:
    """Raise RefusedError when the database at ``url`` is a copy or of an earlier day; StoreError, KeyringError."""
    with _reading(url) as conn:
        reason = doubt(conn, folder)
    if reason:
        raise RefusedError(
            f"{reason}: what waits in its queue may have left long ago, so nothing was started. If it is to take over, "
            'and no other gateway runs on its data, run "letterlock restore"'
        )


def begin(url: str, folder: Path) -> bool:
    """Forget how far an earlier database had come where the one at ``url`` is new; StoreError, KeyringError.

    Return whether there was an earlier one.
    """
    earlier = (folder / FILE).exists()
    with _reading(url) as conn:
        new = last_number(conn) == 0 and remembered(conn, _NOTED) is None
    if new:
        try:
            (folder / FILE).unlink(missing_ok=True)
        except OSError as error:
            raise KeyringError(f"{folder / FILE}: {error.strerror}") from error
    return new and earlier


def doubt(conn: Connection, folder: Path) -> str:
    """Return why this database is not the one that these keys belong to now; empty when nothing speaks against it."""
    copied = remembered(conn, _COPIED)
    if copied is not None:
        return f"this database is a backup made {clock.local_text(datetime.fromisoformat(copied))}"
    noted = _noted(folder)
    if noted is None:
        return "this database came back without the file beside the keys" if remembered(conn, _NOTED) else ""
    return "this database is of an earlier day than the keys beside it" if last_number(conn) < noted else ""


def mark_copy(copy: sqlite3.Connection, at: datetime) -> None:
    """Write into a copy of the database what it is; commits."""
    copy.execute("DELETE FROM meta WHERE name = ?", (_COPIED,))
    copy.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (_COPIED, at.isoformat()))
    copy.commit()


def begin_anew(conn: Connection) -> int:
    """Let this database count as the newest from its commit on; return the number for `settle`."""
    conn.execute(delete(_META).where(_META.c.name == _COPIED))
    return last_number(conn)


def settle(folder: Path, number: int) -> None:
    """Note the progress of a database that takes over, after the commit of `begin_anew`; KeyringError."""
    replace(folder / FILE, f"{number}\n".encode("ascii"))


@contextmanager
def _reading(url: str) -> Iterator[Connection]:
    engine = open_engine(url, writer=False)
    try:
        with engine.connect() as conn:
            yield conn
    except SQLAlchemyError as error:
        raise translate(error) from error
    finally:
        engine.dispose()


def _promise_file(conn: Connection) -> None:
    remember(conn, _NOTED, "yes")


def _noted(folder: Path) -> int | None:
    data = read_private(folder / FILE)
    if data is None:
        return None
    try:
        return int(data)
    except ValueError:
        raise KeyringError(f'{folder / FILE} is damaged: remove it, and run "letterlock restore"') from None
