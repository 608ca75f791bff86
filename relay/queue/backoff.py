"""How long to wait before the next attempt, and when to give up (RFC 5321 section 4.5.4.1). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

JITTER = 0.1  # a tenth either way, so that what failed together does not return together


@dataclass(frozen=True, slots=True)
class Ladder:
    """Pauses after the first, second, ... failed attempt; the last one repeats.

    ``give_up_after`` and ``warn_after`` count from acceptance; ``warn_after`` None never warns.
    """

    pauses: tuple[timedelta, ...]
    give_up_after: timedelta
    warn_after: timedelta | None = None

    def pause(self, attempts: int, spread: float) -> timedelta:
        """Return how long to wait after ``attempts`` (>= 1) failures.

        ``spread`` is the jitter factor, 1 - JITTER to 1 + JITTER: one draw for all recipients of an attempt.
        """
        return self.pauses[min(attempts, len(self.pauses)) - 1] * spread

    def gives_up(self, attempts: int, age: timedelta) -> bool:
        """Tell whether the attempt just made was the last one.

        Age alone does not decide: a wall clock that jumped a year ahead, or a gateway that was switched off
        for a week, must not turn a full queue into bounces before each entry has climbed the ladder once.
        """
        return age >= self.give_up_after and attempts >= len(self.pauses)

    def warns(self, age: timedelta) -> bool:
        """Tell whether a message of this age is late enough for a report of the delay.

        Not when its time is over and it only climbs the ladder still: until when we go on trying, nobody could say.
        """
        return self.warn_after is not None and self.warn_after <= age < self.give_up_after

    @property
    def longest(self) -> timedelta:
        """The longest pause that can occur: nothing is honestly due later than this from now."""
        return max(self.pauses) * (1 + JITTER)


def ladder(retry: Sequence[timedelta], give_up_after: timedelta, warn_after: timedelta | None = None) -> Ladder:
    """Return the ladder of a ``[delivery]`` table."""
    return Ladder(tuple(retry), give_up_after, warn_after)
