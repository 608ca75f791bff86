"""The form for an answer: what is kept, what is sent, to whom, and what nobody may do with it."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from portal.access.answers import LATE_DAY, SENT_HOUR
from relay.clock import id_from_text, id_text
from relay.queue.requests import ReplyRequest, RequestKind
from relay.store.tables import Key, Participant, PortalRequest, Sealed
from relay.store.tables.sealed import ReaderState, SealedState
from relay.vault.drafts import DraftLimits
from relay.vault.unfinished import DraftContent, consume, give_back, read_draft
from relay.vault.vault import SealedDraft
from tests.letters import ANNA, HIDDEN, JANE, letter, photograph
from tests.portal_stage import Clock, Stage
from tests.unit.portal.guest import Guest

JOHN = "john@example.net"
TEXT = "Dear Anna,\n\n  Thursday is fine.\n\nJane"
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
_PARTICIPANT = Participant.__table__  # type: ignore[attr-defined]
_KEY = Key.__table__  # type: ignore[attr-defined]


@pytest.fixture
def sealed(stage: Stage) -> SealedDraft:
    """Anna's letter to Jane and John, with a blind copy."""
    return stage.seal_draft(letter(to=[JANE, JOHN]), [JANE, JOHN, HIDDEN], blind=[HIDDEN])


@pytest.fixture
def path(sealed: SealedDraft, guest: Guest) -> str:
    """Jane reads it."""
    return guest.read(sealed.links[JANE], "Jane Roe")


def pieces(stage: Stage) -> int:
    """How many pieces of unfinished answers there are."""
    with stage.store.read() as conn:
        counted = select(func.count()).where(_SEALED.c.state == SealedState.DRAFT.value, _SEALED.c.answer_id.is_(None))
        return int(conn.execute(counted).scalar_one())


def only_request(stage: Stage) -> tuple[bytes, ReplyRequest]:
    """The one answer that was handed to the relay."""
    [(answer_id, request)] = stage.requests(RequestKind.REPLY).items()
    return answer_id, request


def content(stage: Stage, conversation: SealedDraft, answer_id: bytes, request: ReplyRequest) -> DraftContent:
    """What the relay reads of it."""
    with stage.store.read() as conn:
        return read_draft(
            conn,
            stage.blobs,
            request.pieces,
            conversation_id=conversation.conversation_id,
            author_id=request.participant_id,
            answer_id=answer_id,
        )


def choices(guest: Guest) -> dict[str, str]:
    """The readers whom the form offers: address and value of the box."""
    boxes = re.findall(r'name="to" value="(\w+)"[^>]*> <label[^>]*>(.*?)</label>', guest.page.text)
    return {re.sub(r"<[^>]+>", "", label): value for value, label in boxes}


def test_an_answer_reaches_the_relay_as_it_was_written(
    stage: Stage, guest: Guest, sealed: SealedDraft, path: str
) -> None:
    """Text with its line breaks, files to the octet, what the visit was shown, and the name that was given."""
    photo = photograph(200_000)
    wanted = id_from_text(guest.form()["answer"][0])
    guest.answer(path, text=TEXT.replace("\n", "\r\n"), files=[("Stra\u00dfe.png", "image/png", photo)])
    assert guest.page.status_code == 200
    answer_id, request = only_request(stage)
    assert answer_id == wanted
    assert request.name == "Jane Roe"
    assert request.participant_id == sealed.links[JANE].participant_id
    assert list(request.opened) == [sealed.message_id]
    assert request.also_to == ()
    found = content(stage, sealed, answer_id, request)
    assert found.text == TEXT
    [file] = found.files
    assert (file.name, file.type, b"".join(file.read())) == ("Stra\u00dfe.png", "image/png", photo)


def test_the_page_shows_the_answer_at_once(guest: Guest, path: str) -> None:
    """It stands among the messages as being sent, and the form is empty again."""
    guest.answer(path, text=TEXT, files=[("a.txt", "text/plain", b"hello")])
    assert "Thank you. Your answer was sent." in guest.text
    assert "Your answer Written 23 November 2026, 09:00 GMT" in guest.text
    assert "Thursday is fine." in guest.text
    assert "TXT a.txt 5 bytes" in guest.text
    assert "It is being sent." in guest.text
    assert '<textarea id="text" name="text" rows="9" dir="auto" autocomplete="off">\n</textarea>' in guest.page.text
    guest.get(guest.page.url.path)
    assert "Thank you" not in guest.text


