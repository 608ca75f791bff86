"""What strangers bring is counted by network, steadily and in little memory."""

from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.strangers import Allowance, Pace, Strangers


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_so_many_at_once_and_then_steadily() -> None:
    """Ten at once, then one a minute; a network that was quiet may bring ten again, and no more."""
    clock = Clock()
    strangers = Strangers(messages=Allowance(10, 600), now=clock)
    assert [strangers.may_bring("192.0.2.7") for _ in range(11)] == [True] * 10 + [False]
    assert not strangers.may_bring("192.0.2.200")
    assert strangers.may_bring("192.0.3.7")
    clock.seconds = 59.9
    assert not strangers.may_bring("192.0.2.7")
    clock.seconds = 60
    assert strangers.may_bring("192.0.2.7")
    assert not strangers.may_bring("192.0.2.7")
    clock.seconds = 10_000
    assert [strangers.may_bring("192.0.2.7") for _ in range(11)] == [True] * 10 + [False]


def test_conversations_without_a_message() -> None:
    """Who came too often for nothing waits; to be refused costs nothing more."""
    clock = Clock()
    strangers = Strangers(fruitless=Allowance(2, 10), now=clock)
    for number in range(5):
        strangers.went_without(f"2001:db8:0:{number}::1")
    assert not strangers.may_enter("2001:db8:0:ffff::1")
    assert strangers.may_enter("2001:db8:1::1")
    clock.seconds = 5
    assert strangers.may_enter("2001:db8::1")


def test_a_million_networks_take_no_memory() -> None:
    """Whom it heard of longest ago it forgets; whoever goes on is not forgotten."""
    pace = Pace(Allowance(5, 600), Clock())
    for number in range(25_000):
        pace.use(str(number))
        if number % 5000 == 0:
            pace.use("regular")
    assert len(pace._buckets) == 10_000
    assert pace.left("regular") == 0
    assert pace.left("24999") == 4


def test_processes_share_an_allowance() -> None:
    """Each of three allows a third, rounded up: never nothing."""
    assert Allowance(10, 600).for_one_of(3) == Allowance(4, 600)
    assert Allowance(1, 600).for_one_of(8) == Allowance(1, 600)


@given(st.lists(st.floats(0, 50), min_size=1, max_size=60), st.integers(1, 8))
def test_no_window_sees_more_than_twice_the_allowance(pauses: list[float], count: int) -> None:
    """Within any time as long as the allowance's own, at most what was saved up and what came in meanwhile passes."""
    clock = Clock()
    pace = Pace(Allowance(count, 100), clock)
    passed = []
    for pause in pauses:
        clock.seconds += pause
        if pace.use("x"):
            passed.append(clock.seconds)
    for start in passed:
        assert sum(start <= at < start + 100 for at in passed) <= 2 * count
