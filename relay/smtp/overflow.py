"""Where the octets of a large message go as they arrive: to disk, piece by piece, while its client waits.

The front door knows nothing of files and ciphers. It is given a `Disk`, hands octets over in threads, and reads no
more from the socket than fits beside what the disk has still to write.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


class OnDisk(Protocol):
    """A message on disk that is not ours yet. Everything but ``drop`` blocks; StoreError, StoreFullError."""

    @property
    def size(self) -> int:
        """Octets of the message so far."""

    def write(self, octets: bytes | bytearray) -> None:
        """Take the next octets."""

    def finish(self) -> None:
        """Take note that the message is complete."""

    def beginning(self, octets: int) -> bytes:
        """Return the first octets of a complete message, as many as there are."""

    def drop(self) -> None:
        """Let go of it, at any moment; calling it twice does no harm."""


@dataclass(frozen=True, slots=True)
class Disk:
    """``begin`` makes room for one message, and does not block; ``threads`` do the work that does."""

    begin: Callable[[], OnDisk]
    threads: Executor

    def discard(self, incoming: OnDisk) -> None:
        """Drop a message behind what its threads do now."""
        with suppress(RuntimeError):  # they have ended, as this process does: with it goes what nobody kept
            self.threads.submit(incoming.drop)

    async def do(self, work: Callable[..., T], *arguments: object) -> T:
        """Await work in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)
