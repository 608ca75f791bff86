"""The one timer of a connection: it rings when the time that was set last is over, however often that was."""

import asyncio
import math
from collections.abc import Callable
from typing import Any, cast

from relay.queue.alarm import Alarm


class Handle:
    """A timer that a test lets fire."""

    def __init__(self, at: float, fire: Callable[[], None]) -> None:
        self.at, self.fire = at, fire
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop whose clock a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, fire: Callable[[], None]) -> Handle:
        self.timers.append(Handle(self.now + seconds, fire))
        return self.timers[-1]

    def pass_(self, seconds: float) -> None:
        """Let time pass, and fire what comes due in it, in order."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if not timer.cancelled and timer.at <= end]:
            first = min(due, key=lambda timer: timer.at)
            self.timers.remove(first)
            self.now = first.at
            first.fire()
        self.now = end


def alarm() -> tuple[Alarm, Loop, list[float]]:
    """Return an alarm, its loop, and the moments at which it has rung."""
    loop = Loop()
    rung: list[float] = []
    made = Alarm(cast("asyncio.AbstractEventLoop", cast("Any", loop)), lambda: rung.append(loop.now))
    return made, loop, rung


def test_it_rings_once_when_the_time_is_over() -> None:
    """Not before, and not again."""
    one, loop, rung = alarm()
    one.set(300)
    loop.pass_(299)
    assert rung == []
    loop.pass_(1000)
    assert rung == [1300.0]


def test_the_time_that_was_set_last_counts() -> None:
    """A later end takes no timer of its own; an earlier one is not missed."""
    one, loop, rung = alarm()
    for _ in range(1000):
        one.set(300)
        loop.pass_(0.25)
        one.off()
    assert len(loop.timers) == 1
    one.set(600)
    assert len(loop.timers) == 1
    loop.pass_(599)
    assert rung == []
    one.set(5)
    loop.pass_(5)
    assert rung == [1000.0 + 250 + 599 + 5]


def test_nobody_hears_it_when_it_was_switched_off() -> None:
    """What is left of a timer fires for nothing; afterwards it can be set again."""
    one, loop, rung = alarm()
    one.set(10)
    one.off()
    loop.pass_(100)
    assert rung == []
    one.set(10)
    loop.pass_(10)
    assert rung == [1110.0]


def test_it_leaves_no_timer_behind() -> None:
    """A connection that has ended is not kept in memory for its time limit."""
    one, loop, rung = alarm()
    one.set(600)
    one.close()
    assert all(timer.cancelled for timer in loop.timers)
    loop.pass_(math.inf)
    assert rung == []
