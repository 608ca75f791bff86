"""From the link to the letter in a real Chromium, JavaScript off; the pictures for the README are taken on the way."""

import base64
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from relay.vault.vault import PickupLink
from tests.chromium import press
from tests.letters import JANE, XLSX, letter, photograph, spreadsheet
from tests.portal_stage import Served

pytestmark = pytest.mark.browser

SUBJECT = "Your appointment at the memory clinic"
SHEET = spreadsheet([["Visit", "Room"], ["Thursday", "4"]])
PHOTO = photograph(2_500_000)


def logo(width: int = 160, height: int = 48) -> bytes:
    """A small PNG of one colour, as a sender's signature has."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + b"\x0b\x5f\x6c" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


HTML = f"""<p>Dear Jane,</p>
<p>your appointment is on <b>Thursday 3 December at 10:15</b>. Your NHS number is 999 864 1969.</p>
<table border="1" cellpadding="6"><tr><th>When</th><th>Where</th></tr><tr><td>10:15</td><td>Room 4, first floor</td></tr></table>
<p>Please read <a href="https://www.example.org/visits">how to prepare</a>.</p>
<p><img src="data:image/png;base64,{base64.b64encode(logo()).decode()}" alt="Example Council"></p>
<img src="https://tracker.example/open.gif" alt="Follow us">
<p>Kind regards<br>Anna Baker</p>"""


@pytest.fixture
def link(served: Served) -> PickupLink:
    """Jane's link to a letter with formatting and two files."""
    sent = letter(
        to=[JANE],
        subject=SUBJECT,
        text="Dear Jane,\n\nyour appointment is on Thursday 3 December at 10:15.\n\nAnna Baker\n",
        html=HTML,
        attachments=[("visits.xlsx", XLSX, SHEET), ("Stra\u00dfenplan.png", "image/png", PHOTO)],
    )
    return served.stage.seal(sent)[JANE]


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile with JavaScript off."""
    fresh = chromium.new_context(
        java_script_enabled=False, accept_downloads=True, locale="en-GB", viewport={"width": 900, "height": 760}
    )
    yield fresh
    fresh.close()


def shoot(page: Page, name: str) -> None:
    """Save a picture where the environment names a folder for them."""
    if folder := os.environ.get("LETTERLOCK_SCREENSHOTS"):
        page.wait_for_timeout(200)  # a frame is painted after its document has loaded
        page.screenshot(path=Path(folder) / f"portal-{name}.png", full_page=True)


def enter(served: Served, page: Page, link: PickupLink, name: str = "") -> None:
    """Go from the link to the conversation."""
    page.goto(served.url(link))
    press(page, "Send me the code")
    code = served.stage.codes[-1].code
    page.get_by_label("Code", exact=True).fill(f"{code[:4]} {code[4:]}")
    page.get_by_label("Your name (optional)").fill(name)
    press(page, "Open the message")


def test_jane_reads_and_keeps_her_letter(served: Served, context: BrowserContext, link: PickupLink) -> None:
    """Link, code, letter, files identical to the octet, leave: all without JavaScript."""
    page = context.new_page()
    page.goto(served.url(link))
    shoot(page, "link")
    assert SUBJECT not in page.content()
    press(page, "Send me the code")
    shoot(page, "code")
    page.get_by_label("Code", exact=True).fill("1234")
    press(page, "Open the message")
    expect(page).to_have_title("Error: Enter the code \u00b7 Example Council")
    page.get_by_role("link", name="The code has eight digits").click()
    code = served.stage.codes[0].code
    page.get_by_label("Code", exact=True).fill(f"{code[:4]}-{code[4:]}")
    press(page, "Open the message")

    expect(page.get_by_role("heading", level=1)).to_have_text(SUBJECT)
    assert link.path not in page.url
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Thursday 3 December at 10:15")).to_be_visible()
    expect(frame.get_by_text("[www.example.org]")).to_be_visible()
    expect(frame.get_by_text("Image not shown: Follow us")).to_be_visible()
    picture = frame.get_by_alt_text("Example Council")
    expect(picture).to_be_visible()
    assert (picture.bounding_box() or {"width": 0})["width"] == 160, "the inline image was not painted"
    shoot(page, "conversation")

    for label, content, name in (
        ("visits.xlsx", SHEET, "visits.xlsx"),
        ("Stra\u00dfenplan.png", PHOTO, "Stra\u00dfenplan.png"),
    ):
        with page.expect_download() as download:
            page.get_by_role("link", name=label).click()
        assert Path(download.value.path()).read_bytes() == content
        assert download.value.suggested_filename == name
    with page.expect_download() as original:
        page.get_by_role("link", name="Save the original message").click()
    assert original.value.suggested_filename == f"{SUBJECT}.eml"
    assert SHEET not in Path(original.value.path()).read_bytes()[:100]

    page.get_by_role("link", name="Plain text").click()
    expect(page.get_by_text("your appointment is on Thursday 3 December")).to_be_visible()
    conversation = page.url
    press(page, "Leave")
    expect(page.get_by_role("heading", level=1)).to_have_text("You have left")
    page.goto(conversation)
    expect(page.get_by_role("heading", level=1)).to_have_text("This browser has no open visit")


def test_the_formatted_mail_opens_in_a_tab_of_its_own(
    served: Served, context: BrowserContext, link: PickupLink
) -> None:
    """The sandboxed document is also a page by itself, larger and fit to print."""
    page = context.new_page()
    enter(served, page, link)
    with context.expect_page() as opened:
        page.get_by_role("link", name="Larger, in a new tab").click()
    expect(opened.value.get_by_text("Thursday 3 December at 10:15")).to_be_visible()


def test_a_headless_scanner_costs_nothing(
    served: Served, chromium: Browser, context: BrowserContext, link: PickupLink
) -> None:
    """A scanner with JavaScript fetches the link fifty times and presses every button; Jane still gets in at once."""
    scanner = chromium.new_context()
    page = scanner.new_page()
    for number in range(50):
        page.goto(served.url(link))
        if number % 10 == 0:
            press(page, page.get_by_role("button").first.inner_text())
    scanner.close()
    assert len(served.stage.codes) == 1
    jane = context.new_page()
    jane.goto(served.url(link))
    press(jane, "Enter the code")
    jane.get_by_label("Code", exact=True).fill(served.stage.codes[0].code)
    press(jane, "Open the message")
    expect(jane.get_by_role("heading", level=1)).to_have_text(SUBJECT)


def test_opening_the_link_again_goes_on(served: Served, context: BrowserContext, link: PickupLink) -> None:
    """A phone that threw the page away: the mail's link leads back into the running visit."""
    page = context.new_page()
    enter(served, page, link, "Jane")
    page.goto("about:blank")
    page.goto(served.url(link))
    page.get_by_role("link", name="Continue reading").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(SUBJECT)


