"""A wall clock that does not jump while the process runs (R7): pauses and ages are counted by the monotonic clock."""

from collections.abc import Callable
from datetime import datetime, timedelta

from relay import clock


class SteadyClock:
    """Gives the wall-clock time of its creation plus what the monotonic clock has counted since.

    Differences of up to ``tolerance`` from the wall clock (a clock being disciplined) are followed; a larger
    jump is not, and ``jump`` says how large it is: worth an alarm.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = clock.now,
        monotonic: Callable[[], float] = clock.monotonic,
        tolerance: timedelta = timedelta(minutes=2),
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._tolerance = tolerance
        self._base = wall()
        self._start = monotonic()

    def __call__(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        wall, counted = self._wall(), self._monotonic()
        steady = self._base + timedelta(seconds=counted - self._start)
        if -self._tolerance <= wall - steady <= self._tolerance:
            self._base, self._start = wall, counted
            return wall
        return steady

    @property
    def jump(self) -> timedelta:
        """How far the wall clock is from the time we count by; zero when it is followed."""
        difference = self._wall() - (self._base + timedelta(seconds=self._monotonic() - self._start))
        return difference if abs(difference) > self._tolerance else timedelta(0)
