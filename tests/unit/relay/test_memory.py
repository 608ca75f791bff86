"""Room for messages: what is taken comes back, what waits is let in in order."""

import asyncio

import pytest

from relay.errors import StoreFullError
from relay.memory import Room, WaitingRoom


def test_a_part_is_bounded_by_itself_and_by_the_whole() -> None:
    """What a part takes the whole has not; what does not fit takes nothing of either."""
    whole = Room(100)
    part = Room(40, whole)
    assert [part.take(30), part.take(20), whole.take(60), part.take(10)] == [True, False, True, True]
    assert (part.left, whole.left) == (0, 0)
    part.give_back(40)
    assert (part.left, whole.left) == (40, 40)
    assert whole.take(35)
    assert (part.left, part.take(6)) == (5, False)


def test_who_comes_first_is_let_in_first() -> None:
    """A large one is not overtaken by small ones that would fit, and never more is held than there is."""

    async def body() -> list[str]:
        room = WaitingRoom(10)
        order: list[str] = []

        async def one(name: str, octets: int) -> None:
            taken = await room.take(octets)
            order.append(name)
            await asyncio.sleep(0)
            room.give_back(taken)

        await asyncio.gather(one("first", 6), one("large", 9), one("small", 1), one("all", 500), one("last", 1))
        assert (room.held, room.waiting, room.most) == (0, 0, 10)
        return order

    assert asyncio.run(body()) == ["first", "large", "small", "all", "last"]


def test_waiting_has_an_end() -> None:
    """Who waits too long is told to come again, and stands in nobody's way any more."""

    async def body() -> None:
        room = WaitingRoom(10, patience=0)
        taken = await room.take(10)
        with pytest.raises(StoreFullError, match="try again later"):
            await room.take(1)
        room.give_back(taken)
        assert (room.held, room.waiting) == (0, 0)
        assert await room.take(1) == 1

    asyncio.run(body())


def test_who_leaves_takes_nothing_along() -> None:
    """A task that is cancelled while it waits, or just as its turn comes, holds nothing; the next one is let in."""

    async def body() -> None:
        room = WaitingRoom(10)
        await room.take(10)
        leaving, late, next_ = (asyncio.create_task(room.take(octets)) for octets in (8, 5, 4))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert (room.held, room.waiting) == (10, 2)
        room.give_back(10)
        late.cancel()  # its turn has come, and it does not know yet
        await asyncio.wait([late, next_])
        assert (late.cancelled(), next_.result(), room.held, room.waiting) == (True, 4, 4, 0)

    asyncio.run(body())
