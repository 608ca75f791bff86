"""A portal with a clock that stands still, and a reader without JavaScript who uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portal_stage import Clock, Stage
from tests.unit.portal.guest import Guest


@pytest.fixture
def clock() -> Clock:
    """A clock that only the test moves."""
    return Clock()


@pytest.fixture
def stage(tmp_path: Path, clock: Clock) -> Iterator[Stage]:
    """A portal over a fresh store and vault."""
    opened = Stage(tmp_path, now=clock.now)
    yield opened
    opened.close()


@pytest.fixture
def guest(stage: Stage) -> Guest:
    """Somebody's browser."""
    return Guest(stage)
