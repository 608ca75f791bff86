"""What the duties say of themselves."""

import asyncio
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from relay import housekeeping
from relay.errors import StoreError
from relay.housekeeping import AFTER_FAILURE, Housekeeping
from relay.vault.retention import Swept


@pytest.mark.parametrize(
    ("swept", "logged"),
    [
        (Swept(), []),
        (Swept(expired=2, rows=7), [{"event": "swept", "log_level": "info", "expired": 2, "rows": 7}]),
        (
            Swept(doubt="the clock jumped"),
            [{"event": "nothing was swept", "log_level": "warning", "reason": "the clock jumped"}],
        ),
    ],
)
def test_a_sweep_is_logged_in_fields_and_only_when_it_did_something(
    monkeypatch: pytest.MonkeyPatch, swept: Swept, logged: list[dict[str, object]]
) -> None:
    """An empty sweep says nothing; the others give their numbers as facts, without zeros."""
    nothing = cast("Any", None)
    monkeypatch.setattr(housekeeping, "sweep", lambda *_: swept)
    monkeypatch.setattr(Housekeeping, "_holding", lambda *_: True)
    with capture_logs() as lines:
        Housekeeping(nothing, nothing, nothing, nothing, b"")._sweep()  # the duty itself
    assert lines == logged


def test_a_duty_that_fails_is_tried_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away does not fill the log; as soon as it is back, the duty has its own pace again."""
    nothing = cast("Any", None)
    house = Housekeeping(nothing, nothing, nothing, nothing, b"")
    results = [StoreError("away"), None, RuntimeError("a defect"), None]
    pauses: list[float] = []

    async def work() -> None:
        if result := results.pop(0):
            raise result

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if not results:
            raise asyncio.CancelledError

    monkeypatch.setattr("relay.housekeeping.asyncio.sleep", sleep)
    with capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        asyncio.run(house._every(0.1, "fold", work))
    assert pauses == [AFTER_FAILURE, 0.1, AFTER_FAILURE, 0.1]
    assert [line["event"] for line in lines] == ["duty not done", "duty failed"]
