"""Link, code, read: a minute, without an account and without JavaScript."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.chromium import launched, press
from tests.gateway import Gateway
from tests.letters import ANNA, JANE, NHS_NUMBER, XLSX, letter, spreadsheet
from tests.postoffice import PostOffice
from tests.reader import Reader
from tests.stories.links import link_in

pytestmark = [pytest.mark.story, pytest.mark.browser]

Visitors = Callable[[str], Reader]

SHEET = spreadsheet([["name", "NHS number"], ["Jane Doe", NHS_NUMBER]])


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    with launched() as chromium:
        yield chromium


@pytest.fixture
def sealed(gateway: Gateway, world: PostOffice) -> tuple[str, bytes]:
    """A letter with a spreadsheet that was sealed for Jane: her link, and the letter as it was sent."""
    sent = letter(
        to=[JANE],
        subject="Your referral",
        text=f"Dear Jane,\n\nyour NHS number is {NHS_NUMBER}.\nPlease bring this letter.\n\nAnna\n",
        html=f"<p>Dear Jane,</p><p>your NHS number is <b>{NHS_NUMBER}</b>.</p><p>Anna</p>",
        attachments=[("visits.xlsx", XLSX, SHEET)],
    )
    gateway.send(ANNA, [JANE], sent)
    return link_in(world.wait_for(JANE)[0]), sent


def test_a_scanner_burns_nothing_and_jane_reads(
    browser: Browser, sealed: tuple[str, bytes], world: PostOffice, reader: Visitors
) -> None:
    """Fifty link scanners come first; then Jane opens the message in Chromium with JavaScript off."""
    link, sent = sealed
    scanner = reader(link).client
    for number in range(50):
        answer = scanner.request(["GET", "HEAD", "OPTIONS"][number % 3], link)
        assert "referral" not in answer.text
        assert ANNA not in answer.text
    assert len(world.of(JANE)) == 1, "a scanner caused a mail"

    context = browser.new_context(java_script_enabled=False, accept_downloads=True, locale="en-GB")
    page = context.new_page()
    page.goto(link)
    press(page, "Send me the code")
    code = Reader.code_in(world.wait_for(JANE, 2)[1].text)
    page.get_by_label("Code", exact=True).fill(f"{code[:4]} {code[4:]}")
    press(page, "Open the message")

    assert page.get_by_role("heading", level=1).inner_text() == "Your referral"
    assert "bring this letter" in page.content() or page.frames[1:]
    with page.expect_download() as download:
        page.get_by_role("link", name="visits.xlsx").click()
    assert Path(download.value.path()).read_bytes() == SHEET
    assert download.value.suggested_filename == "visits.xlsx"
    with page.expect_download() as original:
        page.get_by_role("link", name="Save the original message").click()
    assert Path(original.value.path()).read_bytes() == sent
    context.close()


def test_a_code_works_once(sealed: tuple[str, bytes], world: PostOffice, reader: Visitors) -> None:
    """A wrong code is told so, the right one opens, and then it is used up."""
    link, _ = sealed
    jane = reader(link)
    jane.ask_for_code()
    code = Reader.code_in(world.wait_for(JANE, 2)[1].text)
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    assert "That was not the code" in jane.enter(wrong)
    assert NHS_NUMBER in jane.enter(code) or "visits.xlsx" in jane.enter(code)
    another = reader(link)
    another.arrive()
    page = another.client.get(f"{link}/code").text
    assert "No code is valid" in page


def test_ranges_are_exact(sealed: tuple[str, bytes], world: PostOffice, reader: Visitors) -> None:
    """A download that was cut goes on where it stopped."""
    link, sent = sealed
    jane = reader(link)
    jane.ask_for_code()
    jane.enter(Reader.code_in(world.wait_for(JANE, 2)[1].text))
    assert jane.download("Save the original message") == sent
    path = jane.path_of("Save the original message")
    answer = jane.client.get(path, headers={"Range": "bytes=100-299"})
    assert answer.status_code == 206
    assert answer.content == sent[100:300]
    assert answer.headers["Content-Range"] == f"bytes 100-299/{len(sent)}"
    assert jane.client.get(path, headers={"Range": f"bytes={len(sent)}-"}).status_code == 416


def test_wrong_links_end_on_a_helpful_page(gateway: Gateway, sealed: tuple[str, bytes], reader: Visitors) -> None:
    """A wrong id and a wrong secret get the same page, with somebody to ask; nothing is a traceback."""
    link, _ = sealed
    head, secret = link.rsplit("/", 1)
    wrong_secret = f"{head}/{'a' * len(secret)}"
    wrong_id = f"http://127.0.0.1:{gateway.portal}/p/{'a' * 26}/{secret}"
    pages = [reader(wrong).client.get(wrong) for wrong in (wrong_secret, wrong_id)]
    assert pages[0].status_code == pages[1].status_code == 404
    assert pages[0].text == pages[1].text
    assert "+44 20 7946 0000" in pages[0].text
