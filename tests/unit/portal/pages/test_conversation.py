"""The page of a conversation: all of it in order, who wrote what, what was read by whom, what another link opens."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from relay.clock import new_id
from relay.queue.requests import RequestKind, ResealRequest
from relay.store.tables import AuditEvent, Entry, Key, MessageRead, Observation
from relay.vault.reader_names import open_name
from relay.vault.vault import SealedDraft
from tests.letters import ANNA, JANE, letter
from tests.portal_stage import MONDAY, Clock, Stage
from tests.unit.portal.guest import Guest

JOHN = "john@example.net"
_READ = MessageRead.__table__  # type: ignore[attr-defined]
_AUDIT = AuditEvent.__table__  # type: ignore[attr-defined]
_OBSERVATION = Observation.__table__  # type: ignore[attr-defined]
_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_KEY = Key.__table__  # type: ignore[attr-defined]


def written_by(reader: str, text: str) -> bytes:
    """A reader's answer as the relay composes it."""
    return letter(to=[ANNA], sender=reader, subject="Re: Thursday", text=text).replace(b"Anna Baker <", b"<")


@pytest.fixture
def sealed(stage: Stage) -> SealedDraft:
    """Anna's letter to Jane and John."""
    return stage.seal_draft(letter(to=[JANE, JOHN], subject="[Secure] Thursday", text="First\n"), [JANE, JOHN])


def test_the_whole_conversation_in_order(stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft) -> None:
    """Staff, the reader's own answer and another reader's are told apart in words, in order of time, with their names."""
    clock.pass_time(minutes=1)
    stage.join(sealed, written_by(JANE, "Geschreven door Jane D. in het portaal\n\nSecond\n"), JANE, [JANE, JOHN])
    clock.pass_time(minutes=1)
    stage.join(sealed, written_by(JOHN, "Written by Joe in the portal\n\nThird\n"), JOHN, [JANE, JOHN])
    clock.pass_time(minutes=1)
    stage.join(sealed, letter(to=[JANE], subject="RE: Thursday", text="Fourth\n"), ANNA, [JANE])
    guest.read(sealed.links[JANE])
    places = [guest.text.index(word) for word in ("First", "Second", "Third", "Fourth")]
    assert places == sorted(places)
    titles = [re.sub(r"<[^>]+>", "", found) for found in re.findall(r'<h2 id="from-\w+">(.*?)</h2>', guest.page.text)]
    assert titles == [f"From Anna Baker {ANNA}", "Your answer", f"From {JOHN} also a reader", f"From Anna Baker {ANNA}"]
    assert "4 messages" in guest.text
    assert re.findall(r"<dt>Written by</dt><dd><bdi>(.*?)</bdi>", guest.page.text) == ["Jane D.", "Joe"]
    assert re.search(r"\d:\d\d\u00a0[A-Z]+</dd>", guest.page.text), "the hour stands in one line with its zone"
    assert "in het portaal" not in guest.text, "the organisation's language is not the reader's"
    john = Guest(stage, "203.0.113.8")
    john.read(sealed.links[JOHN])
    assert "Fourth" not in john.text, "that answer was for Jane alone"
    assert "3 messages" in john.text


def test_headings_carry_no_tag_and_no_repetition(stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft) -> None:
    """What staff type to have a message sealed is no part of its subject; Re: of the same subject is not repeated."""
    clock.pass_time(minutes=1)
    stage.join(sealed, letter(to=[JANE], subject="RE: [secure] Thursday", text="Yes\n"), ANNA, [JANE])
    stage.join(sealed, letter(to=[JANE], subject="Friday", text="No\n"), ANNA, [JANE])
    guest.read(sealed.links[JANE])
    assert "<title>Thursday" in guest.page.text
    assert "ecure]" not in guest.page.text
    assert re.findall(r"<dt>Subject</dt><dd dir=\"auto\">(.*?)</dd>", guest.page.text) == ["Friday"]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"state": "due"}, "It is being sent."),
        ({"state": "leased", "attempts": 1}, "It is being sent."),
        (
            {"state": "due", "attempts": 1},
            "The mail server of Example Council asks us to wait. We try again on 23 November 2026 at 09:08 GMT;",
        ),
        (
            {"state": "done", "finished_at": MONDAY + timedelta(minutes=2)},
            "Handed over to the mail server of Example Council on 23 November 2026 at 09:02 GMT.",
        ),
        ({"state": "bounced"}, "so we gave it to a mailbox of Example Council that somebody looks after."),
    ],
)
def test_the_reader_sees_what_became_of_the_answer(
    stage: Stage, guest: Guest, sealed: SealedDraft, state: dict[str, object], sentence: str
) -> None:
    """In words, with times in the organisation's zone: from the queue's entries of the answer."""
    answer = stage.join(sealed, written_by(JANE, "Second\n"), JANE, [JANE]).message_id
    row = {
        "id": new_id(),
        "message_id": answer,
        "kind": "reply",
        "route": "replies",
        "domain": "example.org",
        "recipient_hash": bytes(16),
        "envelope": b"",
        "created_at": MONDAY,
        "due_at": MONDAY + timedelta(minutes=8),
        "attempts": 0,
        "lease_epoch": 0,
    }
    stage.store.run(lambda conn: conn.execute(_ENTRY.insert().values({**row, **state})))
    guest.read(sealed.links[JANE])
    assert sentence in guest.text
    assert guest.page.text.count('class="fate') == 1, "only of the reader's own answer"


