"""Room on the disks: refuse early, so that queue runs, logs and deletions always have some left."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from relay.errors import StoreError, StoreFullError
from relay.store.engine import database_file

_MEBIBYTE = 1 << 20


def disks_of(database: str, blobs: Path) -> tuple[Path, ...]:
    """Return a folder on each disk that new mail needs room on: that of the blobs, and that of a SQLite file.

    ``database`` is its URL. One folder where both lie on one disk. A folder that is not there counts: `free_room`
    says what is wrong with it.
    """
    file = database_file(database)
    if file is None:
        return (blobs,)
    with suppress(OSError):
        if file.parent.stat().st_dev == blobs.stat().st_dev:
            return (blobs,)
    return (blobs, file.parent)


def free_room(folder: Path) -> int:
    """Return the octets that an ordinary user may still write under ``folder``, 0 when no file can be made.

    StoreError when the folder is not there.
    """
    try:
        status = os.statvfs(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be looked at: {error.strerror}") from error
    files_left = status.f_favail or not status.f_files  # some file systems do not count files
    return status.f_bavail * status.f_frsize if files_left else 0


def ensure_room(disks: Iterable[Path], reserve: int, wanted: int = 0) -> None:
    """Raise StoreFullError when ``wanted`` octets would leave one of ``disks`` less than ``reserve``. Microseconds."""
    for folder in disks:
        if free_room(folder) - wanted < reserve:
            raise StoreFullError(
                f"less than {reserve // _MEBIBYTE} MiB would be left on the disk under {folder}: "
                "new mail waits at its sender until there is room"
            )
