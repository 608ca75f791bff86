"""Links that open nothing any more: why, and asking the sender for a new one."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from portal.pages.lost_link import CLIENT_HOUR
from relay.queue.requests import RequestKind
from relay.store.tables import AuditEvent, Key, Participant, PortalRequest
from relay.store.tables.sealed import ReaderState
from relay.vault.control import recall, restore
from relay.vault.vault import PickupLink
from tests.letters import JANE, letter
from tests.portal_stage import CONTACT, Clock, Stage
from tests.unit.portal.guest import Guest

_KEY = Key.__table__  # type: ignore[attr-defined]
_READER = Participant.__table__  # type: ignore[attr-defined]
_AUDIT = AuditEvent.__table__  # type: ignore[attr-defined]


@pytest.fixture
def link(stage: Stage) -> PickupLink:
    """Jane's link."""
    return stage.seal(letter(to=[JANE], subject="Your biopsy"))[JANE]


def revoke(stage: Stage, link: PickupLink) -> None:
    """Replace a link by nothing."""
    stage.store.run(
        lambda conn: conn.execute(update(_KEY).where(_KEY.c.id == link.link_id).values(revoked_at=stage.now()))
    )


@pytest.mark.parametrize("how", ["expired", "replaced"])
def test_one_button_asks_the_sender(stage: Stage, clock: Clock, guest: Guest, link: PickupLink, how: str) -> None:
    """The relay is asked once; looking asks nothing; the audit knows."""
    if how == "expired":  # of two, and the message was extended since
        earlier = {"expires_at": stage.now() + timedelta(days=1)}
        stage.store.run(lambda conn: conn.execute(update(_KEY).where(_KEY.c.id == link.link_id).values(earlier)))
        clock.pass_time(days=2)
    else:
        revoke(stage, link)
    for _ in range(3):
        assert guest.get(link.path).status_code == 410
    assert f"This link {'has expired' if how == 'expired' else 'was replaced'}" in guest.text
    assert "Your biopsy" not in guest.text
    assert not stage.requests(RequestKind.LOST_LINK)
    guest.post(f"{link.path}/new")
    assert guest.page.status_code == 200
    assert "We ask the sender" in guest.text
    [request] = stage.requests(RequestKind.LOST_LINK).values()
    assert (request.link_id, request.participant_id) == (link.link_id, link.participant_id)
    with stage.store.read() as conn:
        assert "new link asked for" in conn.execute(select(_AUDIT.c.event)).scalars().all()
    guest.get(f"{link.path}/new")
    assert guest.page.status_code == 410, "loading the page again shows the link's page"


@pytest.mark.parametrize("replaced", [False, True])
def test_nobody_is_asked_for_what_is_destroyed(
    stage: Stage, clock: Clock, guest: Guest, link: PickupLink, replaced: bool
) -> None:
    """No new link can open what has expired: the page says so at once, instead of letting the reader wait for a mail."""
    if replaced:
        revoke(stage, link)
    clock.pass_time(days=29, hours=23)
    guest.get(link.path)
    stage.seal(letter(to=[JANE], subject="Something else"))
    clock.pass_time(hours=1, seconds=1)
    if replaced:  # the button of a page that was open
        guest.post(f"{link.path}/new")
        assert guest.page.status_code == 410
    guest.get(link.path)
    assert guest.page.status_code == 410
    assert "This link has expired" in guest.text
    assert "A new link could not open it." in guest.text
    assert CONTACT in guest.text
    assert "<button" not in guest.page.text
    assert not stage.requests(RequestKind.LOST_LINK)


def test_once_a_day(stage: Stage, clock: Clock, guest: Guest, link: PickupLink) -> None:
    """The second press of a day says when the next is possible, and asks nobody."""
    revoke(stage, link)
    guest.get(link.path)
    guest.post(f"{link.path}/new")
    clock.pass_time(hours=3)
    guest.get(link.path)
    guest.post(f"{link.path}/new")
    assert guest.page.status_code == 429
    assert "You can ask once more from 24 November 2026, 09:00 GMT." in guest.text
    assert CONTACT in guest.text
    assert len(stage.requests(RequestKind.LOST_LINK)) == 1
    requests = PortalRequest.__table__  # type: ignore[attr-defined]
    stage.store.run(lambda conn: conn.execute(delete(requests)))
    clock.pass_time(hours=21)
    guest.get(link.path)
    guest.post(f"{link.path}/new")
    assert len(stage.requests(RequestKind.LOST_LINK)) == 1


