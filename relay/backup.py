"""Copies of an installation, made while it runs, and put onto an empty machine: keys and storage, each by itself.

Of the keys nothing is copied that must not come back: epoch keys seal mail that waits in the queue, and the file
`progress` belongs to the machine (`relay.vault.progress`). Of the storage the database comes first, then the blobs that
the copy names: what is sealed meanwhile is in neither.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from relay.durable import give_to_owner_of, make_folder, sync_file, sync_folder
from relay.errors import RefusedError
from relay.store.engine import database_file
from relay.store.faults import translate
from relay.vault import progress

_DATABASE = "letterlock.db"
_BLOBS = "blobs"
_EPOCH = "epoch-"
_FOLDERS = 0o700


def copy_keys(keys: Path, target: Path) -> int:
    """Copy the keys in the folder ``keys`` into the new folder ``target``; return how many files, all of them durable.

    RefusedError when the target is there already, or a file cannot be read or written.
    """
    with _new(target):
        files = [file for file in sorted(keys.rglob("*")) if file.is_file() and _belongs_into_a_backup(file)]
        for file in files:
            _copy(file, target / file.relative_to(keys))
    return len(files)


def copy_storage(url: str, blobs: Path, target: Path, now: datetime) -> int:
    """Copy database and blobs into the new folder ``target``; return how many blobs, all of it durable.

    The copy says of itself that it is one. RefusedError for PostgreSQL, whose own programs do that, or when the target
    is there already or cannot be written; StoreError when the database cannot be read.
    """
    file = database_file(url)
    if file is None:
        raise RefusedError(
            "the database is a PostgreSQL server's: copy it with pg_dump, and the folder of storage.blobs after that"
        )
    with _new(target):
        copied = 0
        for blob_id in _copy_database(file, target / _DATABASE, now):
            name = blob_id.hex()
            copied += _copy_if_there(blobs / name[:2] / name, target / _BLOBS / name[:2] / name)
    return copied


def put_keys(source: Path, keys: Path) -> None:
    """Put a copy of the keys into the folder ``keys``, which must be empty but for tombstones; RefusedError else."""
    there = [file.name for file in keys.iterdir()] if keys.is_dir() else []
    if set(there) - {"tombstones"}:
        raise RefusedError(f"there are keys in {keys}: they are never overwritten; move them away first")
    _put(source, keys, but_for=there)


def put_storage(source: Path, url: str, blobs: Path) -> None:
    """Put a copy of the storage where the configuration wants it; RefusedError when something is there already."""
    file = database_file(url)
    if file is None:
        raise RefusedError("the database is a PostgreSQL server's: put its dump back with psql or pg_restore")
    if file.exists():
        raise RefusedError(f"there is a database {file}: it is never overwritten; move it away first")
    if blobs.is_dir() and any(shard.is_dir() and any(shard.iterdir()) for shard in blobs.iterdir()):
        raise RefusedError(f"there are parts of messages in {blobs}: move them away first")
    if not (source / _DATABASE).is_file():
        raise RefusedError(f'{source} is no copy that "letterlock backup storage" made: it has no {_DATABASE}')
    if (source / _BLOBS).is_dir():
        _put(source / _BLOBS, blobs)
    with _explained(file.parent):
        _copy(source / _DATABASE, file, ours=True)  # last: while it is missing, nothing starts


def _belongs_into_a_backup(file: Path) -> bool:
    return not file.name.startswith((_EPOCH, ".")) and file.name != progress.FILE


def _copy_database(file: Path, copy: Path, now: datetime) -> Sequence[bytes]:
    """Copy a SQLite database as it is at this moment; return the blobs that it names."""
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True)) as source:
            source.execute("PRAGMA temp_store = MEMORY")
            source.execute("VACUUM INTO ?", (str(copy),))
        with closing(sqlite3.connect(copy)) as connection:
            progress.mark_copy(connection, now)
            blobs = [blob_id for (blob_id,) in connection.execute("SELECT id FROM blob WHERE state = 'stored'")]
    except sqlite3.Error as error:
        raise translate(error) from error
    sync_file(copy)
    return blobs


def _put(source: Path, target: Path, but_for: Sequence[str] = ()) -> None:
    if not source.is_dir():
        raise RefusedError(f"there is no folder {source}")
    with _explained(target):
        for file in sorted(source.rglob("*")):
            if file.is_file() and file.name not in but_for:
                _copy(file, target / file.relative_to(source), ours=True)


def _copy_if_there(file: Path, target: Path) -> bool:
    try:
        _copy(file, target)
    except FileNotFoundError:
        return False  # what was sent or expired since the database was copied
    return True


def _copy(file: Path, target: Path, *, ours: bool = False) -> None:
    """Copy one file with its mode, durably; its folders are made for their owner alone. RefusedError for a link.

    Root would follow it to what the gateway's user, who owns keys and storage, may not read. With ``ours`` the file is
    put to use: what root copies is the gateway's, who owns the folder that was there. A backup that root makes stays
    root's.
    """
    with _opened(file) as source:
        missing = [folder for folder in (target.parent, *target.parent.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            if ours:
                make_folder(folder)
            else:
                folder.mkdir(mode=_FOLDERS)
            sync_folder(folder.parent)
        mode = os.fstat(source.fileno()).st_mode & 0o777
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as copy:
            if ours:
                give_to_owner_of(target.parent, copy.fileno())
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
    sync_folder(target.parent)


def _opened(file: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RefusedError(f"{file} is a link, which is not copied: put the file itself there") from None
        raise


@contextmanager
def _new(target: Path) -> Iterator[None]:
    """Make a folder that was not there; it is removed again when the block fails, so that no half copy is left."""
    with _explained(target):
        try:
            target.mkdir(mode=_FOLDERS)
        except FileExistsError:
            raise RefusedError(f"{target} is already there and stays as it is: name a new folder") from None
        try:
            yield
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        sync_folder(target)
        sync_folder(target.parent)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RefusedError(f"{error.filename or target}: {error.strerror}") from error