def test_a_form_that_comes_twice_sends_one_answer(stage: Stage, guest: Guest, path: str) -> None:
    """Pressed twice, or sent again by the browser: one answer, and no draft with the same text."""
    fields = guest.form()
    for _ in range(3):
        guest.answer(path, fields=fields, text=TEXT, files=[("a.txt", "text/plain", b"hello")])
        assert "Thank you. Your answer was sent." in guest.text
    assert len(stage.requests(RequestKind.REPLY)) == 1
    assert pieces(stage) == 0


def test_a_form_that_comes_twice_at_one_moment_sends_one_answer(stage: Stage, guest: Guest, path: str) -> None:
    """Two threads with the same form: the text is carried once and nothing is left over."""
    fields = guest.form()

    def press(_: int) -> int:
        other = Guest(stage)
        other.client.cookies.update(guest.client.cookies)
        return other.answer(path, fields=fields, text=TEXT).status_code

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(press, range(4))) <= {200, 422}
    assert len(stage.requests(RequestKind.REPLY)) == 1
    guest.get(path)
    assert pieces(stage) == 0, guest.text


@pytest.mark.parametrize("sealed_by_now", [False, True])
@pytest.mark.parametrize(
    ("text", "file"), [("And my brother comes, too.", b""), (TEXT, b"hello"), (TEXT + "\n\nAnd my brother", b"")]
)
def test_what_is_written_in_a_page_that_back_brought_again_is_not_lost(  # noqa: PLR0917
    stage: Stage, guest: Guest, sealed: SealedDraft, path: str, text: str, file: bytes, sealed_by_now: bool
) -> None:
    """A browser showed the form from its memory after its answer was sent: what is new is kept, and sent when asked."""
    fields = guest.form()
    guest.answer(path, fields=fields, text=TEXT)
    answer_id, request = only_request(stage)
    if sealed_by_now:
        own = letter(to=[ANNA], sender=JANE, text=TEXT).replace(b"Anna Baker <", b"<")
        stage.join(sealed, own, JANE, [JANE], message_id=answer_id)
        stage.store.run(lambda conn: consume(conn, tuple(request.pieces), stage.now()))
        stage.store.run(lambda conn: conn.execute(_REQUEST.delete()))
    guest.answer(path, fields=fields, text=TEXT)
    assert "Thank you. Your answer was sent." in guest.text
    assert pieces(stage) == 0
    guest.answer(path, fields=fields, text=text, files=[("a.txt", "text/plain", file)] if file else ())
    assert guest.page.status_code == 422
    assert "Your answer was not sent" in guest.text
    assert f">\n{text}</textarea>" in guest.page.text
    guest.answer(path, text=text)
    assert "Thank you. Your answer was sent." in guest.text
    [again] = stage.requests(RequestKind.REPLY).keys() - {answer_id}
    found = content(stage, sealed, again, stage.requests(RequestKind.REPLY)[again])
    assert (found.text, [b"".join(part.read()) for part in found.files]) == (text, [file] if file else [])


@pytest.mark.parametrize("sealed_by_now", [False, True])
def test_another_file_of_the_same_name_and_size_is_not_the_one_that_was_sent(
    stage: Stage, guest: Guest, sealed: SealedDraft, path: str, sealed_by_now: bool
) -> None:
    """Whoever corrects one figure of a list and sends it again from that page sends a new list."""
    fields = guest.form()
    first, corrected = (("list.txt", "text/plain", content) for content in (b"Room 4", b"Room 5"))
    guest.answer(path, fields=fields, text=TEXT, files=[first])
    answer_id, request = only_request(stage)
    if sealed_by_now:
        own = letter(to=[ANNA], sender=JANE, text=TEXT, attachments=[first]).replace(b"Anna Baker <", b"<")
        stage.join(sealed, own, JANE, [JANE], message_id=answer_id)
        stage.store.run(lambda conn: consume(conn, tuple(request.pieces), stage.now()))
        stage.store.run(lambda conn: conn.execute(_REQUEST.delete()))
    guest.answer(path, fields=fields, text=TEXT, files=[first])
    assert "Thank you. Your answer was sent." in guest.text
    guest.answer(path, fields=fields, text=TEXT, files=[corrected])
    assert "Your answer was not sent" in guest.text
    assert "list.txt" in guest.text


