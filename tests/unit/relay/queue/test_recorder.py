"""How long outcomes wait for a commit to share."""

import asyncio
from typing import Any, cast

import pytest

from relay.queue.recorder import ENOUGH, GATHER_MOST, GATHER_SECONDS, Recorder
from relay.queue.settling import Settled
from relay.store.tables.queue import EntryState
from relay.store.writer import Store


class Slow:
    """A store whose commits take so long; it keeps what patience it was asked for."""

    def __init__(self, seconds: float) -> None:
        self.commit_seconds = seconds
        self.patience: list[float] = []
        self.asked = asyncio.Event()

    async def commit(self, _work: object, *, patience: float = 0.0) -> None:
        self.patience.append(patience)
        self.asked.set()


class Outcome:
    """As much of one as the recorder looks at; nothing is left to be logged."""

    report = None
    state = EntryState.DONE


@pytest.mark.parametrize(
    ("seconds", "outcomes", "patience"),
    [
        (0.0, 1, GATHER_SECONDS),
        (0.0005, 1, GATHER_SECONDS),
        (0.004, 1, pytest.approx(0.04)),
        (3.0, 1, GATHER_MOST),
        (3.0, ENOUGH, 0.0),
    ],
)
def test_outcomes_wait_longer_where_commits_take_long(seconds: float, outcomes: int, patience: float) -> None:
    """Ten commits long, within bounds; many wait for nobody."""

    async def record() -> list[float]:
        store = Slow(seconds)
        recorder = Recorder(cast("Store", store), *cast("Any", (None, None, None)), recorded=lambda _group: None)
        recorder.add([cast("Settled", Outcome()) for _ in range(outcomes)])
        running = asyncio.create_task(recorder.run())
        await store.asked.wait()
        recorder.close()
        await running
        return store.patience

    assert asyncio.run(record()) == [patience]
