"""One lane per route: what waits to be sent there, and the few tasks that send it. A full lane holds up no other."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from relay.queue.items import Consignment

Carry = Callable[[Consignment], Awaitable[None]]


class Lane:
    """Consignments of one route, first in, first out.

    What was claimed from the table is bounded by ``capacity`` (entries); what the intake hands over is
    bounded by its byte budget and does not count here, so that a flood of new mail never keeps older mail
    from being claimed. At most ``couriers`` tasks run ``carry``, which must not raise; they come with the
    work and go with it. ``on_room`` is called each time that less than half of ``capacity`` is waiting.
    """

    def __init__(self, couriers: int, capacity: int, carry: Carry, on_room: Callable[[], None]) -> None:
        self._couriers = couriers
        self._capacity = capacity
        self._carry = carry
        self._on_room = on_room
        self._waiting: deque[tuple[Consignment, int]] = deque()
        self._claimed = 0  # entries
        self._running: set[asyncio.Task[None]] = set()
        self._open = True

    @property
    def room(self) -> int:
        """How many more entries may be claimed for this lane."""
        return max(0, self._capacity - self._claimed) if self._open else 0

    def resize(self, couriers: int) -> None:
        """Bound the tasks anew: fewer come as they go, more with the next consignments."""
        self._couriers = couriers

    def put(self, consignment: Consignment, *, claimed: bool) -> None:
        """Add a consignment, claimed from the table or handed over; it is sent when its turn comes."""
        entries = len(consignment.entries) if claimed else 0
        self._waiting.append((consignment, entries))
        self._claimed += entries
        if self._open and len(self._running) < self._couriers:
            task = asyncio.get_running_loop().create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def stop(self, seconds: float) -> tuple[Consignment, ...]:
        """Begin nothing more, give what is under way ``seconds`` to finish; return what was not begun."""
        self._open = False
        left = tuple(consignment for consignment, _ in self._waiting)
        self._waiting.clear()
        self._claimed = 0
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return left

    async def _work(self) -> None:
        while self._waiting:
            consignment, entries = self._waiting.popleft()
            self._claimed -= entries
            if self._claimed < self._capacity // 2:
                self._on_room()
            await self._carry(consignment)
