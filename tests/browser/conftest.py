"""A real Chromium, and a real portal on a free port."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from relay import clock
from tests.gateway import free_port
from tests.portal_stage import Served, Stage

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, one for all tests; each test has a context of its own."""
    if not CHROMIUM.exists():
        pytest.fail("Chromium is missing: install the Debian package chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A portal with a real web server and the real time."""
    port = free_port()
    portal = Served(Stage(tmp_path, f"http://127.0.0.1:{port}", now=clock.now), port)
    yield portal
    portal.close()
