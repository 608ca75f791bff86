"""The retry ladder."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from relay.queue.backoff import JITTER, ladder

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LADDER = ladder([MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR], 5 * DAY, 4 * HOUR)


def test_pauses_grow_and_then_stay() -> None:
    """One, five, fifteen, thirty minutes, then hourly."""
    assert [LADDER.pause(attempts, 1) / MINUTE for attempts in range(1, 8)] == [1, 5, 15, 30, 60, 60, 60]


@given(attempts=st.integers(1, 10_000), draw=st.floats(0, 1))
def test_jitter_is_a_tenth(attempts: int, draw: float) -> None:
    """No pause is more than a tenth off its rung, and none is longer than the longest."""
    pause = LADDER.pause(attempts, 1 - JITTER + 2 * JITTER * draw)
    rung = LADDER.pause(attempts, 1)
    assert rung * 0.899 <= pause <= rung * 1.101
    assert pause <= LADDER.longest


def test_giving_up_takes_age_and_attempts() -> None:
    """After five days the attempt was the last, but never before the ladder was climbed once."""
    assert LADDER.gives_up(120, 5 * DAY)
    assert not LADDER.gives_up(120, 5 * DAY - MINUTE)
    assert not LADDER.gives_up(4, 365 * DAY)
    assert LADDER.gives_up(5, 365 * DAY)


def test_the_warning_comes_after_four_hours() -> None:
    """A delay is worth a word after warn_after, never without one, and not when no time to try is left."""
    assert not LADDER.warns(4 * HOUR - MINUTE)
    assert LADDER.warns(4 * HOUR)
    assert LADDER.warns(5 * DAY - MINUTE)
    assert not LADDER.warns(5 * DAY)
    assert not ladder([MINUTE], DAY).warns(5 * HOUR)