def test_what_a_message_quotes_at_its_end_is_folded(stage: Stage, guest: Guest, sealed: SealedDraft) -> None:
    """The words that are new are in sight; the quotation is there for who opens it."""
    text = (
        "Yes, gladly.\n\nOn Monday, 23 November 2026 at 09:12,\nJane <jane@example.net> wrote:\n> Thursday?\n> Jane\n"
    )
    stage.join(sealed, letter(to=[JANE], text=text), ANNA, [JANE])
    guest.read(sealed.links[JANE])
    folded = re.search(r"<details class=\"quoted[^>]*>(.*?)</details>", guest.page.text, re.DOTALL)
    assert folded
    assert "On Monday" in folded[1]
    assert "Thursday?" in folded[1]
    assert "Yes, gladly." not in folded[1]


def test_reading_is_noted_message_by_message(stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft) -> None:
    """The first reading of each message, with the name that was given; once, and familiar once."""
    path = guest.read(sealed.links[JANE], "Nurse Joy")
    clock.pass_time(minutes=5)
    later = stage.join(sealed, letter(to=[JANE], text="Later\n"), ANNA, [JANE])
    stage.join(sealed, written_by(JANE, "Mine\n"), JANE, [JANE])
    guest.get(path)
    guest.get(path)
    other = Guest(stage, "203.0.113.8")
    other.read(sealed.links[JANE], "Dr Brown")
    jane = sealed.links[JANE].participant_id
    with stage.store.read() as conn:
        rows = conn.execute(select(_READ).order_by(_READ.c.at)).all()
        events = conn.execute(select(_AUDIT.c.event, _AUDIT.c.message_id).order_by(_AUDIT.c.seq)).all()
        familiar = len(conn.execute(select(_OBSERVATION)).all())
    assert [(row.message_id, row.participant_id) for row in rows] == [
        (sealed.message_id, jane),
        (later.message_id, jane),
    ]
    names = [open_name(stage.relay_keys, row.message_id, row.participant_id, row.name) for row in rows]
    assert names == ["Nurse Joy", "Nurse Joy"]
    assert rows[1].at == clock.now()
    assert [event.message_id for event in events if event.event == "read"] == [sealed.message_id, later.message_id]
    assert familiar == 1


def test_an_older_message_that_only_another_link_opens(
    stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft
) -> None:
    """The newer link names the older mail; the older link, used once, has the relay give the rest to the newer one."""
    clock.pass_time(days=3)
    newer = stage.join(sealed, letter(to=[JANE], text="Second\n"), ANNA, [JANE], fresh_links=True).links[JANE]
    guest.read(newer)
    assert "Second" in guest.text
    assert "First" not in guest.text
    assert "There is one more message in this conversation, of 23 November 2026." in guest.text
    assert not stage.requests(RequestKind.RESEAL)
    other = Guest(stage, "203.0.113.8")
    other.read(sealed.links[JANE])
    assert "one more message" not in other.text
    [request] = stage.requests(RequestKind.RESEAL).values()
    assert isinstance(request, ResealRequest)
    assert set(request.opened) == {sealed.message_id}
    assert request.participant_id == newer.participant_id


def test_a_link_that_opens_everything_asks_for_nothing(stage: Stage, guest: Guest, sealed: SealedDraft) -> None:
    """With one link there is nothing to share; a revoked one does not count."""
    other = stage.join(sealed, letter(to=[JANE], text="Second\n"), ANNA, [JANE], fresh_links=True).links[JANE]
    stage.store.run(
        lambda conn: conn.execute(update(_KEY).where(_KEY.c.id == other.link_id).values(revoked_at=stage.now()))
    )
    guest.read(sealed.links[JANE])
    assert not stage.requests(RequestKind.RESEAL)
    assert "more message" not in guest.text


def test_made_up_addresses_show_nothing_special(guest: Guest, sealed: SealedDraft) -> None:
    """Words in the page's address that are not ours are passed over."""
    path = guest.read(sealed.links[JANE])
    for query in (
        "done=sent&answer=x",
        f"done=sent&answer={new_id().hex()}",
        "done=<script>",
        "also=%00.<b>",
        "view=x",
    ):
        assert guest.get(f"{path}?{query}").status_code == 200
        assert "Thank you" not in guest.text
        assert "was not sent" not in guest.text
