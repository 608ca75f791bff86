"""The browser that tests drive: Debian's Chromium, without any traffic of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

PROGRAM = Path("/usr/bin/chromium")
# Root may not use Chromium's own sandbox; the rest keeps it from calling home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def launched() -> Iterator[Browser]:
    """A running browser; a machine without Chromium fails, with the name of the package."""
    assert PROGRAM.exists(), "Chromium is missing: install the Debian package chromium."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def press(page: Page, name: str) -> None:
    """Press the button of this name, and wait for the page that answers, with its frames.

    A click alone returns when the answer begins: what looks at the page next would meet an empty one, on a slow day.
    """
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()