def test_the_code_can_be_entered_in_another_browser(
    served: Served, chromium: Browser, context: BrowserContext, link: PickupLink
) -> None:
    """The code belongs to the link: asked for on the phone, entered on the desktop."""
    phone = context.new_page()
    phone.goto(served.url(link))
    press(phone, "Send me the code")
    desktop = chromium.new_context(java_script_enabled=False)
    page = desktop.new_page()
    page.goto(served.url(link) + "/code")
    page.get_by_label("Code", exact=True).fill(served.stage.codes[0].code)
    press(page, "Open the message")
    expect(page.get_by_role("heading", level=1)).to_have_text(SUBJECT)
    desktop.close()


def test_the_keyboard_alone_is_enough(served: Served, context: BrowserContext, link: PickupLink) -> None:
    """Tab, type, Enter: from link to letter without a mouse, the focus visible at each step."""
    page = context.new_page()
    page.goto(served.url(link))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Send me the code")
    expect(button).to_be_focused()
    shoot(page, "focus")
    page.keyboard.press("Enter")
    page.wait_for_url("**/code")
    field = page.get_by_label("Code", exact=True)
    for _ in range(6):
        page.keyboard.press("Tab")
        if field.evaluate_handle("e => e === document.activeElement").json_value():
            break
    page.keyboard.type(served.stage.codes[0].code)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(SUBJECT)
