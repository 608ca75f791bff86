"""The page of a conversation: its messages in order, the reader's own answers among them, and the form for the next.

Two ways lead here: a visit that looks, and a form that was not accepted and is shown again with what was typed.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from markupsafe import Markup
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from portal.access.company import Company, company, is_own
from portal.access.csrf import Csrf
from portal.access.trail import Trail
from portal.access.visits import EarlierVisit, Guest, Visits
from portal.pages.answer_form import AnswerForm, Before, Done, answer_form
from portal.pages.messages import FileView, MessageView, MessageViews, anchor
from portal.pages.parts import Letterbox
from portal.rendering.names import file_name, kind_label
from portal.rendering.pages import Pages
from portal.rendering.text import text_to_html
from relay.clock import id_text, new_id
from relay.queue.reply_state import ReplyProgress, ReplyState, reply_state
from relay.store.events import Event
from relay.vault.drafts import Draft, Drafts
from relay.vault.keyring import Keyring
from relay.vault.opener import Author, Opened, SealingError
from relay.vault.visits import write_ticket

_TICKET = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look into the store found for a page."""

    opened: Opened
    own: Mapping[bytes, ReplyState]  # of this reader's answers, by message id
    draft: Draft
    sending: Mapping[bytes, Draft]
    company: Company
    earlier: tuple[EarlierVisit, ...]
    unread: list[bytes]


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Shows a conversation."""

    letterbox: Letterbox
    views: MessageViews
    visits: Visits
    trail: Trail
    drafts: Drafts
    keyring: Keyring
    csrf: Csrf
    pages: Pages
    now: Callable[[], datetime]

    def show(self, request: Request, guest: Guest, before: Before) -> Response:
        """Return the page. What is shown for the first time is noted as read: this is behind the code."""
        now = self.now()
        with self.letterbox.store.read() as conn:
            found = self._look(conn, guest, now)
        messages: list[MessageView] = []
        damaged = {refused.message_id: refused.layer.value for refused in found.opened.refused}
        for message in found.opened.messages:
            message_id = message.header.message_id
            try:
                messages.append(self.views.view(guest, message, found.own.get(message_id)))
            except SealingError as error:
                damaged[message_id] = error.layer.value
        self._note(guest, found, damaged, now)
        messages += [_on_its_way(answer_id, draft, now) for answer_id, draft in found.sending.items()]
        return self.pages.respond(
            request,
            "conversation.html",
            422 if before.problem else 200,
            messages=messages,
            repeats=lambda subject: self.views.subjects.same_topic(subject, messages[0].subject),
            damaged=len(damaged),
            elsewhere=found.opened.elsewhere,
            plain=request.query_params.get("view") == "text",
            here=guest.path,
            fresh=f"{now:%H%M%S}",
            earlier=found.earlier,
            until=guest.link.expires_at,
            token=self.csrf.token(guest.scope, now),
            form=self._form(guest, found, before),
        )

    def _look(self, conn: Connection, guest: Guest, now: datetime) -> _Found:
        opened = self.letterbox.opener.open_messages(conn, guest.link, now)
        mine = is_own(conn, self.keyring.address_hash, guest.link)
        own = {
            message.header.message_id: reply_state(conn, message.header.message_id)
            for message in opened.messages
            if message.header.author is Author.READER and mine(message)
        }
        others = [message.header.message_id for message in opened.messages if message.header.message_id not in own]
        return _Found(
            opened=opened,
            own=own,
            draft=self.drafts.open(conn, guest.link, now),
            sending=self.drafts.sending(conn, guest.link, now),
            company=company(conn, self.keyring.address_hash, guest.link, opened.messages),
            earlier=self.visits.earlier(conn, guest),
            unread=self.trail.unread(conn, guest.link, others),
        )

    def _note(self, guest: Guest, found: _Found, damaged: Mapping[bytes, str], now: datetime) -> None:
        """Write down what is read for the first time, and what failed its check."""
        read = [message_id for message_id in found.unread if message_id not in damaged]

        def work(conn: Connection) -> None:
            for message_id, layer in damaged.items():
                facts = {"layer": layer}
                self.trail.note_message(
                    conn, Event.REFUSED_MESSAGE, guest.link, now, message_id=message_id, facts=facts
                )
            if read:
                self.trail.read(conn, guest.link, read, guest.name, now)

        if damaged or read:
            self.letterbox.store.run(work)

    def _form(self, guest: Guest, found: _Found, before: Before) -> AnswerForm:
        ticket = write_ticket(self.keyring, guest.visit_id, guest.link, self.now() + _TICKET)
        if before.done is Done.SENT and before.answer not in map(id_text, (*found.own, *found.sending)):
            # The relay refused it and gave it back, or its address was made up.
            before = replace(before, done=Done.NOT_SENT if found.draft else None)
        return answer_form(
            found.draft,
            found.company,
            self.drafts.limits,
            before,
            answer=id_text(new_id()),
            ticket=base64.urlsafe_b64encode(ticket).decode(),
            until=guest.link.expires_at,
        )


def _on_its_way(answer_id: bytes, draft: Draft, now: datetime) -> MessageView:
    """Return the view of an answer that was handed over and that the relay has not sealed yet."""
    names = [file_name(file.name) for file in draft.files]
    return MessageView(
        id=id_text(answer_id),
        anchor=anchor(answer_id),
        mine=True,
        of_reader=True,
        sender="",
        sender_name="",
        to=(),
        cc=(),
        subject="",
        at=draft.saved_at or now,
        body=text_to_html(draft.text),
        quoted=Markup(""),
        shortened=False,
        frame="",
        frame_size=0,
        files=tuple(
            FileView(name, "", file.size, kind_label(name)) for name, file in zip(names, draft.files, strict=True)
        ),
        original=None,
        reply=ReplyState(ReplyProgress.SENDING),
    )
