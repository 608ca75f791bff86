"""What one process holds of messages in memory: how many octets at most, for what, and who waits for whom.

    reception   messages that are coming in, and small ones until they are answered
    judging     large messages, read back from disk to be judged
    delivery    small messages that were just accepted and are on their way out

What finds no room is put off, never squeezed in: reception goes to disk, judging waits for its turn, delivery waits in
the queue's table. A message above `LARGE` is in memory only while it is judged.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Self

from relay.errors import StoreFullError

LARGE = 256 << 10  # octets of a message above which it goes to disk as it arrives
RECEPTION = 64 << 20
JUDGING = 64 << 20
DELIVERY = 64 << 20
PATIENCE = 300.0  # seconds that a message may wait to be judged: its client waits for 600 (RFC 5321 section 4.5.3.2.6)


class Room:
    """So many octets; with ``of``, they are a part of another room's. Not for several threads."""

    def __init__(self, size: int, of: Self | None = None) -> None:
        self.size = size
        self._left = size
        self._whole = of

    @property
    def left(self) -> int:
        """How many octets still fit."""
        return self._left if self._whole is None else min(self._left, self._whole.left)

    def take(self, octets: int) -> bool:
        """Take room; False, and nothing is taken, when there is not enough."""
        if octets > self._left or (self._whole is not None and not self._whole.take(octets)):
            return False
        self._left -= octets
        return True

    def give_back(self, octets: int) -> None:
        """Give back what was taken."""
        self._left += octets
        if self._whole is not None:
            self._whole.give_back(octets)


class WaitingRoom:
    """Room that is waited for, first come first served: a large message is never overtaken for ever by small ones.

    What needs more than all of it gets all of it, alone. ``held`` and ``most`` are the octets in use, and the most that
    ever were; ``patience`` is how many seconds one may wait.
    """

    def __init__(self, size: int = JUDGING, patience: float = PATIENCE) -> None:
        self.size = size
        self.held = self.most = 0
        self.patience = patience
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def take(self, octets: int) -> int:
        """Wait for room and return what to give back; StoreFullError when the wait is too long for the client."""
        octets = min(octets, self.size)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, octets))
        self._admit()
        try:
            async with asyncio.timeout(self.patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give_back(octets)  # its turn came as it left
            else:
                with suppress(ValueError):  # it was passed over already
                    self._waiting.remove((turn, octets))
                self._admit()
            if isinstance(error, TimeoutError):
                raise StoreFullError("too many large messages wait to be judged: try again later") from error
            raise
        return octets

    def give_back(self, octets: int) -> None:
        """Give room back, and let in who waits for it."""
        self.held -= octets
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.held + self._waiting[0][1] <= self.size:
            turn, octets = self._waiting.popleft()
            if not turn.cancelled():
                self.held += octets
                self.most = max(self.most, self.held)
                turn.set_result(None)
