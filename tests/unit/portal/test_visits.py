"""Visits: cookies, ends, leaving, other browsers; what the audit and the sender learn."""

import re

import pytest
from sqlalchemy import delete, select, update

from relay.store.tables import AuditEvent, Observation, Participant, Visit
from tests.letters import JANE, letter
from tests.portal_stage import Clock, Stage
from tests.unit.portal.guest import Guest

_VISIT = Visit.__table__  # type: ignore[attr-defined]
_PARTICIPANT = Participant.__table__  # type: ignore[attr-defined]


def reader_state(stage: Stage) -> str:
    """How far the only reader has come."""
    with stage.store.read() as conn:
        return str(conn.execute(select(_PARTICIPANT.c.state).where(_PARTICIPANT.c.role == 2)).scalar_one())


def events(stage: Stage) -> list[str]:
    """The audit's events in order."""
    audit = AuditEvent.__table__  # type: ignore[attr-defined]
    with stage.store.read() as conn:
        return list(conn.execute(select(audit.c.event).order_by(audit.c.seq)).scalars())


def test_the_cookie_is_bound_to_our_host_and_hidden_from_scripts(stage: Stage, guest: Guest) -> None:
    """__Host- prefix, Secure, HttpOnly, Lax, four hours; no secret in the address."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    code = guest.ask(link)
    token = re.search(r'name="token" value="([^"]+)"', guest.page.text)
    assert token
    data = {"token": token[1], "code": code}
    answer = guest.client.post(f"{link.path}/code", data=data, follow_redirects=False)
    assert answer.status_code == 303
    assert re.fullmatch(r"/c/[a-z2-7]{26}", answer.headers["Location"])
    cookie = answer.headers["Set-Cookie"]
    assert re.match(r"__Host-visit-[a-z2-7]{26}=[\w-]{43}; ", cookie)
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "secure", "samesite=lax", "path=/", "max-age=14400"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)


def test_another_browser_sees_nothing(stage: Stage, guest: Guest) -> None:
    """The address of a conversation alone opens nothing, nor does a changed cookie."""
    path = guest.read(stage.seal(letter(to=[JANE], text="Only for Jane.\n"))[JANE])
    assert "Only for Jane." in guest.text
    other = Guest(stage)
    assert other.get(path).status_code == 403
    assert "Only for Jane." not in other.text
    [(name, value)] = guest.client.cookies.items()
    for changed in (value[:-2] + ("AA" if value[-2:] != "AA" else "BB"), value[:20], "", "\u00e4".encode().hex()):
        other = Guest(stage)
        other.client.cookies.set(name, changed)
        assert other.get(path).status_code == 403


def test_a_visit_ends_after_twenty_quiet_minutes(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Use keeps it alive, quiet ends it, and the page says how to go on."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    path = guest.read(link)
    for _ in range(4):
        clock.pass_time(minutes=19)
        assert guest.get(path).status_code == 200
    clock.pass_time(minutes=20)
    assert guest.get(path).status_code == 403
    assert "This browser has no open visit" in guest.text


def test_a_visit_ends_after_four_hours_whatever_happens(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Four hours after the code it is over, in constant use as well."""
    path = guest.read(stage.seal(letter(to=[JANE]))[JANE])
    for _ in range(15):
        clock.pass_time(minutes=15)
        assert guest.get(path).status_code == 200
    clock.pass_time(minutes=15)
    assert guest.get(path).status_code == 403


def test_leaving_ends_the_visit_and_clears_the_cookie(stage: Stage, guest: Guest) -> None:
    """After leaving, neither the page nor the kept cookie opens anything; the key is gone from the row."""
    path = guest.read(stage.seal(letter(to=[JANE]))[JANE])
    [(name, value)] = guest.client.cookies.items()
    assert Guest(stage).post(f"{path}/leave").status_code == 403
    guest.post(f"{path}/leave")
    assert guest.page.url.path == "/left"
    assert not guest.client.cookies
    guest.client.cookies.set(name, value)
    assert guest.get(path).status_code == 403
    with stage.store.read() as conn:
        assert conn.execute(select(_VISIT.c.link_key)).scalar_one() == b""
    assert events(stage)[-1] == "left"


def test_leaving_needs_a_token(stage: Stage, guest: Guest) -> None:
    """Another site cannot end a visit."""
    path = guest.read(stage.seal(letter(to=[JANE]))[JANE])
    assert guest.client.post(f"{path}/leave", data={"token": "0.0"}).status_code == 403
    assert guest.get(path).status_code == 200


def test_a_new_code_begins_a_new_visit_and_ends_the_old(stage: Stage, clock: Clock, guest: Guest) -> None:
    """The id changes with every code; the same browser keeps one visit for a link."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    first = guest.read(link)
    clock.pass_time(minutes=2)
    second = guest.read(link)
    assert first != second
    assert len(guest.client.cookies) == 1
    assert guest.get(first).status_code == 403


def test_the_link_offers_a_visit_that_still_runs(stage: Stage, guest: Guest) -> None:
    """Who opens the mail's link again goes on without a new code."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    path = guest.read(link)
    guest.get(link.path)
    assert f'href="{path}"' in guest.page.text
    assert "Continue reading" in guest.text
    other = Guest(stage)
    other.get(link.path)
    assert path not in other.page.text


