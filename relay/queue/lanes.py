"""What waits to be sent to one place, and the few tasks that send it. A full lane holds up no other."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from relay.queue.items import Consignment

Carry = Callable[[Consignment], Awaitable[None]]


class Crew:
    """The couriers of one route: at most ``most`` at once, at most ``each`` of them for one lane.

    ``spare`` of them are kept for lanes that have none yet, so that a few places which are slow, however much mail
    waits for them, cannot take all. Where even these are busy, a lane that has sent something steps back for one that
    waits (`starving`).
    """

    def __init__(self, most: int, each: int, spare: int = 0) -> None:
        self._most, self._each, self._spare = most, each, spare
        self._busy = 0
        self._starving: dict[Lane, None] = {}  # in the order in which they came

    @property
    def starving(self) -> bool:
        """Tell whether a lane with mail has nobody to send it."""
        return bool(self._starving)

    def resize(self, most: int, each: int, spare: int = 0) -> None:
        """Bound the couriers anew: fewer come as they go, more with the next consignments."""
        self._most, self._each, self._spare = most, each, spare

    def engage(self, lane: "Lane") -> bool:
        """Give a lane one more courier, or none; a lane without any gets its first as soon as one is free."""
        if lane.couriers >= self._each:
            return False
        if self._busy >= (self._most - self._spare if lane.couriers else self._most):
            if not lane.couriers:
                self._starving[lane] = None
            return False
        self._starving.pop(lane, None)
        self._busy += 1
        return True

    def dismiss(self) -> None:
        """Take one courier back; lanes that have none come first."""
        self._busy -= 1
        for lane in tuple(self._starving):
            lane.staff()

    def forget(self, lane: "Lane") -> None:
        """Strike a lane off that wants nothing any more."""
        self._starving.pop(lane, None)


class Lane:
    """Consignments for one place, first in, first out.

    What was claimed from the table is bounded by ``capacity`` (entries); what the intake hands over is
    bounded by its byte budget and does not count here, so that a flood of new mail never keeps older mail
    from being claimed. Couriers from ``crew`` run ``carry``, which must not raise; they come with the
    work and go with it. ``on_room`` is called each time that less than half of ``capacity`` is waiting, ``on_end``
    when the last courier has gone and nothing waits.
    """

    def __init__(
        self,
        crew: Crew,
        capacity: int,
        carry: Carry,
        *,
        on_room: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self._crew = crew
        self._capacity = capacity
        self._carry = carry
        self._on_room = on_room
        self._on_end = on_end
        self._waiting: deque[tuple[Consignment, int]] = deque()
        self.claimed = 0  # entries that wait here and were claimed from the table
        self.passed_over = False  # more may be due than was claimed
        self._running: set[asyncio.Task[None]] = set()
        self._open = True

    @property
    def room(self) -> int:
        """How many more entries may be claimed for this lane."""
        return max(0, self._capacity - self.claimed) if self._open else 0

    @property
    def couriers(self) -> int:
        """How many tasks send for this lane at the moment."""
        return len(self._running)

    def put(self, consignment: Consignment, *, claimed: bool) -> None:
        """Add a consignment, claimed from the table or handed over; it is sent when its turn comes."""
        entries = len(consignment.entries) if claimed else 0
        self._waiting.append((consignment, entries))
        self.claimed += entries
        self.staff()

    def staff(self) -> None:
        """Put one more courier to work if there is work and one to be had."""
        if self._open and self._waiting and self._crew.engage(self):
            task = asyncio.get_running_loop().create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._left)

    async def stop(self, seconds: float) -> tuple[Consignment, ...]:
        """Begin nothing more, give what is under way ``seconds`` to finish; return what was not begun."""
        self._open = False
        self._crew.forget(self)
        left = tuple(consignment for consignment, _ in self._waiting)
        self._waiting.clear()
        self.claimed = 0
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return left

    async def _work(self) -> None:
        while self._waiting:
            consignment, entries = self._waiting.popleft()
            self.claimed -= entries
            if self.claimed < self._capacity // 2:
                self._on_room()
            await self._carry(consignment)
            if self._crew.starving:
                return
            self.staff()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._crew.dismiss()
        self.staff()
        if not self._running and not self._waiting:
            self._crew.forget(self)
            self._on_end()