def test_a_draft_is_saved_in_a_page_that_back_brought_again(stage: Stage, guest: Guest, path: str) -> None:
    """Its answer was sent; *Save* is obeyed and not taken for a second press of *Send*."""
    fields = guest.form()
    guest.answer(path, fields=fields, text=TEXT)
    guest.answer(path, "save", fields=fields, text="And my brother comes, too.")
    assert "Your draft is saved." in guest.text
    assert pieces(stage) == 1


@pytest.mark.parametrize(
    ("text", "file"), [("", b"the other's"), ("Saved in the other", b""), ("Saved in the other", b"the other's")]
)
def test_what_another_window_saved_is_not_sent_unseen(  # noqa: PLR0917
    stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft, path: str, text: str, file: bytes
) -> None:
    """The window that did not show it shows it now, with what was typed there; pressed again, all of it goes."""
    fields = guest.form()
    guest.answer(path, "save", text=text, files=[("other.txt", "text/plain", file)] if file else ())
    clock.pass_time(minutes=1)
    guest.answer(path, fields=fields, text=TEXT)
    assert guest.page.status_code == 422
    assert not stage.requests(RequestKind.REPLY)
    assert guest.text.count("Your answer was changed in another window meanwhile.") == 2
    whole = f"{text.strip()}\n\n{TEXT}".strip()
    assert whole in guest.page.text
    assert ("other.txt" in guest.text) is bool(file)
    guest.answer(path, text=whole)
    found = content(stage, sealed, *only_request(stage))
    assert (found.text, len(found.files)) == (whole, bool(file))
    assert pieces(stage) == 0


def test_a_mistake_leaves_what_another_window_saved(clock: Clock, guest: Guest, path: str) -> None:
    """A text that is too long is shown to be mended, and does not take the place of one that it never was."""
    fields = guest.form()
    guest.answer(path, "save", text="Saved in the other")
    clock.pass_time(minutes=1)
    guest.answer(path, "save", fields=fields, text="x" * 100_001)
    guest.answer(path, "save", text="Shorter")
    assert "Saved in the other\n\nShorter" in guest.page.text


def test_a_sent_answer_that_the_relay_has_sealed(stage: Stage, guest: Guest, sealed: SealedDraft, path: str) -> None:
    """From then on the page shows the sealed message, with its files to download; its author has not "read" it."""
    guest.answer(path, text=TEXT)
    answer_id, request = only_request(stage)
    own = letter(to=[ANNA], sender=JANE, text=TEXT).replace(b"Anna Baker <", b"<")
    stage.join(sealed, own, JANE, [JANE], message_id=answer_id)
    stage.store.run(lambda conn: consume(conn, tuple(request.pieces), stage.now()))
    stage.store.run(lambda conn: conn.execute(_REQUEST.delete()))
    guest.get(guest.page.url.raw_path.decode())
    assert "Thank you. Your answer was sent." in guest.text
    assert guest.text.count("Thursday is fine.") == 1
    assert "Your answer Written" in guest.text
    with stage.store.read() as conn:
        state = conn.execute(select(_PARTICIPANT.c.state).where(_PARTICIPANT.c.id == request.participant_id))
        assert state.scalar_one() == ReaderState.READ.value


def test_an_answer_that_the_relay_refused_is_a_draft_again(stage: Stage, guest: Guest, path: str) -> None:
    """The reader is told, and finds the text in the form."""
    guest.answer(path, text=TEXT)
    answer_id, _ = only_request(stage)
    stage.store.run(lambda conn: give_back(conn, answer_id))
    stage.store.run(lambda conn: conn.execute(_REQUEST.delete()))
    guest.get(guest.page.url.raw_path.decode())
    assert "Your answer was not sent. It is kept here as a draft." in guest.text
    assert "Thank you" not in guest.text
    guest.answer(path, text=TEXT)
    assert len(stage.requests(RequestKind.REPLY)) == 1


def test_a_draft_is_found_again_with_a_new_code(
    stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft, path: str
) -> None:
    """Saved, left, come back: the text and the files are there, once, and in no page before the code."""
    guest.answer(path, "save", text="Dear Anna, first")
    guest.answer(path, "save", text=TEXT, files=[("a.txt", "text/plain", b"hello")])
    assert "Your draft is saved." in guest.text
    guest.post(f"{path}/leave")
    clock.pass_time(hours=30)
    other = Guest(stage, "203.0.113.8")
    code = other.ask(sealed.links[JANE])
    assert "Thursday" not in other.text
    other.enter(sealed.links[JANE], code)
    assert TEXT in other.page.text
    assert "first" not in other.text
    assert "Saved on 23 November 2026 at 09:00 GMT. It is kept until 30 November 2026" in other.text
    assert "TXT a.txt 5 bytes" in other.text


