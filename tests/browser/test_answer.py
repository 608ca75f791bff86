"""Writing an answer in a real Chromium, with JavaScript on and off: files, drafts, mistakes, the end of a visit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, expect

from relay.queue.requests import RequestKind
from relay.vault.unfinished import read_draft
from relay.vault.vault import SealedDraft
from tests.browser.talk import BROTHER, NOTES, SUBJECT, talk
from tests.browser.test_journey import enter, shoot
from tests.chromium import press
from tests.letters import JANE, photograph
from tests.portal_stage import Served

pytestmark = pytest.mark.browser

TEXT = "Dear Anna,\n\n  thank you.\nWe will both come.\n\nJane"
PHOTO = photograph(2_500_000)


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    """A window of a browser profile."""
    context: BrowserContext = chromium.new_context(
        java_script_enabled=request.param, locale="en-GB", viewport={"width": 900, "height": 760}
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def conversation(served: Served, page: Page) -> SealedDraft:
    """Jane has read a conversation."""
    first = talk(served.stage)
    enter(served, page, first.links[JANE], "Jane Roe")
    return first


def sent_text(served: Served, conversation: SealedDraft) -> tuple[str, list[bytes], list[bytes]]:
    """What the relay was handed: text, files, other readers."""
    stage = served.stage
    [(answer_id, request)] = stage.requests(RequestKind.REPLY).items()
    with stage.store.read() as conn:
        found = read_draft(
            conn,
            stage.blobs,
            request.pieces,
            conversation_id=conversation.conversation_id,
            author_id=request.participant_id,
            answer_id=answer_id,
        )
    return found.text, sorted(b"".join(file.read()) for file in found.files), list(request.also_to)


def test_jane_answers_with_files(served: Served, page: Page, conversation: SealedDraft) -> None:
    """Text, two files, one more reader: the limits stand there before, the answer on the page at once, one request."""
    expect(page.get_by_role("heading", level=1)).to_have_text(SUBJECT)
    expect(page.get_by_text("At most 20 files; text and files together at most 25 MB.")).to_be_visible()
    page.get_by_label("Your text").fill(TEXT)
    page.get_by_label(BROTHER).check()
    photo: FilePayload = {"name": "Stra\u00dfenplan.png", "mimeType": "image/png", "buffer": PHOTO}
    page.get_by_label("Attach files").set_input_files([photo, NOTES])
    press(page, "Attach")
    expect(page.get_by_text("The files are attached.")).to_be_in_viewport()
    expect(page.get_by_label("Your text")).to_have_value(TEXT)
    expect(page.get_by_label(BROTHER)).to_be_checked()
    shoot(page, "answer")
    press(page, "Send the answer")
    expect(page.get_by_text("Thank you. Your answer was sent.")).to_be_visible()
    own = page.get_by_role("article").last
    expect(own.get_by_role("heading", name="Your answer")).to_be_visible()
    expect(own.get_by_text("It is being sent.")).to_be_visible()
    expect(page.get_by_label("Your text")).to_have_value("")
    shoot(page, "answered")
    page.reload()
    text, files, others = sent_text(served, conversation)
    assert text == TEXT
    assert files == sorted([PHOTO, NOTES["buffer"]])
    assert others == [conversation.links[BROTHER].participant_id]


def test_a_file_that_is_too_large_meets_a_page(page: Page, conversation: SealedDraft, tmp_path: Path) -> None:
    """Not a broken connection: the page names file and limit, and has the text."""
    assert conversation
    page.get_by_label("Your text").fill(TEXT)
    film = tmp_path / "film.mp4"
    film.write_bytes(bytes(40 << 20))
    page.get_by_label("Attach files").set_input_files(film)
    press(page, "Send the answer")
    problem = page.get_by_role("link", name="film.mp4")
    expect(problem).to_contain_text("Text and files together may have at most 25 MB.")
    expect(page.get_by_label("Your text")).to_have_value(TEXT)
    problem.click()
    expect(page.get_by_label("Attach files")).to_be_in_viewport()


def test_nothing_is_lost_when_the_visit_ends(served: Served, page: Page, conversation: SealedDraft) -> None:
    """The form is sent after the end; with a new code text and file are in the form, and go."""
    page.get_by_label("Your text").fill(TEXT)
    page.get_by_label("Attach files").set_input_files([NOTES])
    page.wait_for_load_state()
    page.context.clear_cookies()
    press(page, "Send the answer")
    expect(page.get_by_role("heading", level=1)).to_have_text("Saved, but not sent yet")
    shoot(page, "kept")
    page.goto(served.url(conversation.links[JANE]))
    press(page, "Send me the code")
    page.get_by_label("Code", exact=True).fill(served.stage.codes[-1].code)
    press(page, "Open the message")
    page.get_by_role("link", name="Finish your answer").click()
    expect(page.get_by_label("Your text")).to_have_value(TEXT)
    press(page, "Send the answer")
    expect(page.get_by_text("Thank you. Your answer was sent.")).to_be_visible()
    text, files, _ = sent_text(served, conversation)
    assert (text, files) == (TEXT, [NOTES["buffer"]])


def test_a_draft_is_saved_and_deleted(served: Served, page: Page, conversation: SealedDraft) -> None:
    """Saved, found again, a file removed, then all of it deleted after a second press."""
    page.get_by_label("Your text").fill(TEXT)
    page.get_by_label("Attach files").set_input_files([NOTES])
    press(page, "Save as a draft")
    expect(page.get_by_text("Your draft is saved.")).to_be_in_viewport()
    press(page, f"Remove {NOTES['name']}")
    expect(page.get_by_text("The file was removed.")).to_be_in_viewport()
    expect(page.get_by_label("Your text")).to_have_value(TEXT)
    expect(page.get_by_role("button", name="Delete text and files")).not_to_be_visible()
    page.get_by_text("Delete this draft").click()
    press(page, "Delete text and files")
    expect(page.get_by_text("Your draft was deleted.")).to_be_visible()
    expect(page.get_by_label("Your text")).to_have_value("")
    assert not served.stage.requests(RequestKind.REPLY)
    assert conversation


def test_the_keyboard_alone_writes_an_answer(served: Served, page: Page, conversation: SealedDraft) -> None:
    """From the jump link over the text to the button; Enter in the text is a line of its own, not a press."""
    page.get_by_role("link", name="Write an answer").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Your text")).to_be_focused()
    page.keyboard.type("One")
    page.keyboard.press("Enter")
    page.keyboard.type("Two")
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.locator("button[value=send]:focus").count():
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you. Your answer was sent.")).to_be_visible()
    assert sent_text(served, conversation)[0] == "One\nTwo"
