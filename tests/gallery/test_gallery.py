"""The gallery in docs/: a picture of every page and of every mail, none of them older than its words.

`make screenshots` takes them anew.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from relay.notices.rendering import FOLDER
from relay.queue.settling import Report
from relay.store.tables import Sealed
from relay.store.tables.queue import Kind
from relay.vault.vault import PickupLink
from tests.browser.talk import talk
from tests.browser.test_journey import HTML, SHEET, enter
from tests.browser.test_pages import PAGES
from tests.chromium import launched, press
from tests.gallery.album import KEPT, digest, digest_in, rewriting, take
from tests.gallery.framed import framed
from tests.gallery.mails import SECTIONS, Specimen
from tests.gateway import free_port
from tests.letters import JANE, XLSX, letter
from tests.portal_stage import Clock, Served, Stage
from tests.unit.portal.test_code_mail import queue_code_mail

pytestmark = pytest.mark.browser

Show = Callable[[Served, Page, PickupLink], None]
GALLERY = KEPT.parent / "gallery.md"
TEMPLATES = Path(__file__).parents[2] / "portal" / "templates"
MINUTE = timedelta(minutes=1)
SUBJECT = "Your appointment at the memory clinic"
MAILS = [specimen for group in SECTIONS.values() for specimen in group]
_INTRODUCTION = """\
# Every page and every mail

Taken in Chromium by `tests/gallery/test_gallery.py`, which asks that none is missing and that each shows the words of
today; `make screenshots` takes them anew, with this page. People and values are made up.
"""


class SlowClock(Clock):
    """A clock that goes on by a millisecond for each look: the order of things shows, their minutes stay the same."""

    def now(self) -> datetime:
        """Return the moment."""
        self.pass_time(milliseconds=1)
        return self.at


def too_many(served: Served, page: Page, link: PickupLink) -> None:
    """A link that has asked for too many codes."""
    clock = served.stage.now.__self__  # type: ignore[attr-defined]
    for _ in range(12):
        page.goto(served.url(link))
        press(page, "Send me the code")
        if page.get_by_role("heading", name="Too many codes were asked for").count():
            return
        clock.pass_time(minutes=11)
    raise AssertionError("there is always another code")


def mailed(served: Served, page: Page, link: PickupLink, **columns: object) -> None:
    """Show the page for the code when its mail has come so far."""
    page.goto(served.url(link))
    press(page, "Send me the code")
    stage = served.stage
    queue_code_mail(stage, link.participant_id, stage.now(), **columns)
    page.goto(served.url(link) + "/code")


def code_accepted(served: Served, page: Page, link: PickupLink) -> None:
    """The page for the code when the reader's mail server has accepted the mail."""
    mailed(served, page, link, state="done", attempts=1, finished_at=served.stage.now() + 2 * MINUTE)


def code_put_off(served: Served, page: Page, link: PickupLink) -> None:
    """The page for the code when that server asks to wait."""
    mailed(served, page, link, attempts=1, due_at=served.stage.now() + 5 * MINUTE)


def code_refused(served: Served, page: Page, link: PickupLink) -> None:
    """The page for the code when that server refused the mail."""
    mailed(served, page, link, state="bounced", attempts=1)


def answered(served: Served, page: Page, **columns: object) -> None:
    """Show a conversation whose answer by Jane has come so far."""
    stage = served.stage
    first = talk(stage)
    author = first.links[JANE].participant_id
    sealed: Any = Sealed
    with stage.store.read() as conn:
        [answer_id] = conn.execute(select(sealed.id).where(sealed.author_id == author)).scalars()
    jane = first.links[JANE]
    queue_code_mail(stage, jane.participant_id, stage.now(), kind="reply", message_id=answer_id, **columns)
    enter(served, page, jane, "Jane")


def answer_handed_over(served: Served, page: Page, _link: PickupLink) -> None:
    """A conversation: the reader's answer was handed over to the organisation's mail server."""
    answered(served, page, state="done", attempts=1, finished_at=served.stage.now())


def answer_put_off(served: Served, page: Page, _link: PickupLink) -> None:
    """A conversation: the organisation's mail server asks to wait with the answer."""
    answered(served, page, attempts=1, due_at=served.stage.now() + 5 * MINUTE)


def answer_redirected(served: Served, page: Page, _link: PickupLink) -> None:
    """A conversation: the answer reached not the person but the organisation's mailbox."""
    answered(served, page, state="bounced", attempts=1, finished_at=served.stage.now())


