"""Taking a form with an answer: keep what came, then attach, remove, delete, or send.

What a form brings is kept before anything is judged that could refuse it: a visit that has ended, a file that is too
large or a text that is too long costs nobody what they wrote.
"""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.access.answers import Answer, Answers, Outcome
from portal.access.company import company
from portal.access.csrf import FIELD, Csrf, Verdict
from portal.access.uploads import Submission
from portal.access.visits import Guest, scope_of
from portal.pages.answer_form import Before, Done, Problem
from portal.pages.conversation import ConversationPage
from portal.pages.parts import Letterbox, digest_of, parts_of
from portal.rendering.moments import full_minute
from portal.rendering.names import visible
from portal.rendering.pages import Pages
from relay.clock import id_from_text, id_text, new_id
from relay.fail_points import reached
from relay.store.throttle import ThrottledError
from relay.vault.drafts import Draft, LinkClosedError, TooLargeError
from relay.vault.keyring import Keyring
from relay.vault.opener import PartRole, SealingError
from relay.vault.pen import Pen
from relay.vault.pieces import joined, plain_text
from relay.vault.visits import read_ticket

Fields = Mapping[str, tuple[str, ...]]

_LONGEST_ECHO = 200_000  # characters of a text that could not be kept and is shown for copying
_MOST_TEXTS = 100
_FEW = 20  # chosen readers that the next page's address has room for


@dataclass(frozen=True, slots=True)
class _Form:
    """One form of a running visit. ``fields`` are all of it once its files were read."""

    request: Request
    guest: Guest
    pen: Pen
    answer_id: bytes
    submission: Submission

    @property
    def fields(self) -> Fields:
        """The fields that have arrived."""
        return self.submission.fields


@dataclass(frozen=True, slots=True)
class _Kept:
    """What of a form was kept, by the ids of its pieces; ``problem`` is why not everything was."""

    text: bytes | None = None
    files: tuple[bytes, ...] = ()
    problem: Problem | None = None

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """The pieces of text and files."""
        return self.files if self.text is None else (self.text, *self.files)


