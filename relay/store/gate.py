"""The gate between processes that write to one SQLite file.

SQLite's own busy handler polls with growing pauses, so one of several busy writers can wait for seconds while the
others pass (measured). Processes therefore queue at flock(2). One lock alone would let the process that just left
walk in again before the kernel has woken the one that waits; so there is a turnstile before the gate: who waits at
the gate holds the turnstile, and who comes back has to wait there.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.durable import open_shared
from relay.errors import StoreError

_PAUSE = 0.05


class Gate:
    """An exclusive lock between processes; within a process one thread uses it. Without a file: always open.

    A process that was stopped inside keeps the others out until it goes on or ends.
    """

    def __init__(self, file: Path | None) -> None:
        self.waiting = False  # for other threads: this process's turn has not come
        self._file = file
        self._locks: tuple[int, int] | None = None
        if file is not None:
            self._locks = _open(file.with_name(file.name + ".turnstile")), _open(file)

    @contextmanager
    def held(self, patience: float | None = None) -> Iterator[None]:
        """Wait for this process's turn, then keep the others out for the block.

        With ``patience`` it waits at most so many seconds, not in turn, and leaves with StoreError.
        """
        if self._locks is None:
            yield
            return
        turnstile, gate = self._locks
        self.waiting = True
        try:
            if patience is None:
                _queue_up(turnstile, gate)
            elif not _slip_in(gate, patience):
                raise StoreError(f"a process that has {self._file} open stands still, or writes for long: end it first")
        finally:
            self.waiting = False
        try:
            yield
        finally:
            fcntl.flock(gate, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the files back."""
        for descriptor in self._locks or ():
            os.close(descriptor)
        self._locks = None


def gate_file(database: Path | None) -> Path | None:
    """Return where the gate of a SQLite file stands: beside it."""
    return None if database is None else database.with_name(database.name + ".gate")


def _queue_up(turnstile: int, gate: int) -> None:
    fcntl.flock(turnstile, fcntl.LOCK_EX)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
    finally:
        fcntl.flock(turnstile, fcntl.LOCK_UN)


def _slip_in(gate: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE)
        else:
            return True


def _open(file: Path) -> int:
    try:
        return open_shared(file)
    except OSError as error:
        raise StoreError(f"cannot open the write gate {file}: {error.strerror}") from error
