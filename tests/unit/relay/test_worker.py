"""One relay process: when it stops by itself."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relay import worker
from relay.worker import _watch_name, work


@pytest.mark.parametrize("end", [None, RuntimeError("a defect")])
def test_a_process_that_cannot_keep_its_name_stops(end: Exception | None) -> None:
    """Another has the name, or nobody looks after it any more: it would send nothing, and is started anew instead."""

    async def lost() -> None:
        if end is not None:
            raise end

    async def work() -> None:
        stopping = asyncio.Event()
        await _watch_name(cast("Any", SimpleNamespace(lost=lost)), stopping)
        assert stopping.is_set()

    asyncio.run(work())


def test_what_outlasts_the_time_for_stopping_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is judged for too long belongs to its client still: the rest is closed in order all the same."""
    closed: list[str] = []

    async def at_once(*_arguments: object) -> None:
        pass

    async def never(_grace: float) -> None:
        await asyncio.Event().wait()

    def closing(name: str) -> Any:
        return SimpleNamespace(close=lambda: closed.append(name), lost=at_once)

    listener = SimpleNamespace(start=at_once, stop=never)
    gateway = SimpleNamespace(
        listeners=(listener,),
        delivery=SimpleNamespace(start=at_once, stop=at_once),
        **{name: closing(name) for name in ("intake", "extractor", "store", "slot")},
    )
    monkeypatch.setattr(worker, "FINISH_WITHIN", worker.DELIVER_FOR)
    monkeypatch.setattr(worker, "Duties", lambda _gateway: SimpleNamespace(end=at_once))
    asyncio.run(work(cast("Any", gateway), cast("Any", None)))
    assert closed == ["intake", "extractor", "store", "slot"]