def test_a_visit_does_not_outlive_its_link(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Expiry and withdrawal reach a running visit."""
    path = guest.read(stage.seal(letter(to=[JANE]), days=1)[JANE])
    clock.pass_time(hours=23, minutes=59)
    link = stage.seal(letter(to=[JANE]), days=1)[JANE]
    path = guest.read(link)
    assert guest.get(path).status_code == 200
    stage.store.run(
        lambda conn: conn.execute(update(_VISIT).values(seen_at=clock.now()))  # as if it had been used all day
    )
    clock.pass_time(days=1)
    assert guest.get(path).status_code == 403


def test_two_conversations_in_one_browser(stage: Stage, clock: Clock, guest: Guest) -> None:
    """Neither is offered, named, kept alive or ended where the other is read."""
    first = guest.read(stage.seal(letter(to=[JANE]))[JANE], name="Joy")
    link = stage.seal(letter(to=[JANE]))[JANE]
    clock.pass_time(minutes=1)
    guest.get(link.path)
    assert first not in guest.page.text
    second = guest.read(link)
    assert "Joy" not in guest.text
    assert guest.get(first).status_code == 200
    guest.get(second)
    guest.post(f"{second}/leave")
    assert guest.page.url.path == "/left"
    assert guest.get(first).status_code == 200
    third = guest.read(stage.seal(letter(to=[JANE]))[JANE])
    clock.pass_time(minutes=15)
    guest.get(first)
    clock.pass_time(minutes=6)
    assert (guest.get(first).status_code, guest.get(third).status_code) == (200, 403)


def test_a_visit_whose_row_is_swept_is_over(stage: Stage, guest: Guest) -> None:
    """The browser keeps its cookie for longer than we keep what it opens."""
    path = guest.read(stage.seal(letter(to=[JANE]))[JANE])
    stage.store.run(lambda conn: conn.execute(delete(_VISIT)).rowcount)
    assert guest.get(path).status_code == 403
    assert "This browser has no open visit" in guest.text


def test_a_row_taken_from_another_visit_opens_nothing(stage: Stage, guest: Guest) -> None:
    """The sealed key in a row is bound to its visit and link."""
    jane = guest.read(stage.seal(letter(to=[JANE], text="For Jane.\n"))[JANE])
    thief = Guest(stage)
    stolen = thief.read(
        stage.seal(letter(to=["eve@example.com"], text="For Eve.\n"), ["eve@example.com"])["eve@example.com"]
    )

    def swap(conn: object) -> None:
        rows = conn.execute(select(_VISIT).order_by(_VISIT.c.created_at)).all()  # type: ignore[attr-defined]
        first, second = rows
        for row, other in ((first, second), (second, first)):
            statement = (
                update(_VISIT).where(_VISIT.c.id == row.id).values(link_key=other.link_key, link_id=other.link_id)
            )
            conn.execute(statement)  # type: ignore[attr-defined]

    stage.store.run(swap)
    assert guest.get(jane).status_code == 403
    assert thief.get(stolen).status_code == 403


def test_opening_the_link_is_not_reading(stage: Stage, guest: Guest) -> None:
    """Each step is recorded apart, and only reading makes the address familiar to the sender."""
    observations = Observation.__table__  # type: ignore[attr-defined]

    def observed() -> int:
        with stage.store.read() as conn:
            return len(conn.execute(select(observations)).all())

    link = stage.seal(letter(to=[JANE]))[JANE]
    guest.get(link.path)
    assert reader_state(stage) == "waiting"
    guest.post(link.path)
    assert reader_state(stage) == "link opened"
    assert events(stage) == ["link opened", "code sent"]
    guest.enter(link, "00000000" if stage.codes[0].code != "00000000" else "00000001")
    assert reader_state(stage) == "link opened"
    assert observed() == 0
    guest.enter(link, stage.codes[0].code)
    assert reader_state(stage) == "read"
    assert events(stage)[2:] == ["code wrong", "visit started", "read"]
    assert observed() == 1
    guest.get(guest.page.url.path)
    assert events(stage)[-1] == "read"
    assert observed() == 1, "a second look is no second observation"


def test_who_was_taken_for_unreachable_and_comes_all_the_same_is_noted(stage: Stage, guest: Guest) -> None:
    """A notice that was forwarded may come back while its reader has it: what the reader does then counts as ever."""
    link = stage.seal(letter(to=[JANE]))[JANE]
    came_back = {"state": "undeliverable", "bounced_at": stage.now()}
    stage.store.run(lambda conn: conn.execute(update(_PARTICIPANT).values(came_back)) and None)
    code = guest.ask(link)
    assert reader_state(stage) == "link opened"
    guest.enter(link, code)
    assert reader_state(stage) == "read"
    assert events(stage) == ["link opened", "code sent", "visit started", "read"]
    with stage.store.read() as conn:
        row = conn.execute(select(_PARTICIPANT).where(_PARTICIPANT.c.role == 2)).one()
    assert row.read_at == stage.now()
    assert row.bounced_at is None, "the code was mail of ours, and arrived"


@pytest.mark.parametrize("name", ["Nurse Joy", "<b>Joy</b> \u202egnp", ""])
def test_people_who_share_a_mailbox_see_who_was_there(stage: Stage, clock: Clock, guest: Guest, name: str) -> None:
    """The name given with the code is shown to the next visitor, and kept sealed."""
    link = stage.seal(letter(to=["ward@example.net"]), ["ward@example.net"])["ward@example.net"]
    guest.read(link, name)
    clock.pass_time(minutes=2)
    colleague = Guest(stage)
    colleague.read(link)
    assert "Opened before with this link" in colleague.text
    assert (name.replace("\u202e", "") or "without a name") + " , 23 November 2026, 09:00 GMT" in colleague.text
    assert "<b>Joy" not in colleague.page.text
    with stage.store.read() as conn:
        sealed = [row for row in conn.execute(select(_VISIT.c.name)).scalars() if row]
    assert len(sealed) == bool(name)
    assert not any(b"Joy" in row for row in sealed)
