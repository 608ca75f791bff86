"""How many octets of handed-over messages one worker holds in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.memory import Room
from relay.queue.items import Consignment


@dataclass(slots=True)
class _Occupied:
    octets: int
    jobs: int


class Budget:
    """Octets that may be held (`relay.memory`); what does not fit waits in the table instead."""

    def __init__(self, octets: int) -> None:
        self._whole = Room(octets)
        self._rooms: dict[bytes, _Occupied] = {}  # first entry of a consignment -> what it occupies with others

    def take(self, octets: int) -> bool:
        """Take room; False when there is not enough."""
        return self._whole.take(octets)

    def give_back(self, octets: int) -> None:
        """Give room back that was taken and never occupied."""
        self._whole.give_back(octets)

    def occupy(self, octets: int, consignments: Sequence[Consignment]) -> None:
        """Tie room that was taken to what was handed over together; without any it comes back at once."""
        if not consignments:
            self.give_back(octets)
        room = _Occupied(octets, len(consignments))
        self._rooms.update((one.entries[0].id, room) for one in consignments)

    def sent(self, consignment: Consignment) -> None:
        """Give the room back with the last consignment of those that were handed over together."""
        room = self._rooms.pop(consignment.entries[0].id, None)
        if room is not None:
            room.jobs -= 1
            if room.jobs == 0:
                self._whole.give_back(room.octets)
