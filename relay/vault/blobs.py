"""Large sealed bytes outside the database: one file each, named by a random id, and a journal of them.

    writing   committed before the file has its name: after a crash it is known, and swept when 24 hours old
    stored    committed together with the rows that refer to it; the file is whole and on disk by then
    doomed    committed before the file goes; then the row goes too

What is in a blob is sealed by whoever writes it. ``BlobStore`` is all that the rest of Letterlock knows of the place.
What comes bit by bit, and may never be needed, is written into a `BlobDraft`: it is journalled only when it is kept.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Table, bindparam, select

from relay.durable import make_folder, sync_folder
from relay.errors import StoreError
from relay.fail_points import reached
from relay.store.prepared import Prepared
from relay.store.tables import Blob
from relay.store.tables.sealed import BlobState
from relay.vault.files import UnnamedFile, explained, opened, read_at_once

_BLOB: Table = cast("Any", Blob).__table__
_DRAFT = ".draft"
_MANY = 500  # ids in one statement
_BEGIN = Prepared(
    _BLOB.insert().values(id=bindparam("blob_id"), length=0, state=BlobState.WRITING.value, changed_at=bindparam("now"))
)
_STORED = Prepared(
    _BLOB.update()
    .where(_BLOB.c.id == bindparam("blob_id"), _BLOB.c.state == BlobState.WRITING.value)
    .values(length=bindparam("octets"), state=BlobState.STORED.value, changed_at=bindparam("now"))
)


class BlobDraft(Protocol):
    """Bytes that nobody finds before they are kept, and that vanish with the process. Safe in several threads.

    StoreFullError when there is no room, StoreError for other faults, also after `drop`.
    """

    @property
    def length(self) -> int:
        """Octets written so far."""

    def append(self, octets: bytes) -> None:
        """Write octets at the end."""

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes ``start`` to ``stop`` (exclusive), fewer at the end."""

    def keep(self, blob_id: bytes) -> None:
        """Make it a blob: durable and whole under this id, which must be journalled, when it returns."""

    def drop(self) -> None:
        """Let go of it: what was not kept is gone. Calling it twice does no harm."""


class BlobStore(Protocol):
    """A place for bytes under an id of 16 random bytes. What was written never changes."""

    def draft(self) -> BlobDraft:
        """Begin to write bytes whose end, and whose fate, are not known yet; drop it in any case."""

    def write(self, blob_id: bytes, chunks: Iterable[bytes]) -> int:
        """Store all chunks under ``blob_id`` and return their length; durable and whole when it returns.

        Raises StoreFullError when there is no room, StoreError for other faults; nothing is left behind then.
        """

    def read(self, blob_id: bytes, start: int, stop: int, *, wait: bool = True) -> bytes:
        """Return the bytes ``start`` to ``stop`` (exclusive), fewer at the end; StoreError when it is not there.

        Without ``wait``: all of them, or nothing where that would take the disk.
        """

    def length(self, blob_id: bytes) -> int:
        """Return the length in octets; StoreError when it is not there."""

    def remove(self, blob_id: bytes) -> None:
        """Remove a blob; nothing happens when there is none."""

    def older_than(self, moment: datetime) -> Iterator[bytes]:
        """Yield the ids of all blobs, whole or half written, that were last written before ``moment``."""


