"""A real Chromium, and a real portal on a free port."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from relay import clock
from tests.chromium import launched
from tests.gateway import free_port
from tests.portal_stage import Served, Stage


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, one for a module; each test has a context of its own.

    Not one for the session: while Playwright runs, no other test of the process can run an event loop.
    """
    with launched() as browser:
        yield browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A portal with a real web server and the real time."""
    port = free_port()
    portal = Served(Stage(tmp_path, f"http://127.0.0.1:{port}", now=clock.now), port)
    yield portal
    portal.close()