@dataclass(frozen=True, slots=True)
class ReplyPages:
    """The form for an answer."""

    letterbox: Letterbox
    conversation: ConversationPage
    answers: Answers
    keyring: Keyring
    csrf: Csrf
    pages: Pages
    now: Callable[[], datetime]

    def again(self, request: Request) -> Response:
        """Lead whoever loads the page of a refused form once more back to the conversation."""
        return RedirectResponse(request.url.path.removesuffix("/answer"), 303)

    def submit(self, request: Request, submission: Submission) -> Response:
        """Take the form. Everything leads back to the conversation; only a mistake shows the form at once."""
        submission.begin()
        fields = submission.fields  # those before the files; the button comes after them
        scope = scope_of(request.path_params["visit"])
        verdict = self.csrf.judge(request.headers, scope, _first(fields, FIELD), self.now())
        if verdict is Verdict.FOREIGN:
            return self.pages.respond(request, "foreign.html", 403)
        guest = self.letterbox.guest(request)
        pen = Pen.of(guest.link) if guest else None
        if guest is None or pen is None:
            ticketed = self._pen(request, fields) if verdict is Verdict.GENUINE else None
            return self._late(request, submission, ticketed)
        form = _Form(request, guest, pen, _id(_first(fields, "answer")) or new_id(), submission)
        with self.letterbox.store.read() as conn:
            known = self.answers.known(conn, form.answer_id)
        try:
            kept = self._keep(pen, submission, late=False)
        except LinkClosedError:  # recalled or replaced while the form came
            return self._ended(request, submission)
        if known and kept.problem is None and self._was_sent(form, kept):
            return self._sent_before(form, kept)
        outcome = kept.problem or self._act(form, kept)
        return self._refuse(form, kept, outcome) if isinstance(outcome, Problem) else outcome

    # --- keeping what came ---

    def _keep(self, pen: Pen, submission: Submission, *, late: bool) -> _Kept:
        """Keep the text, then each file; stop at the first that cannot be kept. LinkClosedError."""
        now, fields, drafts = self.now(), submission.fields, self.answers.drafts
        pieces: list[bytes] = []
        replaces = [piece for text in fields.get("texts", ())[:_MOST_TEXTS] if (piece := _id(text))]
        try:
            self.letterbox.store.run(lambda conn: self.answers.admit(conn, pen, now, late=late))
            text = drafts.save_text(pen, _first(fields, "text"), now, replaces=replaces)
        except ThrottledError as error:
            return _Kept(problem=Problem("wait", until=full_minute(error.until)))
        except TooLargeError as error:
            return _Kept(problem=Problem.too_large(error))
        for file in submission.files():
            try:
                pieces.append(drafts.add_file(pen, file.name, file.type, file.pieces, self.now()).id)
            except TooLargeError as error:
                return _Kept(text, tuple(pieces), Problem.too_large(error, visible(file.name, 80)))
        return _Kept(text, tuple(pieces))

    def _late(self, request: Request, submission: Submission, pen: Pen | None) -> Response:
        """Keep a form that came after its visit: with its ticket, for the same link and nothing else."""
        if pen is None:
            return self._ended(request, submission)
        try:
            kept = self._keep(pen, submission, late=True)
        except LinkClosedError:
            return self._ended(request, submission)
        if kept.problem is None:
            return RedirectResponse(f"{request.url.path.removesuffix('/answer')}?kept=1", 303)
        if kept.problem.field == "files":  # the text is safe
            return self.letterbox.ended(request, 422, kept=True, problem=kept.problem)
        return self._ended(request, submission, kept.problem)

    def _ended(self, request: Request, submission: Submission, problem: Problem | None = None) -> Response:
        """Show the text that could not be kept, so that it can be copied, and say it of files."""
        lost = _first(submission.fields, "text")[:_LONGEST_ECHO]
        files = next(submission.files(), None) is not None
        return self.letterbox.ended(request, lost=lost, lost_files=files, problem=problem)

    def _pen(self, request: Request, fields: Fields) -> Pen | None:
        """Return what the form's ticket lets one write with; None for no ticket, or one of another visit."""
        try:
            ticket = read_ticket(self.keyring, base64.urlsafe_b64decode(_first(fields, "ticket")), self.now())
        except (SealingError, binascii.Error, ValueError):
            return None
        if id_text(ticket.visit_id) != request.path_params["visit"]:
            return None
        with self.letterbox.store.read() as conn:
            return self.answers.drafts.pen(conn, ticket, self.now())

    # --- doing what the button says ---

    def _act(self, form: _Form, kept: _Kept) -> Response | Problem:
        """Do what the pressed button says, now that everything is kept."""
        now, drafts, run = self.now(), self.answers.drafts, self.letterbox.store.run
        also = form.fields.get("to", ())[:_FEW]
        file_id = _id(_first(form.fields, "remove"))
        match _first(form.fields, "do"):
            case "send":
                return self._send(form, kept)
            case "delete":
                run(lambda conn: drafts.discard(conn, form.pen, now))
                return _back(form.guest, Before(Done.DELETED))
            case "attach":
                return (
                    _back(form.guest, Before(Done.ATTACHED, also=also)) if kept.files else Problem("no file", "files")
                )
            case _ if file_id is not None:
                run(lambda conn: drafts.remove_file(conn, form.pen, file_id, now))
                return _back(form.guest, Before(Done.REMOVED, also=also))
            case _:
                with self.letterbox.store.read() as conn:
                    anything = bool(drafts.open(conn, form.guest.link, now))
                return _back(form.guest, Before(Done.SAVED, also=also)) if anything else Problem("empty")

    def _send(self, form: _Form, kept: _Kept) -> Response | Problem:
        """Hand the draft to the relay; the page that follows shows it as sent."""
        now, guest = self.now(), form.guest
        with self.letterbox.store.read() as conn:
            draft = self.answers.drafts.open(conn, guest.link, now)
            opened = self.letterbox.opener.open_messages(conn, guest.link, now).messages
            there = company(conn, self.keyring.address_hash, guest.link, opened)
        if _holds_more(draft, form.fields, kept):
            return Problem(Outcome.CHANGED.value, sending=True)
        answer = Answer(form.answer_id, draft, opened, there.chosen(form.fields.get("to", ()), id_text))

        try:
            outcome = self.letterbox.store.run(lambda conn: self.answers.send(conn, guest, answer, now))
        except ThrottledError as error:
            return Problem("wait", sending=True, until=full_minute(error.until))
        except TooLargeError as error:
            return Problem.too_large(error, sending=True)
        reached("answer: handed over")
        if outcome is Outcome.SENT_BEFORE:
            changed = Problem(Outcome.CHANGED.value, sending=True)
            return self._sent_before(form, kept) if self._was_sent(form, kept) else changed
        if outcome is not Outcome.SENT:
            return Problem(outcome.value, sending=True)
        return _back(guest, Before(Done.SENT, id_text(form.answer_id)))

    def _was_sent(self, form: _Form, kept: _Kept) -> bool:
        """Say whether the answer with this form's id holds all that the form brings: then it was pressed twice.

        Else it was written anew in a page that *Back* brought out of the browser's memory, after its answer was sent:
        Chromium keeps pages there in spite of ``no-store``.
        """
        now, link, drafts, opener = self.now(), form.guest.link, self.answers.drafts, self.letterbox.opener
        with suppress(SealingError), self.letterbox.store.read() as conn:
            if sending := drafts.sending(conn, link, now).get(form.answer_id):
                text = sending.text
                sent = drafts.contents(conn, link, now, [file.id for file in sending.files])
            else:
                opened = opener.open_messages(conn, link, now).messages
                answer = next((one for one in opened if one.header.message_id == form.answer_id), None)
                if answer is None:
                    return False
                text = self.conversation.views.own_text(answer)
                sent = (opener.read_part(answer, part.id) for part in parts_of(answer, PartRole.ATTACHMENT))
            same_text = plain_text(_first(form.fields, "text")).split() in ([], text.split())
            if not same_text or not kept.files:
                return same_text
            brought = drafts.contents(conn, link, now, kept.files)
            return not Counter(map(digest_of, brought)) - Counter(map(digest_of, sent))
        return False

    def _sent_before(self, form: _Form, kept: _Kept) -> Response:
        """Show the answer that was sent; what the form brought once more is there already."""
        now, drafts = self.now(), self.answers.drafts

        def work(conn: Connection) -> None:
            for piece in kept.pieces:
                drafts.remove_file(conn, form.pen, piece, now)

        self.letterbox.store.run(work)
        return _back(form.guest, Before(Done.SENT, id_text(form.answer_id)))

    def _refuse(self, form: _Form, kept: _Kept, problem: Problem) -> Response:
        """Show the form again: with what is kept, or where the text could not be, with that."""
        also = form.fields.get("to", ())
        lost = kept.problem is not None and kept.text is None and problem.field == "text"
        text, texts = (_first(form.fields, "text"), form.fields.get("texts", ())) if lost else (None, ())
        return self.conversation.show(
            form.request, form.guest, Before(also=also, text=text, texts=texts, problem=problem)
        )


def _holds_more(draft: Draft, fields: Fields, kept: _Kept) -> bool:
    """Say whether the draft has text or files that the form did not show: another window saved them.

    Nobody sends what they have not seen. The same form that came twice at one moment brings nothing new.
    """
    if draft.text != joined([plain_text(_first(fields, "text"))]):
        return True
    if "shown" not in fields:
        return False
    shown = {*filter(None, map(_id, _first(fields, "shown").split("."))), *kept.files}
    there = {(file.name, file.size) for file in draft.files if file.id in shown}
    return any(file.id not in shown and (file.name, file.size) not in there for file in draft.files)


def _back(guest: Guest, before: Before) -> Response:
    """Return the way back to the page, so that loading it again sends nothing."""
    return RedirectResponse(before.address(guest.path), 303)


def _first(fields: Fields, name: str) -> str:
    values = fields.get(name, ())
    return values[0] if values else ""


def _id(text: str) -> bytes | None:
    try:
        return id_from_text(text)
    except ValueError:
        return None