def test_another_reader_does_not_see_a_draft(stage: Stage, guest: Guest, sealed: SealedDraft, path: str) -> None:
    """What Jane is still writing is hers alone."""
    guest.answer(path, "save", text=TEXT)
    john = Guest(stage, "203.0.113.8")
    john.read(sealed.links[JOHN])
    assert "Thursday is fine" not in john.text


def test_files_are_attached_and_removed_one_by_one(stage: Stage, guest: Guest, path: str) -> None:
    """Each press keeps the text; a removed file is gone, and the chosen readers stay chosen."""
    john = choices(guest)[JOHN]
    guest.answer(
        path, "attach", text=TEXT, to=[john], files=[("a.txt", "text/plain", b"a"), ("b.txt", "text/plain", b"b")]
    )
    assert "The files are attached. Nothing has been sent yet." in guest.text
    assert re.search(rf'value="{john}" checked', guest.page.text)
    buttons = re.findall(r'name="remove" value="(\w+)" aria-label="Remove (\S+)"', guest.page.text)
    values = {name: value for value, name in buttons}
    assert set(values) == {"a.txt", "b.txt"}
    guest.answer(path, text=TEXT, remove=values["a.txt"])
    assert "The file was removed." in guest.text
    assert "a.txt" not in guest.text
    assert "b.txt" in guest.text
    guest.answer(path, text=TEXT)
    _, request = only_request(stage)
    assert len(request.pieces) == 2


def test_deleting_leaves_nothing(stage: Stage, guest: Guest, path: str) -> None:
    """Text and files are gone from the store."""
    guest.answer(path, "save", text=TEXT, files=[("a.txt", "text/plain", b"a")])
    guest.answer(path, "delete", text=TEXT)
    assert "Your draft was deleted." in guest.text
    assert pieces(stage) == 0


@pytest.mark.parametrize("do", ["send", "attach", "save"])
def test_a_form_without_files_may_be_urlencoded(stage: Stage, guest: Guest, path: str, do: str) -> None:
    """As old text browsers send it, who know no uploads: the same form without files."""
    fields = {name: values[0] for name, values in guest.form().items()}
    answer = guest.client.post(f"{path}/answer", data={**fields, "text": TEXT, "do": do})
    assert answer.status_code == (422 if do == "attach" else 200)
    assert len(stage.requests(RequestKind.REPLY)) == (do == "send")


# --- mistakes ---


@pytest.mark.parametrize(
    ("do", "text", "sentence"),
    [
        ("send", "  \r\n ", "Write something, or attach a file."),
        ("save", "", "Write something, or attach a file."),
        ("attach", TEXT, "Choose a file first, then press the button."),
        ("send", "x" * 100_001, "The text is too long: an answer has room for 100000 characters."),
    ],
)
def test_a_mistake_is_named_and_nothing_typed_is_lost(  # noqa: PLR0917
    stage: Stage, guest: Guest, path: str, do: str, text: str, sentence: str
) -> None:
    """The page says what to do, points at the field, and has the text as it was typed."""
    guest.answer(path, do, text=text)
    assert guest.page.status_code == 422
    assert guest.text.count(sentence) == 2, "in the summary and at the field"
    assert "<title>Error:" in guest.page.text
    assert 'aria-invalid="true"' in guest.page.text
    assert text in guest.page.text.replace("\r", "") or not text.strip()
    assert not stage.requests(RequestKind.REPLY)


def test_a_file_that_is_too_large_leaves_text_and_other_files(stage: Stage, guest: Guest, path: str) -> None:
    """The limit is named, with the file; what came before it is kept."""
    limit = DraftLimits().octets
    files = [("a.txt", "text/plain", b"a"), ("film.mp4", "video/mp4", bytes(limit + 1))]
    guest.answer(path, text=TEXT, files=files)
    assert guest.page.status_code == 422
    assert (
        "\u201cfilm.mp4\u201d does not fit in and was not kept. Text and files together may have at most 25 MB."
        in guest.text
    )
    assert TEXT in guest.page.text
    assert "TXT a.txt" in guest.text
    guest.answer(path, text=TEXT)
    _, request = only_request(stage)
    assert len(request.pieces) == 2