SHOWN: list[Show] = [
    *PAGES,
    too_many,
    code_accepted,
    code_put_off,
    code_refused,
    answer_handed_over,
    answer_put_off,
    answer_redirected,
]
MADE_OF = {
    "home.html": "home",
    "arrive.html": "arrive",
    "code.html": "code",
    "too_many.html": "too_many",
    "conversation.html": "conversation",
    "left.html": "left",
    "ended.html": "ended",
    "link_unknown.html": "unknown",
    "link_over.html": "replaced",
    "link_asked.html": "asked",
    "link_recalled.html": "recalled",
    "error.html": "nothing",
    "foreign.html": "foreign",
}


def gallery() -> str:
    """Return the page that shows all pictures, as it must be."""

    def shown(name: str, sentence: str) -> str:
        return f"\n{sentence}\n\n![{sentence}](screenshots/{name}.png)\n"

    pages = [shown(f"page-{show.__name__}", str(show.__doc__)) for show in SHOWN]
    mails = [
        f"\n## {title}\n" + "".join(shown(f"mail-{one.name}", one.sentence) for one in group)
        for title, group in SECTIONS.items()
    ]
    return _INTRODUCTION + "\n## The portal\n" + "".join(pages) + "".join(mails)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, one for the module."""
    with launched() as browser:
        yield browser


def opened(chromium: Browser) -> BrowserContext:
    """Return a window on a desk, by day."""
    return chromium.new_context(
        viewport={"width": 760, "height": 400}, color_scheme="light", locale="en-GB", device_scale_factor=1
    )


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a browser profile of its own."""
    context = opened(chromium)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def program(chromium: Browser) -> Iterator[Page]:
    """A page that plays the mail program, one for all mails."""
    context = opened(chromium)
    yield context.new_page()
    context.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A portal on a Monday morning that goes by very slowly."""
    port = free_port()
    portal = Served(Stage(tmp_path, f"http://127.0.0.1:{port}", now=SlowClock().now), port)
    yield portal
    portal.close()


@pytest.fixture
def link(served: Served) -> PickupLink:
    """Jane's link to an ordinary letter with a file."""
    sent = letter(
        to=[JANE],
        subject=SUBJECT,
        text="Dear Jane,\n\nyour appointment is on Thursday 3 December at 10:15, in room 4.\n\nAnna Baker\n",
        html=HTML,
        attachments=[("visits.xlsx", XLSX, SHEET)],
    )
    return served.stage.seal(sent)[JANE]


def keep_or_compare(page: Page, name: str, tmp_path: Path) -> None:
    """Take the picture; it becomes the one in docs/, or must have the same words as that."""
    taken, kept = tmp_path / f"{name}.png", KEPT / f"{name}.png"
    take(page, kept if rewriting() else taken)
    assert kept.exists(), f"docs/screenshots/{name}.png is missing: make screenshots"
    assert digest_in(kept) == digest(page), f"docs/screenshots/{name}.png shows other words: make screenshots"


@pytest.mark.parametrize("specimen", MAILS, ids=[one.name for one in MAILS])
def test_mail(program: Page, specimen: Specimen, tmp_path: Path) -> None:
    """A mail, as a mail program shows it."""
    program.set_content(framed(specimen.content))
    keep_or_compare(program, f"mail-{specimen.name}", tmp_path)


@pytest.mark.parametrize("show", SHOWN)
def test_page(served: Served, page: Page, link: PickupLink, show: Show, tmp_path: Path) -> None:
    """A page of the portal."""
    show(served, page, link)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    keep_or_compare(page, f"page-{show.__name__}", tmp_path)


def test_the_gallery_shows_them_all() -> None:
    """docs/gallery.md has each picture with its sentence, and no picture lies there unused."""
    if rewriting():
        GALLERY.write_text(gallery())
    assert GALLERY.read_text() == gallery(), "make screenshots"
    shown = set(re.findall(r"screenshots/([\w-]+\.png)", gallery() + (KEPT.parents[1] / "README.md").read_text()))
    assert {path.name for path in KEPT.iterdir()} == shown
    assert sum(path.stat().st_size for path in KEPT.iterdir()) < 4 << 20


def test_no_mail_is_missing() -> None:
    """Every folder of templates has a mail here, so has every kind that has no template, and every kind of report."""
    shown = {one.notice for one in MAILS}
    notices = {folder.name for folder in FOLDER.iterdir() if folder.is_dir()}
    assert shown == notices | {Kind.REPLY, Kind.ALERT, Kind.DSN}
    assert len([one for one in MAILS if one.notice == Kind.DSN]) >= len(Report)


def test_no_page_is_missing() -> None:
    """Every template of a whole page is named, with a page shown that is made of it."""
    whole = {path.name for path in TEMPLATES.glob("*.html") if "extends 'base.html'" in path.read_text()}
    assert whole == set(MADE_OF)
    assert set(MADE_OF.values()) <= {show.__name__ for show in SHOWN}
