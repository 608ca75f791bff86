"""One timer for all the time limits of a connection: they are set with each reply, and hardly ever pass."""

import asyncio
import math
from collections.abc import Callable

_GRAIN = 0.001  # seconds; uvloop's clock counts milliseconds


class Alarm:
    """Calls ``ring`` when the time that was set last is over, unless it was switched off before.

    A timer of the loop for each wait costs more than the wait. Here one that runs already is left alone if it does not
    come too late: when it fires it looks how much time is left, and waits for the rest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._fires = math.inf

    def set(self, seconds: float) -> None:
        """Ring after so many seconds from now, and not before."""
        self._at = self._loop.time() + seconds
        if self._at < self._fires:
            self._wait(seconds)

    def off(self) -> None:
        """Do not ring; the timer is left to fire for nothing."""
        self._at = math.inf

    def close(self) -> None:
        """Leave no timer behind."""
        self._at = self._fires = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._fired)

    def _fired(self) -> None:
        self._timer, self._fires = None, math.inf
        left = self._at - self._loop.time()
        if left <= _GRAIN:
            self._at = math.inf
            self._ring()
        elif left < math.inf:
            self._wait(left)
