"""Fail points: named places on the way of a message where a drill ends this process, as a power cut would.

``LETTERLOCK_FAIL_AT=NAME:NTH`` in the environment of a process kills it (SIGKILL) when it comes to the place NAME for
the NTH time (the first, without ``:NTH``); ``stop NAME:NTH`` makes it stand still there (SIGSTOP) until somebody
continues it. An empty value arms nothing yet: `arm` does, after a fork. Every place has its line in docs/flow.md.

Whether the variable is there is decided once, at import. Where it is not, both functions are empty: a call costs less
than a tenth of a microsecond.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable

VARIABLE = "LETTERLOCK_FAIL_AT"
_STOP = "stop "


class _FailPoints:
    """Counts how often the armed place was reached, in any thread, and kills or stops at the right time."""

    def __init__(self, where: str) -> None:
        self.arm(where)

    def arm(self, where: str) -> None:
        place = where.removeprefix(_STOP)
        self._signal = signal.SIGKILL if place == where else signal.SIGSTOP
        self._name, _, times = place.rpartition(":") if place[-1:].isdigit() else (place, "", "1")
        self._left = int(times)
        self._lock = threading.Lock()

    def reached(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            now = self._left == 0
        if now:
            signal.pthread_kill(threading.get_ident(), self._signal)  # stands still at once: not other threads first

    async def reached_on_wire(self, name: str) -> None:
        if name == self._name:
            await asyncio.sleep(0)  # uvloop writes to its sockets at the end of each turn
        self.reached(name)


def _nothing(_name: str) -> None:
    """Do nothing: no drill."""


async def _nothing_on_wire(_name: str) -> None:
    """Do nothing: no drill."""


_where = os.environ.get(VARIABLE)
_points = None if _where is None else _FailPoints(_where)

reached: Callable[[str], None] = _nothing if _points is None else _points.reached
"""Note that this process has come to the place ``name``; returns, unless a drill wants it to die here."""

reached_on_wire: Callable[[str], Awaitable[None]] = _nothing_on_wire if _points is None else _points.reached_on_wire
"""Note the same of a place behind a write to a socket: the octets are with the kernel when a process dies here."""


def arm(where: str) -> None:
    """Arm a place anew, as in the variable, for a process that was forked from a warm one; '' arms nothing.

    RuntimeError where the variable was not there at import: then no place knows of the drill.
    """
    if _points is None:
        raise RuntimeError(f"{VARIABLE} must be in the environment when relay is imported")
    _points.arm(where)
