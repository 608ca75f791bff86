"""Every page in Chromium: axe finds nothing, 320 px need no sideways scrolling, dark and print look right."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page
from sqlalchemy import update

from relay import clock
from relay.store.tables import Key
from relay.vault.control import recall
from relay.vault.vault import PickupLink
from tests.browser.talk import BROTHER, NOTES, talk
from tests.browser.test_journey import HTML, SHEET, enter, shoot
from tests.chromium import press
from tests.letters import JANE, XLSX, letter
from tests.portal_stage import Served

pytestmark = pytest.mark.browser

LONG = "Donaudampfschifffahrtselektrizit\u00e4tenhauptbetriebswerkbauunterbeamtengesellschaft"


@pytest.fixture
def link(served: Served) -> PickupLink:
    """A link to a letter with everything that can be too wide."""
    people = [JANE, f"a.person.with.a.long.name@{'department.' * 8}example.com"]
    sent = letter(
        to=people,
        cc=["clinic@example.com"],
        subject=f"About {LONG}",
        text=f"Dear Jane,\n{LONG}\nhttps://www.example.org/{'long/' * 40}\n\n> quoted\n>> twice\n",
        html=HTML,
        attachments=[(f"{LONG}.xlsx", XLSX, SHEET), ("no suffix", "application/pdf", b"%PDF")],
    )
    return served.stage.seal(sent)[JANE]


def home(served: Served, page: Page, _link: PickupLink) -> None:
    """The portal without a link."""
    page.goto(served.stage.base_url + "/")


def arrive(served: Served, page: Page, link: PickupLink) -> None:
    """The page of a link."""
    page.goto(served.url(link))


def code(served: Served, page: Page, link: PickupLink) -> None:
    """The page for the code."""
    arrive(served, page, link)
    press(page, "Send me the code")


def arrive_again(served: Served, page: Page, link: PickupLink) -> None:
    """The page of a link while a code lives."""
    code(served, page, link)
    arrive(served, page, link)


def wrong(served: Served, page: Page, link: PickupLink) -> None:
    """After a wrong code."""
    code(served, page, link)
    page.get_by_label("Code", exact=True).fill("1")
    press(page, "Open the message")


def too_soon(served: Served, page: Page, link: PickupLink) -> None:
    """Sent again within the minute."""
    code(served, page, link)
    press(page, "Send the same code again")


def no_code(served: Served, page: Page, link: PickupLink) -> None:
    """The page for the code when none lives."""
    page.goto(served.url(link) + "/code")


def conversation(served: Served, page: Page, link: PickupLink) -> None:
    """The letter."""
    enter(served, page, link, "Jane")


def text(served: Served, page: Page, link: PickupLink) -> None:
    """The letter as plain text, opened for the second time."""
    enter(served, page, link, "Nurse Joy")
    page.goto(page.url + "?view=text")


def left(served: Served, page: Page, link: PickupLink) -> None:
    """After leaving."""
    enter(served, page, link)
    press(page, "Leave")


def ended(served: Served, page: Page, _link: PickupLink) -> None:
    """A visit that is over."""
    page.goto(f"{served.stage.base_url}/c/{'a' * 26}")


def unknown(served: Served, page: Page, _link: PickupLink) -> None:
    """A link that opens nothing."""
    page.goto(f"{served.stage.base_url}/p/{'a' * 26}/{'a' * 52}")


def expired(served: Served, page: Page, _link: PickupLink) -> None:
    """A link whose time is over."""
    stage = served.stage
    present = stage.now
    stage.now = lambda: present() - timedelta(days=40)
    link = stage.seal(letter(to=[JANE]))[JANE]
    stage.now = present
    page.goto(served.url(link))


def replaced(served: Served, page: Page, link: PickupLink) -> None:
    """A link that was replaced, with the button that asks for a new one."""
    keys: Any = Key
    served.stage.store.run(
        lambda conn: conn.execute(update(keys.__table__).where(keys.id == link.link_id).values(revoked_at=clock.now()))
    )
    page.goto(served.url(link))


def asked(served: Served, page: Page, link: PickupLink) -> None:
    """After asking for a new link."""
    replaced(served, page, link)
    press(page, "Ask the sender for a new link")


def asked_twice(served: Served, page: Page, link: PickupLink) -> None:
    """After asking again on the same day."""
    asked(served, page, link)
    asked(served, page, link)


def recalled(served: Served, page: Page, link: PickupLink) -> None:
    """A message that was taken back."""
    served.stage.store.run(lambda conn: recall(conn, [link.participant_id], clock.now()))
    page.goto(served.url(link))


def exchange(served: Served, page: Page, _link: PickupLink) -> None:
    """A whole conversation, with an answer on its way."""
    enter(served, page, talk(served.stage).links[JANE], "Jane")
    page.get_by_label("Your text").fill("Thank you.\n\nWe will both come.")
    page.get_by_label("Attach files").set_input_files([NOTES])
    press(page, "Send the answer")
    page.get_by_text("Thank you. Your answer was sent.").wait_for()


def writing(served: Served, page: Page, _link: PickupLink) -> None:
    """An answer that is being written, with files, and a reader who may be chosen."""
    enter(served, page, talk(served.stage).links[JANE], "Jane")
    page.get_by_label("Your text").fill("Thank you.\n\nWe will both come.")
    page.get_by_label(BROTHER).check()
    renamed: FilePayload = {**NOTES, "name": f"{LONG}.txt"}
    page.get_by_label("Attach files").set_input_files([renamed, NOTES])
    press(page, "Attach")
    page.get_by_text("The files are attached.").wait_for()


def mistake(served: Served, page: Page, link: PickupLink) -> None:
    """An answer with nothing in it."""
    enter(served, page, link, "Jane")
    press(page, "Send the answer")
    page.get_by_text("Your answer was not sent").wait_for()


def kept(served: Served, page: Page, link: PickupLink) -> None:
    """A form that came after its visit."""
    enter(served, page, link, "Jane")
    page.wait_for_load_state()  # with its frame, which needs the cookie
    page.context.clear_cookies()
    page.get_by_label("Your text").fill("Thank you.")
    press(page, "Send the answer")
    page.get_by_role("heading", name="Saved, but not sent yet").wait_for()


def lost(served: Served, page: Page, link: PickupLink) -> None:
    """A form that came after its visit, without its ticket."""
    enter(served, page, link, "Jane")
    page.wait_for_load_state()  # with its frame, which needs the cookie
    page.context.clear_cookies()
    page.evaluate("document.querySelector('[name=ticket]').value = ''")
    page.get_by_label("Your text").fill("Thank you.")
    press(page, "Send the answer")
    page.get_by_role("heading", name="Your text could not be saved").wait_for()


def nothing(served: Served, page: Page, _link: PickupLink) -> None:
    """No such page."""
    page.goto(served.stage.base_url + "/nothing")


def foreign(served: Served, page: Page, link: PickupLink) -> None:
    """A form without its token."""
    arrive(served, page, link)
    page.evaluate("document.querySelector('[name=token]').value = ''")
    press(page, "Send me the code")


PAGES: list[Callable[[Served, Page, PickupLink], None]] = [
    home,
    arrive,
    arrive_again,
    code,
    wrong,
    too_soon,
    no_code,
    conversation,
    text,
    left,
    ended,
    unknown,
    expired,
    replaced,
    asked,
    asked_twice,
    recalled,
    exchange,
    writing,
    mistake,
    kept,
    lost,
    nothing,
    foreign,
]


@pytest.fixture(params=["light", "dark"])
def context(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[BrowserContext]:
    """A narrow phone, by day and by night; with JavaScript, because axe needs it."""
    fresh = chromium.new_context(viewport={"width": 320, "height": 640}, color_scheme=request.param, locale="en-GB")
    yield fresh
    fresh.close()


@pytest.mark.parametrize("show", PAGES)
def test_page(
    served: Served, context: BrowserContext, link: PickupLink, show: Callable[[Served, Page, PickupLink], None]
) -> None:
    """WCAG 2.2 AA as far as axe sees, large enough targets, no sideways scrolling, one heading, no third party."""
    page = context.new_page()
    elsewhere: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url))
    page.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    show(served, page, link)
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    assert found.response["passes"], "axe did not look"
    assert found.violations_count == 0, found.generate_report()
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], "scrolls sideways"
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("script, [style], [onclick]").count() == 0
    assert all(url.startswith(served.stage.base_url) for url in elsewhere)
    assert not problems
    for control in page.locator("button, input:not([type=hidden], [type=checkbox]), .button, .files a, .choice").all():
        if not control.is_visible():
            continue  # behind "Delete this draft"
        box = control.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 40
    shoot(
        page,
        f"{show.__name__}-{(page.evaluate('matchMedia(`(prefers-color-scheme: dark)`).matches') and 'dark') or 'light'}",
    )


def test_dark_is_dark(served: Served, context: BrowserContext, link: PickupLink) -> None:
    """The page follows the reader's setting; a formatted mail stays on light paper, softer by night."""
    page = context.new_page()
    conversation(served, page, link)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (shade == "rgb(16, 24, 31)") is dark
    frame = page.frames[1]
    paper = frame.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    assert paper == ("rgb(223, 227, 230)" if dark else "rgb(255, 255, 255)")


def test_print_has_the_text_and_no_buttons(served: Served, context: BrowserContext, link: PickupLink) -> None:
    """On paper: who, when, what, which files; no controls, and the words of a framed mail."""
    page = context.new_page()
    conversation(served, page, link)
    page.emulate_media(media="print")
    assert not page.get_by_role("button", name="Leave").is_visible()
    assert not page.locator("iframe").is_visible()
    assert page.get_by_text("Dear Jane,").is_visible()


@pytest.mark.parametrize("language", ["nl-NL", "de-DE", "fr-FR"])
def test_languages_fit_the_narrow_page(served: Served, chromium: Browser, link: PickupLink, language: str) -> None:
    """The longer words of other languages need no sideways scrolling either."""
    context = chromium.new_context(viewport={"width": 320, "height": 640}, locale=language)
    page = context.new_page()
    page.goto(served.url(link))
    for shown in range(3):
        if shown:
            press(page, page.get_by_role("button").first.inner_text())
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1]
        assert page.locator("html").get_attribute("lang") == language[:2]
    context.close()
