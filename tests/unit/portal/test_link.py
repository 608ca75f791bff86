"""The page behind a link: shows nothing, changes nothing, and tells plainly why a link no longer opens."""

from typing import Any, cast

import pytest
from sqlalchemy import Table, select, update

from relay.store.tables import Code, Key, Participant, PortalRequest, Throttle, Visit
from tests.letters import ANNA, JANE, letter
from tests.portal_stage import CONTACT, Clock, Stage
from tests.unit.portal.guest import Guest

SUBJECT = "Your biopsy"


def snapshot(stage: Stage) -> list[object]:
    """Everything that a visit to a page could change."""
    with stage.store.read() as conn:
        models = (Code, Visit, Throttle, PortalRequest, Participant, Key)
        tables: list[Table] = [cast("Any", model).__table__ for model in models]
        return [list(conn.execute(select(table))) for table in tables]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("suffix", ["", "/code", "/send"])
def test_looking_changes_nothing_and_shows_nothing(stage: Stage, guest: Guest, method: str, suffix: str) -> None:
    """Fifty looks of a scanner leave the store as it was and learn neither subject nor people."""
    link = stage.seal(letter(to=[JANE], subject=SUBJECT))[JANE]
    before = snapshot(stage)
    for _ in range(50):
        answer = guest.client.request(method, link.path + suffix)
        assert answer.status_code in (200, 405)
        for word in (SUBJECT, ANNA, JANE, "Thursday"):
            assert word not in answer.text
    assert snapshot(stage) == before
    assert not stage.codes


def test_a_scanner_that_presses_the_button_costs_nothing(stage: Stage, guest: Guest) -> None:
    """Fifty presses have one code mailed; the reader who comes next meets the field for it."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    scanner = Guest(stage, "203.0.113.9")
    for _ in range(50):
        scanner.ask(link)
    assert len(stage.codes) == 1
    guest.get(link.path)
    assert "A code was sent to your mailbox at 09:00 GMT. It is valid until 09:10 GMT." in guest.text
    guest.get(f"{link.path}/code")
    assert guest.enter(link, stage.codes[0].code).url.path.startswith("/c/")


def test_wrong_id_and_wrong_secret_meet_one_page(stage: Stage, guest: Guest) -> None:
    """Nobody learns whether an id exists: same status, same bytes, whatever the method."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    _, _, link_id, secret = link.path.split("/")
    paths = [f"/p/{link_id}/{'a' * 52}", f"/p/{'a' * 26}/{secret}", f"/p/{link_id}/short", "/p/x/y"]
    pages = {guest.get(path).text for path in paths} | {guest.get(f"{path}/code").text for path in paths}
    assert len(pages) == 1
    assert guest.page.status_code == 404
    assert CONTACT in guest.text
    assert "copy all of it" in guest.text


def test_the_case_of_a_link_does_not_matter(stage: Stage, guest: Guest) -> None:
    """A mail program that writes the link in capitals does not break it."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    assert guest.get("/p/" + link.path.removeprefix("/p/").upper()).status_code == 200


def test_an_expired_link_says_so(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Who holds the right secret is told when the message could be read, and whom to ask."""
    link = stage.seal(letter(to=[JANE]), days=2)[JANE]
    clock.pass_time(days=2, seconds=1)
    assert guest.get(link.path).status_code == 410
    assert "It could be used until 25 November 2026, 09:00 GMT" in guest.text
    assert CONTACT in guest.text
    assert guest.post(link.path).status_code in (403, 410)
    assert not stage.codes


def test_a_withdrawn_link_says_so(stage: Stage, clock: Clock, guest: Guest) -> None:
    """A revoked link is told apart from an expired one."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    keys = Key.__table__  # type: ignore[attr-defined]
    stage.store.run(
        lambda conn: conn.execute(update(keys).where(keys.c.id == link.link_id).values(revoked_at=clock.now()))
    )
    assert guest.get(link.path).status_code == 410
    assert "This link was replaced" in guest.text


def test_a_form_from_elsewhere_does_nothing(stage: Stage, guest: Guest) -> None:
    """No token, a foreign token, a foreign site, a foreign origin: refused, and no code is sent."""
    one = stage.seal(letter(to=[JANE]))[JANE]
    other = stage.seal(letter(to=[JANE]))[JANE]
    assert guest.post(one.path).status_code == 403
    guest.get(other.path)
    assert guest.post(one.path).status_code == 403
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none"}, {"Origin": "https://evil.example"}):
        guest.get(one.path)
        assert guest.post(one.path, headers).status_code == 403
    assert not stage.codes
    for headers in ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, {"Origin": stage.base_url}):
        guest.get(one.path)
        assert guest.post(one.path, headers).status_code == 200
    assert len(stage.codes) == 1


def test_a_page_left_open_overnight_is_shown_again(stage: Stage, clock: Clock, guest: Guest) -> None:
    """A stale token costs one more press, not an error."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    guest.get(link.path)
    clock.pass_time(hours=26)
    assert guest.post(link.path).status_code == 422
    assert "Please press the button once more" in guest.text
    guest.post(link.path)
    assert len(stage.codes) == 1


@pytest.mark.parametrize(
    ("language", "title"), [("nl", "Een beveiligd bericht voor u"), ("de-AT", "geschützte Nachricht")]
)
def test_the_reader_is_met_in_their_language(stage: Stage, language: str, title: str) -> None:
    """Accept-Language chooses among the configured languages, for the page and for the code mail."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    guest = Guest(stage, language=language)
    page = guest.get(link.path)
    assert title in guest.text
    assert page.headers["Content-Language"] == language[:2]
    assert f'<html lang="{language[:2]}">' in page.text
    guest.post(link.path)
    assert stage.codes[0].language == language[:2]


def test_a_page_that_is_not_there_names_somebody_to_ask(guest: Guest) -> None:
    """A mistyped address leads to the mail and to a person."""
    assert guest.get("/nothing").status_code == 404
    assert f"If that does not help, ask Example Council: {CONTACT}" in guest.text
