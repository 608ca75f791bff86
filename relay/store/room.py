"""Room on the disk: refuse early, so that queue runs, logs and deletions always have some left."""

import os
import time
from pathlib import Path

from relay.errors import StoreError, StoreFullError

_REMEMBERED_SECONDS = 1.0
_MEBIBYTE = 1 << 20


class Room:
    """Watches the disk under ``folder``; ``reserve`` octets are to stay free."""

    def __init__(self, folder: Path, reserve: int) -> None:
        self._folder = folder
        self._reserve = reserve
        self._looked_at = float("-inf")
        self._free = 0

    def ensure(self, wanted: int = 0) -> None:
        """Raise StoreFullError when taking ``wanted`` octets more would touch the reserve. Looks once a second."""
        if self.free() - wanted < self._reserve:
            raise StoreFullError(
                f"less than {self._reserve // _MEBIBYTE} MiB would be left on the disk under {self._folder}: "
                "new mail waits at its sender until there is room"
            )

    def free(self) -> int:
        """Return the octets that an ordinary user may still write; StoreError when the folder is not there."""
        now = time.monotonic()
        if now - self._looked_at > _REMEMBERED_SECONDS:
            try:
                status = os.statvfs(self._folder)
            except OSError as error:
                raise StoreError(f"{self._folder} cannot be looked at: {error.strerror}") from error
            self._free = status.f_bavail * status.f_frsize if status.f_favail or not status.f_files else 0
            self._looked_at = now
        return self._free
