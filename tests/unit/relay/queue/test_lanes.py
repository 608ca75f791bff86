"""Lanes and their couriers: who may send when many destinations share what one process can do at once."""

import asyncio
from typing import cast

from relay.queue.items import Consignment
from relay.queue.lanes import Crew, Lane
from tests.unit.relay.queue.yard import until


class _Parcel:
    """Stands for a consignment of one entry: a lane looks at nothing else of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries = (name,)


class _Road:
    """Sends for lanes: what is named ``slow`` waits until `open`; everything else is there at once."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        self.under_way: list[str] = []
        self.open = asyncio.Event()
        self.ended: list[Lane] = []

    async def carry(self, consignment: Consignment) -> None:
        name = cast(_Parcel, consignment).name
        self.under_way.append(name)
        if name.startswith("slow"):
            await self.open.wait()
        self.under_way.remove(name)
        self.arrived.append(name)

    def lane(self, crew: Crew, *parcels: str, capacity: int = 100) -> Lane:
        lane = Lane(crew, capacity, self.carry, on_room=lambda: None, on_end=lambda: self.ended.append(lane))
        for name in parcels:
            lane.put(cast(Consignment, _Parcel(name)), claimed=True)
        return lane


def test_a_lane_has_no_more_couriers_than_its_share() -> None:
    """One destination never has more transactions at once than are allowed for one."""

    async def work() -> None:
        road, crew = _Road(), Crew(10, 2)
        road.lane(crew, *(f"slow {number}" for number in range(5)))
        await until(lambda: len(road.under_way) == 2)
        road.open.set()
        await until(lambda: len(road.arrived) == 5)
        await until(lambda: len(road.ended) == 1)

    asyncio.run(work())


def test_spare_couriers_are_for_lanes_that_have_none() -> None:
    """Slow destinations fill all but the spare ones; each further destination still gets its first courier at once."""

    async def work() -> None:
        road, crew = _Road(), Crew(8, 4, spare=4)
        for number in range(2):
            road.lane(crew, *(f"slow {number}.{each}" for each in range(9)))
        await until(lambda: len(road.under_way) >= 4)
        assert len(road.under_way) <= 5
        for number in range(3):
            road.lane(crew, f"quick {number}")
        await until(lambda: sorted(road.arrived) == ["quick 0", "quick 1", "quick 2"])
        road.open.set()
        await until(lambda: len(road.arrived) == 21)

    asyncio.run(work())


def test_a_lane_steps_back_for_one_that_starves() -> None:
    """With all couriers at work, whoever has sent something lets a destination that has nobody go first."""

    async def work() -> None:
        road, crew = _Road(), Crew(1, 1)
        lane = road.lane(crew, "slow 1", "slow 2")
        await until(lambda: road.under_way == ["slow 1"])
        other = road.lane(crew, "quick")
        assert crew.starving
        road.open.set()
        await until(lambda: len(road.arrived) == 3)
        assert road.arrived == ["slow 1", "quick", "slow 2"]
        await until(lambda: set(road.ended) == {lane, other})
        assert not crew.starving

    asyncio.run(work())


def test_fewer_couriers_count_from_the_next_consignment_on() -> None:
    """A smaller bound ends nothing that is under way; a larger one is used at once by what comes."""

    async def work() -> None:
        road, crew = _Road(), Crew(1, 1)
        lane = road.lane(crew, "slow 1", "slow 2")
        crew.resize(3, 3)
        lane.put(cast(Consignment, _Parcel("slow 3")), claimed=False)
        await until(lambda: len(road.under_way) == 2)
        assert lane.claimed == 0
        road.open.set()
        await until(lambda: len(road.arrived) == 3)

    asyncio.run(work())


def test_a_stopped_lane_gives_back_what_it_has_not_begun() -> None:
    """What waits comes back; what is under way has its time and is then broken off; a starving lane is forgotten."""

    async def work() -> None:
        road, crew = _Road(), Crew(1, 1)
        lane, starving = road.lane(crew, "slow 1", "slow 2"), road.lane(crew, "quick")
        await until(lambda: road.under_way == ["slow 1"])
        left = [*await starving.stop(0), *await lane.stop(0)]
        assert [cast(_Parcel, one).name for one in left] == ["quick", "slow 2"]
        assert road.arrived == []
        assert lane.room == 0

    asyncio.run(work())
