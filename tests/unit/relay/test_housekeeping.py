"""What the duties say of themselves."""

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from relay import housekeeping
from relay.housekeeping import Housekeeping
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
