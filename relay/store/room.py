"""Room on the disks: refuse early, so that queue runs, logs and deletions always have some left."""

import math
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from relay.errors import StoreError, StoreFullError
from relay.store.engine import database_file

GOOD_FOR = 0.1  # seconds
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


class Reserve:
    """The octets that new mail must leave on each of ``disks``. Safe to share between threads.

    A look at a disk is good for `GOOD_FOR` seconds: even a fast disk takes no more than some tens of megabytes in them.
    Two looks for each message cost more than all its octets' way to the disk, because each lets go of the interpreter.
    """

    def __init__(self, disks: Iterable[Path], octets: int, now: Callable[[], float] = time.monotonic) -> None:
        self._disks = tuple(disks)
        self._octets = octets
        self._now = now
        self._looked_at = -math.inf
        self._full: Path | None = None

    def ensure(self) -> None:
        """Raise StoreFullError when a disk has less than the reserve left, StoreError when it is not there."""
        if self._now() - self._looked_at >= GOOD_FOR:
            self._full = next((disk for disk in self._disks if free_room(disk) < self._octets), None)
            self._looked_at = self._now()
        if self._full is not None:
            raise StoreFullError(
                f"less than {self._octets // _MEBIBYTE} MiB would be left on the disk under {self._full}: "
                "new mail waits at its sender until there is room"
            )
