"""The lanes of one worker: one for each route with named next hops; on a route by MX, one for each domain.

So a place that is slow or silent delays nobody else: neither does its mail stand in front of another's, nor does it
take all couriers of its route, nor all the room in memory for what was claimed.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from relay.queue.items import Consignment, QueuedEntry
from relay.queue.lanes import Carry, Crew, Lane
from relay.queue.routes import Route, domain_of

RECIPIENTS = 100  # in one transaction: every server takes as many (RFC 5321 section 4.5.3.1.8)
LANE_ENTRIES = 200  # waiting in memory for one route with named next hops; more stay in the table
MX_ENTRIES = 1000  # waiting in memory for one route by MX, all destinations together
DESTINATION_ENTRIES = 50  # from this many on, no more are claimed for one destination
PORTION = 50  # claimed at once on a route by MX, whatever the destinations
MX_COURIERS = 200  # of one route by MX, if not more are configured for one host; half of them are spare

Key = tuple[str, str]  # route, and domain on a route by MX


@dataclass(frozen=True, slots=True)
class Room:
    """How many entries may be claimed for a route; none for the domains in ``full``.

    ``portion``: what is claimed may be for one destination only, so that after a full portion the next may follow.
    """

    route: str
    entries: int
    full: tuple[str, ...] = ()
    portion: bool = False


class Destinations:
    """All lanes. ``couriers`` is how many transactions run at once to one place; ``carry`` sends one consignment.

    ``poll`` is called when there is room again for what was left in the table.
    """

    def __init__(self, couriers: int, carry: Carry, poll: Callable[[], None]) -> None:
        self._couriers = couriers
        self._carry = carry
        self._poll = poll
        self._by_mx: frozenset[str] = frozenset()
        self._crews: dict[str, Crew] = {}
        self._lanes: dict[Key, Lane] = {}
        self._crowded: set[str] = set()  # routes by MX whose lanes together hold all that they may
        self._more_due = False

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of all routes that have been opened."""
        return tuple(self._crews)

    def open(self, routes: Mapping[str, Route], more: Iterable[str] = ()) -> None:
        """Serve these routes from now on, and the names in ``more``, of which nothing is known."""
        self._by_mx = frozenset(name for name, route in routes.items() if route.mx)
        for name in (*routes, *more):
            if name in self._crews:
                self._crews[name].resize(*self._bounds(name))
            else:
                self._crews[name] = Crew(*self._bounds(name))
            if name not in self._by_mx:
                self._lane((name, ""))

    def resize(self, couriers: int) -> None:
        """Bound the transactions at once to one place anew."""
        self._couriers = couriers
        for name, crew in self._crews.items():
            crew.resize(*self._bounds(name))

    def parts(self, consignment: Consignment) -> list[Consignment]:
        """Cut a consignment into transactions: of at most 100 recipients, on a route by MX each for one domain."""
        if consignment.route not in self._by_mx:
            return list(consignment.split(RECIPIENTS))
        by_domain: dict[str, list[QueuedEntry]] = {}
        for entry in consignment.entries:
            by_domain.setdefault(domain_of(entry.envelope.recipient), []).append(entry)
        apart = (replace(consignment, entries=tuple(entries)) for entries in by_domain.values())
        return [part for one in apart for part in one.split(RECIPIENTS)]

    def put(self, part: Consignment, *, claimed: bool) -> None:
        """Put one of the `parts` into its lane; it was claimed from the table, or handed over."""
        by_mx = part.route in self._by_mx
        domain = domain_of(part.entries[0].envelope.recipient) if by_mx else ""
        self._lane((part.route, domain)).put(part, claimed=claimed)

    def rooms(self) -> list[Room]:
        """Return what may be claimed now; lanes that are full will ask for more when they have room."""
        rooms = []
        for name in self._crews:
            room = self._room_by_mx(name) if name in self._by_mx else self._room(name)
            if room is not None:
                rooms.append(room)
        return rooms

    def claimed(self, rooms: Iterable[Room], taken: Counter[str]) -> bool:
        """Learn what was claimed; tell whether to claim again at once."""
        full = [room for room in rooms if taken[room.route] >= room.entries]
        for room in full:
            if not room.portion:
                self._lane((room.route, "")).passed_over = True
        return any(room.portion for room in full)

    def expect_more(self) -> None:
        """Note that something will be due which nobody handed over."""
        self._more_due = True

    async def stop(self, seconds: float) -> list[Consignment]:
        """Begin nothing more, let what is under way finish within ``seconds``; return what was not begun."""
        left = await asyncio.gather(*(lane.stop(seconds) for lane in tuple(self._lanes.values())))
        return [consignment for lane in left for consignment in lane]

    def _room(self, name: str) -> Room | None:
        lane = self._lane((name, ""))
        lane.passed_over = not lane.room
        return Room(name, lane.room) if lane.room else None

    def _room_by_mx(self, name: str) -> Room | None:
        if self._waiting(name) > MX_ENTRIES - PORTION:
            self._crowded.add(name)
            return None
        self._crowded.discard(name)
        full = []
        for (route, domain), lane in self._lanes.items():
            if route == name:
                lane.passed_over = not lane.room
                full += [domain] if lane.passed_over else []
        return Room(name, PORTION, tuple(full), portion=True)

    def _waiting(self, name: str) -> int:
        return sum(lane.claimed for (route, _), lane in self._lanes.items() if route == name)

    def _bounds(self, name: str) -> tuple[int, int, int]:
        """Return the bounds of a route's crew: at most in all, for one lane, and of all how many are spare."""
        if name not in self._by_mx:
            return self._couriers, self._couriers, 0
        most = max(MX_COURIERS, 2 * self._couriers)
        return most, self._couriers, most // 2

    def _lane(self, key: Key) -> Lane:
        if key not in self._lanes:
            capacity = DESTINATION_ENTRIES if key[1] else LANE_ENTRIES
            self._lanes[key] = Lane(
                self._crews[key[0]],
                capacity,
                self._carry,
                on_room=lambda: self._on_room(key),
                on_end=lambda: self._end(key),
            )
        return self._lanes[key]

    def _end(self, key: Key) -> None:
        if key[1]:  # there are as many domains as there are in the world
            del self._lanes[key]

    def _on_room(self, key: Key) -> None:
        route, lane = key[0], self._lanes[key]
        if route in self._crowded and self._waiting(route) > MX_ENTRIES // 2:
            return  # to claim a few at a time would cost a commit for each
        if lane.passed_over or self._more_due or route in self._crowded:
            lane.passed_over = self._more_due = False
            self._crowded.discard(route)
            self._poll()
