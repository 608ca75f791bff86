"""The line before the writer."""

import asyncio
import threading
import time
from itertools import count
from types import SimpleNamespace

import pytest

from relay.errors import StoreError
from relay.store.jobs import ThreadJob
from relay.store.line import LOOKS, MORE_TURNS, Line


def job(until: float = 0.0) -> ThreadJob:
    made = ThreadJob(lambda _connection: None)
    made.until = until
    return made


def test_who_has_waited_for_ten_looks_is_out_of_line() -> None:
    """Each is given as many looks, whenever it came; who is out cannot be taken any more."""
    line = Line()
    first, second = job(), job()
    line.put(first)
    assert line.look() == []
    line.put(second)
    assert [line.look() for _ in range(LOOKS - 1)] == [[]] * (LOOKS - 1)
    assert line.look() == [first]
    assert line.look() == [second]
    assert line.take() is None


def test_first_come_first_served() -> None:
    """In order, one by one or all."""
    line = Line()
    jobs = [job() for _ in range(4)]
    for one in jobs:
        line.put(one)
    assert line.take() is jobs[0]
    assert line.take_all() == jobs[1:]
    assert len(line) == 0


def test_waiting_ends_with_somebody_who_cannot_wait() -> None:
    """A job that can wait for company does not end the writer's pause; one that cannot does."""
    line, woken = Line(), threading.Event()

    def wait() -> None:
        assert line.wait(None)
        woken.set()

    patient = job(time.monotonic() + 600)
    thread = threading.Thread(target=wait)
    thread.start()
    line.put(patient)
    assert not woken.wait(0.02)
    line.put(job())
    thread.join(10)
    assert woken.is_set()
    assert len(line) == 2


def test_a_closed_line_is_worked_off() -> None:
    """Nobody joins it; who is in it is served without waiting for company, then it is over."""
    line = Line()
    patient = job(time.monotonic() + 600)
    line.put(patient)
    assert line.close()
    assert not line.close()
    with pytest.raises(StoreError, match="the store is closed"):
        line.put(job())
    assert line.wait(None)
    assert line.take() is patient
    assert not line.wait(None)


def test_a_pause_has_an_end() -> None:
    """Where there is something to tidy up, the writer does not sleep on."""
    assert Line().wait(0.001)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_whose_turn_brought_company_waits_for_more() -> None:
    """After a turn with two, what comes in the next turns shares the line's next batch; it waits for a few empty ones."""

    async def loop_turns() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        for _ in range(2):
            line.put_with_turn(job(), loop)
        await turns(1)
        assert len(line.take_all()) == 2
        line.put_with_turn(job(), loop)
        await turns(2)
        line.put_with_turn(job(), loop)
        await turns(MORE_TURNS - 1)
        assert len(line) == 0
        await turns(2)
        assert len(line.take_all()) == 2

    asyncio.run(loop_turns())


def test_who_comes_alone_waits_for_the_end_of_the_turn() -> None:
    """Where nobody came with the ones before, nobody is waited for."""

    async def loop_turns() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        for _ in range(2 * MORE_TURNS):
            line.put_with_turn(job(), loop)
            assert len(line) == 0
            await turns(1)
            assert len(line.take_all()) == 1

    asyncio.run(loop_turns())


def test_company_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop whose every turn brings somebody hands them over all the same after a fiftieth of a second."""
    looks = count()
    monkeypatch.setattr("relay.store.line.time", SimpleNamespace(monotonic=lambda: next(looks) / 1000))

    async def loop_turns() -> None:
        line, loop = Line(), asyncio.get_running_loop()
        for _ in range(2):
            line.put_with_turn(job(), loop)
        await turns(1)
        line.take_all()
        while not line:
            line.put_with_turn(job(), loop)
            await turns(1)
        assert len(line) > MORE_TURNS

    asyncio.run(loop_turns())


def test_what_can_wait_stands_in_line_at_once() -> None:
    """It waits there for company; no turn has to end first."""

    async def loop_turns() -> None:
        line = Line()
        line.put_with_turn(job(until=time.monotonic() + 600), asyncio.get_running_loop())
        assert len(line) == 1

    asyncio.run(loop_turns())