def test_one_client_does_not_ask_for_everybody(stage: Stage, guest: Guest) -> None:
    """Many links from one place are slowed down."""
    for number in range(CLIENT_HOUR.count + 1):
        link = stage.seal(letter(to=[JANE]))[JANE]
        revoke(stage, link)
        guest.get(link.path)
        guest.post(f"{link.path}/new")
        assert guest.page.status_code == (200 if number < CLIENT_HOUR.count else 429)
    assert len(stage.requests(RequestKind.LOST_LINK)) == CLIENT_HOUR.count


def test_a_message_that_was_taken_back(stage: Stage, guest: Guest, link: PickupLink) -> None:
    """The page says so, without a button; neither link nor running visit opens it, until it is given back."""
    path = guest.read(link)
    stage.store.run(lambda conn: recall(conn, [link.participant_id], stage.now()))
    assert guest.get(path).status_code == 403
    assert guest.get(link.path).status_code == 410
    assert "The sender has taken this message back" in guest.text
    assert "Your biopsy" not in guest.text
    assert "<button" not in guest.page.text
    assert guest.get(f"{link.path}/code").status_code == 410
    fields = {"token": "x"}
    assert guest.client.post(f"{link.path}/new", data=fields).status_code == 403
    assert not stage.requests(RequestKind.LOST_LINK)
    stage.store.run(lambda conn: restore(conn, [link.participant_id]))
    assert guest.get(path).status_code == 200
    assert "Your biopsy" in guest.text


def test_who_was_taken_out_is_not_told_to_ask(stage: Stage, guest: Guest, link: PickupLink) -> None:
    """The relay would ask nobody for them: to their link the message was taken back."""
    revoke(stage, link)
    stage.store.run(lambda conn: conn.execute(update(_READER).values(state=ReaderState.REMOVED.value)))
    guest.get(link.path)
    assert guest.page.status_code == 410
    assert "The sender has taken this message back" in guest.text
    assert "<button" not in guest.page.text


def test_a_link_that_works_again_leads_on(stage: Stage, guest: Guest, link: PickupLink) -> None:
    """Replaced by mistake and put right while the page was open: the button leads to the message."""
    revoke(stage, link)
    guest.get(link.path)
    stage.store.run(lambda conn: conn.execute(update(_KEY).values(revoked_at=None)))
    guest.post(f"{link.path}/new")
    assert guest.page.status_code == 200
    assert "Send me the code" in guest.text
    assert not stage.requests(RequestKind.LOST_LINK)


def test_only_the_holder_of_the_link_asks(stage: Stage, guest: Guest, link: PickupLink) -> None:
    """A wrong secret meets the page of a link that never was; another's token and an old page ask nothing."""
    revoke(stage, link)
    other = stage.seal(letter(to=[JANE]))[JANE]
    guest.get(other.path)
    guest.post(f"{link.path}/new")
    assert guest.page.status_code == 403
    guest.get(link.path)
    wrong = link.path.rpartition("/")[0] + "/" + "a" * 52
    guest.post(f"{wrong}/new")
    assert guest.page.status_code == 404
    assert not stage.requests(RequestKind.LOST_LINK)


def test_a_page_that_was_open_overnight(stage: Stage, clock: Clock, guest: Guest, link: PickupLink) -> None:
    """A stale token costs one more press."""
    revoke(stage, link)
    guest.get(link.path)
    clock.pass_time(hours=26)
    guest.post(f"{link.path}/new")
    assert guest.page.status_code == 422
    assert "Please press the button once more" in guest.text
    guest.post(f"{link.path}/new")
    assert len(stage.requests(RequestKind.LOST_LINK)) == 1