class FileBlobs:
    """Blobs as files ``ab/abcdef…`` in 256 sub-folders of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced: set[Path] = set()  # the sub-folders whose names this process has made durable

    def write(self, blob_id: bytes, chunks: Iterable[bytes]) -> int:
        """Write a draft and keep it (see BlobStore)."""
        draft = self.draft()
        try:
            with explained():
                for chunk in chunks:
                    draft.append(chunk)
            draft.keep(blob_id)
        finally:
            draft.drop()
        return draft.length

    def draft(self) -> "FileDraft":
        """Open a file without a name (see BlobStore)."""
        with explained():
            self._make_root()
            return FileDraft(UnnamedFile(self._folder, self._spare), self._place)

    def _place(self, blob_id: bytes) -> Path:
        """Return where a blob belongs; its folder is there."""
        file = self._file(blob_id)
        self._make_folder(file.parent)
        return file

    def _spare(self) -> Path:
        """Return a path that no blob will ever have, and that the walk over all folders finds."""
        file = self._place(secrets.token_bytes(16))
        return file.with_name(f"{file.name}.{secrets.token_hex(4)}{_DRAFT}")

    def read(self, blob_id: bytes, start: int, stop: int, *, wait: bool = True) -> bytes:
        """Read a range (see BlobStore)."""
        with explained(), opened(self._file(blob_id)) as descriptor:
            return os.pread(descriptor, stop - start, start) if wait else read_at_once(descriptor, start, stop)

    def length(self, blob_id: bytes) -> int:
        """Ask the file (see BlobStore)."""
        with explained():
            return self._file(blob_id).stat().st_size

    def remove(self, blob_id: bytes) -> None:
        """Unlink the file (see BlobStore)."""
        file = self._file(blob_id)
        with explained():
            try:
                file.unlink()
            except FileNotFoundError:  # only then can it be a draft, which has an id of its own
                for draft in file.parent.glob(f"{file.name}.*{_DRAFT}"):
                    draft.unlink(missing_ok=True)
            reached("blob: file removed")

    def older_than(self, moment: datetime) -> Iterator[bytes]:
        """Walk all folders (see BlobStore)."""
        limit = moment.timestamp()
        with explained():
            if not self._folder.exists():
                return
            for shard in os.scandir(self._folder):
                if not shard.is_dir():
                    continue
                for entry in os.scandir(shard):
                    if (blob_id := _id_of(entry.name)) is not None and entry.stat().st_mtime < limit:
                        yield blob_id

    def _file(self, blob_id: bytes) -> Path:
        name = blob_id.hex()
        return self._folder / name[:2] / name

    def _make_folder(self, folder: Path) -> None:
        if folder in self._synced and folder.is_dir():
            return
        self._make_root()
        make_folder(folder)
        sync_folder(self._folder)  # even where it was there: who made it may not have come to that, or have died before
        self._synced.add(folder)

    def _make_root(self) -> None:
        if not self._folder.is_dir():
            make_folder(self._folder)
            sync_folder(self._folder.parent)


class FileDraft:
    """A file without a name (see BlobDraft); ``place`` returns the path of a blob."""

    def __init__(self, file: UnnamedFile, place: Callable[[bytes], Path]) -> None:
        self._unnamed = file
        self._place = place

    @property
    def length(self) -> int:
        """Octets written so far."""
        return self._unnamed.length

    def append(self, octets: bytes) -> None:
        """Write octets at the end (see BlobDraft)."""
        with explained():
            self._unnamed.append(octets)

    def read(self, start: int, stop: int) -> bytes:
        """Read a range (see BlobDraft)."""
        with explained():
            return self._unnamed.read(start, stop)

    def keep(self, blob_id: bytes) -> None:
        """Sync the file, name it, sync the folder (see BlobDraft)."""
        with explained():
            file = self._place(blob_id)
            self._unnamed.name(file)
            sync_folder(file.parent)
        reached("blob: folder synced")

    def drop(self) -> None:
        """Close the file (see BlobDraft)."""
        self._unnamed.close()


def begin(connection: Connection, blob_ids: Sequence[bytes], now: datetime) -> None:
    """Journal blobs that are about to be written or kept; commit this before they have a name."""
    _BEGIN.many(connection, [{"blob_id": one, "now": now} for one in blob_ids])


def stored(connection: Connection, lengths: Mapping[bytes, int], now: datetime) -> None:
    """Journal written blobs in the transaction of the rows that refer to them.

    StoreError when one is not journalled as being written: it was swept meanwhile, and must not be referred to.
    """
    for blob_id, length in lengths.items():
        if _STORED.run(connection, {"blob_id": blob_id, "octets": length, "now": now}) != 1:
            raise StoreError("a stored part took more than a day to write and was swept: send the message again")


def doom(connection: Connection, blob_ids: Sequence[bytes], now: datetime) -> None:
    """Journal that these blobs go, in the transaction that removes what refers to them. ``purge`` does the rest."""
    _doom(connection, blob_ids, now, (BlobState.WRITING, BlobState.STORED))


def give_up(connection: Connection, blob_ids: Sequence[bytes], now: datetime) -> None:
    """Journal that blobs go which nothing refers to. One that a commit has stored meanwhile stays.

    That may be a commit of which we heard nothing but that the connection was lost.
    """
    _doom(connection, blob_ids, now, (BlobState.WRITING,))


def doomed(connection: Connection, limit: int) -> list[bytes]:
    """Return up to ``limit`` blobs whose file is to go."""
    find = select(_BLOB.c.id).where(_BLOB.c.state == BlobState.DOOMED.value).limit(limit)
    return list(connection.execute(find).scalars())


def abandoned(connection: Connection, before: datetime, limit: int) -> list[bytes]:
    """Return up to ``limit`` blobs that somebody began to write before that moment and never finished."""
    find = select(_BLOB.c.id).where(_BLOB.c.state == BlobState.WRITING.value, _BLOB.c.changed_at < before).limit(limit)
    return list(connection.execute(find).scalars())


def gone(connection: Connection, blob_ids: Sequence[bytes]) -> None:
    """Remove the rows of blobs whose files are gone."""
    if blob_ids:
        connection.execute(_BLOB.delete().where(_BLOB.c.id == bindparam("gone")), [{"gone": one} for one in blob_ids])


def unknown(connection: Connection, blob_ids: Sequence[bytes]) -> list[bytes]:
    """Return those of ``blob_ids`` that have no row: left by a database that was restored from a backup."""
    known = set(connection.execute(select(_BLOB.c.id).where(_BLOB.c.id.in_(blob_ids))).scalars())
    return [one for one in blob_ids if one not in known]


def _doom(connection: Connection, blob_ids: Sequence[bytes], now: datetime, states: Iterable[BlobState]) -> None:
    these = _BLOB.c.state.in_([state.value for state in states])
    for start in range(0, len(blob_ids), _MANY):
        connection.execute(
            _BLOB.update()
            .where(_BLOB.c.id.in_(blob_ids[start : start + _MANY]), these)
            .values(state=BlobState.DOOMED.value, changed_at=now)
        )


def _id_of(name: str) -> bytes | None:
    try:
        blob_id = bytes.fromhex(name.partition(".")[0])
    except ValueError:
        return None
    return blob_id if len(blob_id) == 16 else None  # noqa: PLR2004 (all ids have 16 bytes)
