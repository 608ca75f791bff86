"""The line of transactions before the writer: first come, first served, and nobody waits in it for ever.

The writer may come no further: at the gate, because another process was stopped while it was inside; in a COMMIT,
because the disk does not answer. What waits behind it can still be withdrawn, because it has not begun: its submitter
hears so, and it never happens. Whoever takes a job out of the line owns it, so none is both withdrawn and run.

How long a job has waited is counted in looks, not read from a clock: a process that was stopped itself has not looked
meanwhile, and serves those who waited when it goes on.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from relay.errors import StoreError
from relay.store.jobs import Job

LOOK_SECONDS = 1.0
MORE_TURNS = 10  # of an event loop, which bring no transaction, before those of the turns before go into line
GATHER_SECONDS = 0.02  # after which they do, whatever comes
LOOKS = 10  # together as long as SQLite waits for a program that ignores our gate


class Line:
    """Any thread puts jobs in, one takes them out in order; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._jobs: deque[Job] = deque()
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Job]] = WeakKeyDictionary()
        self._turns_worth = 0  # how many turns that bring nobody are waited for
        self._looks = 0
        self._asleep = False
        self._closed = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Let a job stand in line; StoreError when the line is closed."""
        with self._lock:
            self._refuse_if_closed()
            self._join([job])

    def put_with_turn(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        """Let a job stand in line together with all that come in this turn of ``loop``; call it in the loop's thread.

        They share a COMMIT then, and it begins when the loop has done what there was to do: a writer that is woken by
        the first takes the interpreter from whoever prepares the second, and gets it back a dozen times. Where the last
        ones had company, more turns belong to it, until some bring nobody. A loop with nothing to do turns within
        microseconds, so that a client alone hardly waits. What can wait for company anyway stands in line at once.
        """
        with self._lock:
            self._refuse_if_closed()
            if job.until:
                self._join([job])
                return
            if loop not in self._turns:
                self._turns[loop] = []
                loop.call_soon(self._end_turn, loop, time.monotonic(), 0, 0)
            self._turns[loop].append(job)

    def close(self) -> bool:
        """Take nobody more; return False when it was closed before."""
        with self._lock:
            before, self._closed = self._closed, True
            for loop in tuple(self._turns):
                self._join(self._turns.pop(loop))
            self._changed.notify()
        return not before

    def wait(self, idle: float | None) -> bool:
        """Wait until a job can wait for company no longer, at most ``idle`` seconds (None: for ever) with nobody here.

        Returns False when the line is closed and empty. What is still here then need not wait for company.
        """
        with self._lock:
            while not self._closed:
                rest = min(job.until for job in self._jobs) - time.monotonic() if self._jobs else idle
                if rest is not None and rest <= 0:
                    break
                self._asleep = True
                woken = self._changed.wait(rest)
                self._asleep = False
                if not woken:
                    break
            return bool(self._jobs) or not self._closed

    def take(self) -> Job | None:
        """Return the first in line, None when nobody waits."""
        with self._lock:
            return self._jobs.popleft() if self._jobs else None

    def take_all(self) -> list[Job]:
        """Return everybody."""
        with self._lock:
            jobs = list(self._jobs)
            self._jobs.clear()
        return jobs

    def look(self) -> list[Job]:
        """Return those who have waited for so many looks, this one included, and are in line no more."""
        with self._lock:
            self._looks += 1
            late: list[Job] = []
            while self._jobs and self._looks - self._jobs[0].joined > LOOKS:
                late.append(self._jobs.popleft())
        return late

    def _end_turn(self, loop: asyncio.AbstractEventLoop, begun: float, known: int, empty: int) -> None:
        with self._lock:
            jobs = self._turns.get(loop, [])  # none where the line was closed meanwhile
            empty = 0 if len(jobs) > known else empty + 1
            if empty < self._turns_worth and time.monotonic() < begun + GATHER_SECONDS:
                loop.call_soon(self._end_turn, loop, begun, len(jobs), empty)
                return
            self._turns.pop(loop, None)
            self._turns_worth = MORE_TURNS if len(jobs) > 1 else max(0, self._turns_worth - 1)
            self._join(jobs)

    def _join(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            job.joined = self._looks
            self._jobs.append(job)
        if self._asleep:
            self._changed.notify()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreError("the store is closed: this process is stopping")
