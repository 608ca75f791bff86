"""One-time codes: life, tries, sending again, and every limit."""

from typing import Any, cast

import pytest
from sqlalchemy import select

from portal.access.codes import digits_of
from relay.store.tables import AuditEvent, Code, PortalRequest
from tests.letters import JANE, letter
from tests.portal_stage import Clock, Stage
from tests.unit.portal.guest import Guest


def states(stage: Stage) -> list[str]:
    """The states of all codes, oldest first."""
    codes = Code.__table__  # type: ignore[attr-defined]
    with stage.store.read() as conn:
        return list(conn.execute(select(codes.c.state).order_by(codes.c.created_at)).scalars())


def test_the_right_code_opens_once(stage: Stage, guest: Guest) -> None:
    """A code is used up by the visit that it begins."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    code = guest.ask(link)
    assert guest.enter(link, code).url.path.startswith("/c/")
    other = Guest(stage)
    other.get(f"{link.path}/code")
    assert "No code is valid at the moment" in other.text
    assert other.enter(link, code).status_code == 422
    assert states(stage) == ["used"]


def test_five_wrong_tries_end_a_code(stage: Stage, guest: Guest) -> None:
    """Each wrong try says how many are left; after the fifth the right digits do not open, a new code does, at once."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    code = guest.ask(link)
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    for left in ("4 more tries", "3 more tries", "2 more tries", "one more try"):
        assert guest.enter(link, wrong).status_code == 422
        assert f"That was not the code. Check the digits; you have {left}." in guest.text
    guest.enter(link, wrong)
    assert "it was the last try" in guest.text
    assert "Ask for a new code Send me a new code" in guest.text, "no heading asks for what cannot be entered"
    assert guest.enter(link, code).status_code == 422
    assert states(stage) == ["exhausted"]
    guest.post(f"{link.path}/send")
    assert guest.enter(link, stage.codes[-1].code).url.path.startswith("/c/")


def test_what_is_no_code_costs_no_try(stage: Stage, guest: Guest) -> None:
    """Too few digits, letters, nothing: told so, and five real tries remain."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    code = guest.ask(link)
    for typed in ("", "1234567", "123456789", "abcdefgh", "12 34 56 7", "\u0001" * 8):
        guest.enter(link, typed)
        assert "The code has eight digits" in guest.text
    assert guest.enter(link, code).status_code == 200


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("12345678", "12345678"),
        (" 1234 5678 ", "12345678"),
        ("1234-5678", "12345678"),
        ("12\u00a034\u201156\u201378", "12345678"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "12345678"),
        ("\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", None),
        ("1234567", None),
        ("1234567x", None),
        ("1" * 5000, None),
    ],
)
def test_how_a_code_may_be_typed(typed: str, digits: str | None) -> None:
    """Blanks, dashes and full-width digits are taken; anything else is not a code."""
    assert digits_of(typed) == digits


def test_a_code_lapses_after_ten_minutes(stage: Stage, clock: Clock, guest: Guest) -> None:
    """A late code does not open; asking again makes a new one, and only the newest opens."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    first = guest.ask(link)
    clock.pass_time(minutes=10)
    guest.enter(link, first)
    assert "This code is no longer valid" in guest.text
    guest.post(f"{link.path}/send")
    second = stage.codes[-1].code
    assert len(stage.codes) == 2
    if first != second:
        assert guest.enter(link, first).status_code == 422
    assert guest.enter(link, second).status_code == 200
    assert states(stage) == ["lapsed", "used"]


def test_send_again_sends_the_same_code_once_a_minute(stage: Stage, clock: Clock, guest: Guest) -> None:
    """A second mail has the same digits and the same end; sooner than a minute it is put off, and that is said."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    guest.ask(link)
    clock.pass_time(seconds=30)
    answer = guest.post(f"{link.path}/send")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "30"
    assert "You can have it sent again from 09:01 GMT" in guest.text
    clock.pass_time(seconds=30)
    guest.post(f"{link.path}/send")
    first, second = stage.codes
    assert (first.code, first.expires_at) == (second.code, second.expires_at)


def test_a_used_code_keeps_nobody_waiting(stage: Stage, guest: Guest) -> None:
    """Opened here, asked for at once in another browser: the second code is mailed, and its minute counts again."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    guest.read(link)
    other = Guest(stage, "203.0.113.9")
    other.ask(link)
    assert other.page.status_code == 200
    assert len(stage.codes) == 2
    assert other.post(f"{link.path}/send").status_code == 429
    assert other.enter(link, stage.codes[1].code).url.path.startswith("/c/")


