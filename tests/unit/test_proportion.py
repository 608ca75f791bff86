"""Whether `tests.proportion` tells what grows with the square of its input from what does not."""

from tests.proportion import at_most, grows_linearly

SIZE = 2_000


def test_a_sum_is_linear() -> None:
    """One step for each item."""
    assert grows_linearly(lambda size: sum(range(size)), SIZE)


def test_pairs_are_not() -> None:
    """A step for each pair of items."""
    assert not grows_linearly(lambda size: sum(sum(range(size)) for _ in range(size)), SIZE // 10)


def test_ten_times_the_work_is_more_than_twice_as_much() -> None:
    """Two pieces of work are compared."""
    assert at_most(100, lambda: sum(range(10 * SIZE)), lambda: sum(range(SIZE)))
    assert not at_most(2, lambda: sum(range(10 * SIZE)), lambda: sum(range(SIZE)))
