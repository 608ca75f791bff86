"""Submitted transactions: who waits for each, how many looks it has been in line, what became of it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection

from relay.errors import StoreError

T = TypeVar("T")
Work = Callable[[Connection], T]


class Job(ABC):
    """A transaction, and its outcome once there is one. Until the moment ``until`` it can wait for company."""

    loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, work: Work[Any], until: float = 0.0) -> None:
        self.work = work
        self.until = until
        self.joined = 0  # the look at which it came into line
        self.value: Any = None
        self.error: BaseException | None = StoreError("the transaction was not run")

    def succeed(self, value: Any) -> None:
        """Note what the transaction returned: it is durable if the batch's COMMIT returns."""
        self.value, self.error = value, None

    def fail(self, error: BaseException) -> None:
        """Note why the transaction has not happened."""
        self.error = error

    @abstractmethod
    def resolve(self) -> None:
        """Tell the submitter."""


class ThreadJob(Job):
    """Its submitter waits in a thread."""

    def __init__(self, work: Work[Any]) -> None:
        super().__init__(work)
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # from here on nobody can cancel it

    def resolve(self) -> None:
        """Tell the submitter; any thread may do so."""
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


class TaskJob(Job):
    """Its submitter is a task of an event loop, and may have left in the meantime."""

    def __init__(self, work: Work[Any], loop: asyncio.AbstractEventLoop, until: float) -> None:
        super().__init__(work, until)
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def resolve(self) -> None:
        """Tell the submitter; in the thread of its loop."""
        if self.future.cancelled():
            return
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


def tell(jobs: Iterable[Job]) -> None:
    """Resolve the submitters' futures; one wake-up for each event loop, however many of its tasks wait."""
    loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.loop is None:
            job.resolve()
        else:
            loops.setdefault(job.loop, []).append(job)
    for loop, waiting in loops.items():
        # A loop that is closed has nobody left to be told; the transactions stand.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell_in_loop, waiting)


def _tell_in_loop(jobs: list[Job]) -> None:
    for job in jobs:
        job.resolve()