def test_more_files_than_fit(guest: Guest, path: str) -> None:
    """The twenty-first file is named and not kept."""
    guest.answer(path, "attach", text=TEXT, files=[(f"{number}.txt", "text/plain", b"a") for number in range(21)])
    assert "\u201c20.txt\u201d was not kept: an answer has room for 20 files." in guest.text
    assert len(re.findall('name="remove"', guest.page.text)) == 20


def test_loading_the_page_of_a_mistake_again_leads_back(guest: Guest, path: str) -> None:
    """The address of the form shows the conversation."""
    guest.answer(path, text="")
    guest.get(f"{path}/answer")
    assert guest.page.url.path == path
    assert guest.page.status_code == 200


# --- who may ---


def test_readers_who_were_shown_may_be_chosen(stage: Stage, guest: Guest, sealed: SealedDraft, path: str) -> None:
    """John stood in To: he is offered. The blind copy and Jane herself are not, and an id that was made up is nobody."""
    assert list(choices(guest)) == [JOHN]
    hidden = id_text(sealed.links[HIDDEN].participant_id)
    guest.answer(path, text=TEXT, to=[choices(guest)[JOHN], hidden, "x", id_text(bytes(16))])
    _, request = only_request(stage)
    assert request.also_to == (sealed.links[JOHN].participant_id,)


def test_a_blind_reader_writes_to_the_sender_alone(stage: Stage, sealed: SealedDraft) -> None:
    """No boxes, and a word that nobody learns of them; ids in the form are nobody."""
    guest = Guest(stage, "203.0.113.8")
    path = guest.read(sealed.links[HIDDEN])
    assert not choices(guest)
    assert "The other readers do not see it, and do not learn of you." in guest.text
    guest.answer(path, text=TEXT, to=[id_text(sealed.links[JANE].participant_id)])
    _, request = only_request(stage)
    assert request.also_to == ()


@pytest.mark.parametrize("values", [{"state": ReaderState.REMOVED.value}, {"recalled_at": True}])
def test_who_reads_no_more_is_not_offered(
    stage: Stage, guest: Guest, sealed: SealedDraft, path: str, values: dict[str, object]
) -> None:
    """A reader who was removed, or whose copy was taken back, is not offered."""
    values = {name: stage.now() if value is True else value for name, value in values.items()}
    john = sealed.links[JOHN].participant_id
    stage.store.run(lambda conn: conn.execute(update(_PARTICIPANT).where(_PARTICIPANT.c.id == john).values(values)))
    guest.get(path)
    assert not choices(guest)


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"token": "0.0"}, {"token": ""}]
)
def test_a_form_from_elsewhere_keeps_nothing(stage: Stage, guest: Guest, path: str, headers: dict[str, str]) -> None:
    """Without our token, or from another site, nothing is stored and nothing is sent."""
    fields = guest.form() | ({"token": [headers.pop("token")]} if "token" in headers else {})
    guest.client.headers.update(headers)
    guest.answer(path, fields=fields, text=TEXT, files=[("a.txt", "text/plain", b"a")])
    assert guest.page.status_code == 403
    assert pieces(stage) == 0
    assert not stage.requests(RequestKind.REPLY)


def test_answers_are_slowed_down(stage: Stage, clock: Clock, guest: Guest, path: str) -> None:
    """After twenty within an hour the next waits as a draft, and may go when the hour is over."""
    for number in range(SENT_HOUR.count):
        guest.answer(path, text=f"number {number}")
        assert guest.page.status_code == 200
    guest.answer(path, text=TEXT)
    assert guest.page.status_code == 422
    assert "we wait a little before the next answer. You can go on from 23 November 2026, 10:00 GMT." in guest.text
    assert len(stage.requests(RequestKind.REPLY)) == SENT_HOUR.count
    assert pieces(stage) == 1
    clock.pass_time(minutes=15)
    guest.get(path)
    clock.pass_time(minutes=15)
    guest.get(path)
    clock.pass_time(minutes=15)
    guest.get(path)
    clock.pass_time(minutes=16)
    guest.get(path)
    guest.answer(path, text=TEXT)
    assert len(stage.requests(RequestKind.REPLY)) == SENT_HOUR.count + 1