def test_a_code_that_lapsed_just_after_its_mail(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Sent again in its last minute, gone in the next: told plainly when the next code may be asked for."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    guest.ask(link)
    clock.pass_time(minutes=9, seconds=30)
    guest.post(f"{link.path}/send")
    clock.pass_time(seconds=40)
    guest.post(f"{link.path}/send")
    assert guest.page.status_code == 429
    assert "We have just sent a code. You can ask for the next one from 09:11 GMT." in guest.text
    assert "Too many" not in guest.text
    clock.pass_time(seconds=20)
    assert guest.post(f"{link.path}/send").status_code == 200
    assert len(stage.codes) == 3


def test_wrong_tries_do_not_lift_the_limit_of_an_hour(stage: Stage, guest: Guest) -> None:
    """Used-up codes free the minute and nothing else: the sixth mail within an hour is refused."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    for _ in range(6):
        code = guest.ask(link)
        wrong = f"{(int(code) + 1) % 10**8:08d}"
        for _ in range(5):
            guest.enter(link, wrong)
    assert len(stage.codes) == 5
    guest.ask(link)
    assert guest.page.status_code == 429
    assert "You can ask for a new code from 23 November 2026, 10:00 GMT" in guest.text


def test_the_hour_is_not_told_as_a_moment(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Who has a living code sent too often is told the time of the hour's end, not that a mail went out just now."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    guest.ask(link)
    for _ in range(5):
        clock.pass_time(minutes=1)
        guest.post(f"{link.path}/send")
    assert guest.page.status_code == 429
    assert "only a moment ago" not in guest.text
    assert "we wait a little before we send another one. You can ask for a new code from" in guest.text
    assert guest.enter(link, stage.codes[0].code).status_code == 200


def test_five_mails_an_hour_for_a_link(stage: Stage, clock: Clock, guest: Guest) -> None:
    """The sixth code mail within an hour is refused with the time from which it works again."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    for _ in range(5):
        guest.ask(link)
        clock.pass_time(minutes=11)
    guest.ask(link)
    assert guest.page.status_code == 429
    assert "You can ask for a new code from 23 November 2026, 10:00 GMT" in guest.text
    assert len(stage.codes) == 5
    clock.pass_time(minutes=6)
    guest.ask(link)
    assert len(stage.codes) == 6


def test_twenty_mails_an_hour_for_an_address(stage: Stage, guest: Guest) -> None:
    """Many messages to one person do not flood their mailbox with codes."""
    for _ in range(21):
        guest.ask(stage.seal(letter(to=[JANE]))[JANE])
    assert guest.page.status_code == 429
    assert len(stage.codes) == 20


def test_sixty_mails_an_hour_for_a_network(stage: Stage) -> None:
    """One client, here a /64 of IPv6, cannot have everybody mailed; another client still can."""
    people = [f"person{number}@example.net" for number in range(62)]
    links = stage.seal(letter(to=people), people)
    for number, person in enumerate(people[:61]):
        guest = Guest(stage, f"2001:db8:1:2::{number:x}")
        guest.ask(links[person])
    assert guest.page.status_code == 429
    assert len(stage.codes) == 60
    Guest(stage, "2001:db8:1:3::1").ask(links[people[61]])
    assert len(stage.codes) == 61


def test_ten_codes_a_day_for_a_link(stage: Stage, clock: Clock, guest: Guest) -> None:
    """The eleventh code of a day is refused and that is recorded; the next day works."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    for _ in range(10):
        guest.ask(link)
        clock.pass_time(minutes=61)
    guest.ask(link)
    assert guest.page.status_code == 429
    assert "no more codes today" in guest.text
    assert len(stage.codes) == 10
    events = AuditEvent.__table__  # type: ignore[attr-defined]
    with stage.store.read() as conn:
        assert "codes exhausted" in conn.execute(select(events.c.event)).scalars().all()
    clock.pass_time(hours=14)
    guest.ask(link)
    assert len(stage.codes) == 11


def test_no_code_is_kept_in_clear(stage: Stage, guest: Guest) -> None:
    """Neither the table of codes nor the request to the relay holds the digits."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    code = guest.ask(link).encode()
    with stage.store.read() as conn:
        for model in (Code, PortalRequest):
            [row] = conn.execute(select(cast("Any", model).__table__)).all()
            assert not any(code in value for value in row if isinstance(value, bytes))
