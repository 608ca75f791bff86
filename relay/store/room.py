"""Room on the disk: refuse early, so that queue runs, logs and deletions always have some left."""

import os
from pathlib import Path

from relay.errors import StoreError, StoreFullError

_MEBIBYTE = 1 << 20


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


def ensure_room(folder: Path, reserve: int, wanted: int = 0) -> None:
    """Raise StoreFullError when taking ``wanted`` octets would leave less than ``reserve``. Costs a microsecond."""
    if free_room(folder) - wanted < reserve:
        raise StoreFullError(
            f"less than {reserve // _MEBIBYTE} MiB would be left on the disk under {folder}: "
            "new mail waits at its sender until there is room"
        )