# --- after the visit ---


def test_a_form_after_the_visit_keeps_text_and_files(
    stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft, path: str
) -> None:
    """The page says what to do; with a new code everything is there, and nothing was sent meanwhile."""
    clock.pass_time(minutes=21)
    guest.answer(path, text=TEXT, files=[("a.txt", "text/plain", b"hello")])
    assert guest.page.status_code == 200
    assert "Saved, but not sent yet" in guest.text
    assert "Thursday is fine" not in guest.page.text
    assert not stage.requests(RequestKind.REPLY)
    other = Guest(stage, "203.0.113.8")
    again = other.read(sealed.links[JANE])
    assert TEXT in other.page.text
    assert "TXT a.txt" in other.text
    other.answer(again, text=TEXT)
    assert len(only_request(stage)[1].pieces) == 2


def test_a_file_that_is_too_large_after_the_visit(stage: Stage, clock: Clock, guest: Guest, path: str) -> None:
    """The text is kept, and the page says which file was not."""
    clock.pass_time(minutes=21)
    guest.answer(path, text=TEXT, files=[("film.mp4", "video/mp4", bytes(DraftLimits().octets + 1))])
    assert "Your text is kept as a draft, but not every file." in guest.text
    assert "\u201cfilm.mp4\u201d does not fit in" in guest.text
    assert pieces(stage) == 1


def tampered(fields: dict[str, list[str]], kind: str, other: dict[str, list[str]]) -> dict[str, list[str]]:
    """The hidden fields with a ticket that is none, is changed, or is of another visit."""
    ticket = fields["ticket"][0]
    tickets = {
        "none": "",
        "no base64": "\u20ac!",
        "changed": ticket[:30] + ("A" if ticket[30] != "A" else "B") + ticket[31:],
        "another": other["ticket"][0],
    }
    return fields | {"ticket": [tickets[kind]]}


@pytest.mark.parametrize("kind", ["none", "no base64", "changed", "another"])
def test_without_its_ticket_nothing_is_stored(  # noqa: PLR0917
    stage: Stage, clock: Clock, guest: Guest, sealed: SealedDraft, path: str, kind: str
) -> None:
    """The text is shown for copying instead; nobody else's link is written to."""
    john = Guest(stage, "203.0.113.8")
    john.read(sealed.links[JOHN])
    clock.pass_time(minutes=21)
    guest.answer(path, fields=tampered(guest.form(), kind, john.form()), text=TEXT)
    assert guest.page.status_code == 403
    assert "Your text could not be saved" in guest.text
    assert TEXT in guest.page.text
    assert pieces(stage) == 0


def test_a_ticket_ends_after_a_day(stage: Stage, clock: Clock, guest: Guest, path: str) -> None:
    """A page that was open overnight and longer: the text can be copied."""
    clock.pass_time(hours=24)
    guest.answer(path, text=TEXT)
    assert "Your text could not be saved" in guest.text
    assert pieces(stage) == 0


def test_a_ticket_of_a_link_that_was_replaced(stage: Stage, clock: Clock, guest: Guest, path: str) -> None:
    """A revoked link takes nothing any more, neither text nor files, and the page says so of what came."""
    stage.store.run(lambda conn: conn.execute(update(_KEY).values(revoked_at=clock.now())))
    fields = guest.form()
    for text in (TEXT, ""):
        for file in (b"", b"lost"):
            guest.answer(path, fields=fields, text=text, files=[("a.txt", "text/plain", file)] if file else ())
            assert guest.page.status_code == 403
            assert text in guest.page.text
            assert ("Your text could not be saved" in guest.text) is bool(text)
            assert ("The files that you attached were not kept." in guest.text) is bool(file)
    assert pieces(stage) == 0


def test_drafts_after_a_visit_are_slowed_down(stage: Stage, clock: Clock, guest: Guest, path: str) -> None:
    """A ticket in wrong hands fills no disk: twenty forms a day, then the text is only shown."""
    clock.pass_time(minutes=21)
    fields = guest.form()
    for number in range(LATE_DAY.count):
        guest.answer(path, fields=fields, text=f"number {number}")
        assert "Saved, but not sent yet" in guest.text
    guest.answer(path, fields=fields, text=TEXT)
    assert "Your text could not be saved" in guest.text
    assert pieces(stage) == LATE_DAY.count
