"""The clock that pauses are counted by."""

from datetime import UTC, datetime, timedelta

import pytest

from relay.queue.steady import SteadyClock

START = datetime(2026, 11, 22, tzinfo=UTC)


class Hands:
    """A wall clock and a monotonic clock that tests move apart."""

    def __init__(self) -> None:
        self.wall, self.seconds = START, 0.0

    def pass_(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(days=-365), timedelta(hours=1)])
def test_a_jump_is_not_followed_and_is_told(jump: timedelta) -> None:
    """When the wall clock jumps, time goes on evenly, and the size of the jump can be asked for."""
    hands = Hands()
    clock = SteadyClock(lambda: hands.wall, lambda: hands.seconds)
    hands.pass_(60)
    hands.wall += jump
    hands.pass_(60)
    assert clock() == START + timedelta(minutes=2)
    assert clock.jump == jump


def test_a_clock_that_is_put_right_is_followed() -> None:
    """Small corrections are taken over, one after the other, however far they lead in the end."""
    hands = Hands()
    clock = SteadyClock(lambda: hands.wall, lambda: hands.seconds)
    for _ in range(100):
        hands.pass_(600)
        hands.wall += timedelta(seconds=90)
        assert clock() == hands.wall
    assert clock.jump == timedelta(0)
