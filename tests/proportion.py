"""Work that grows with its input and not with the square of it, shown without a limit in seconds.

Processor time of one process is compared with processor time of the same process, so that a slow machine is slow for
both. What other programs do spoils single rounds; a round that is not spoiled decides. Work that grows with the square
has no round that looks linear: eight times the input costs it sixty-four times as much.
"""

import time
from collections.abc import Callable

TIMES = 8  # as much input
MOST = 24  # times the work: between 8, which is linear, and 64
ROUNDS = 12
_LEAST = 0.001  # seconds: what takes less is repeated until it can be told from nothing


def grows_linearly(work: Callable[[int], object], size: int) -> bool:
    """Tell whether ``work`` of eight times ``size`` costs at most about eight times as much as that of ``size``."""
    return at_most(MOST, lambda: work(TIMES * size), lambda: work(size))


def at_most(times: float, work: Callable[[], object], other: Callable[[], object]) -> bool:
    """Tell whether ``work`` costs less than ``times`` as much processor time as ``other``."""
    least = least_other = float("inf")
    for _ in range(ROUNDS):
        least_other = min(least_other, _cost(other))
        least = min(least, _cost(work))
        if least < times * least_other:
            return True
    return False


def _cost(work: Callable[[], object]) -> float:
    begun, calls = time.process_time(), 0
    while True:
        work()
        calls += 1
        passed = time.process_time() - begun
        if passed >= _LEAST:
            return passed / calls
