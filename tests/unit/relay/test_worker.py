"""One relay process: when it stops by itself."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relay.worker import _watch_name


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
