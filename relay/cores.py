"""Which cores of the machine a process runs on: a relay process keeps to one of them, its helpers roam.

Python's threads take turns. Where they are spread over several cores, each turn finds its caches cold, and a message
costs half as much again (docs/decisions/0038-a-relay-process-keeps-to-one-core.md).
"""

import os
from contextlib import suppress

_GIVEN = frozenset(os.sched_getaffinity(0))  # as whoever started Letterlock decided


def keep_to_one(number: int) -> None:
    """Keep this thread, and those that it will start, to one of the cores: ``number`` in turn.

    To be called while there is one thread. Nothing happens where the system does not allow it.
    """
    cores = sorted(_GIVEN)
    with suppress(OSError):
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def let_roam(pid: int) -> None:
    """Let a process that was started by a relay process run on every core that Letterlock was given."""
    with suppress(OSError):
        os.sched_setaffinity(pid, _GIVEN)
