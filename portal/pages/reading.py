"""The conversation: who wrote, when, what, with which files; and the frame with the formatted mail."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from portal.access.csrf import FIELD, Csrf, Verdict
from portal.access.headers import MAIL_POLICY
from portal.access.trail import Trail
from portal.access.visits import Guest, Visits
from portal.pages.parts import Letterbox, octets_of, parts_of
from portal.rendering.frames import frame_size
from portal.rendering.html import HTML_LIMIT, mail_document
from portal.rendering.images import ONE_IMAGE
from portal.rendering.names import file_name, visible
from portal.rendering.pages import Pages
from portal.rendering.plain import html_to_text
from portal.rendering.text import TEXT_LIMIT, text_to_html
from relay.clock import id_text
from relay.store.events import Event
from relay.vault.opener import OpenedMessage, PartEntry, PartRole, SealingError

_CID = re.compile(r"cid:([^\s\"'<>)]{1,500})", re.IGNORECASE)
_IMAGE_START = 64 << 10  # octets in which an image says how large it is


@dataclass(frozen=True, slots=True)
class FileView:
    """A file to download."""

    name: str
    path: str
    size: int
    label: str  # "PDF"


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message as the page shows it. ``frame`` is empty where no formatted version is offered."""

    anchor: str
    sender: str  # the address
    sender_name: str  # empty where there is none
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    at: datetime
    body: Markup
    shortened: bool
    frame: str
    frame_size: int
    files: tuple[FileView, ...]
    original: FileView | None


@dataclass(frozen=True, slots=True)
class ReadingPages:
    """The pages of a running visit."""

    letterbox: Letterbox
    visits: Visits
    trail: Trail
    csrf: Csrf
    pages: Pages
    now: Callable[[], datetime]

    def conversation(self, request: Request) -> Response:
        """Show the conversation. The first time, note that it was read: this is behind the code, unlike the link."""
        guest = self.letterbox.guest(request)
        if guest is None:
            return self.pages.respond(request, "ended.html", 403)
        store = self.letterbox.store
        with store.read() as conn:
            opened = self.letterbox.opener.open_messages(conn, guest.link, self.now())
            earlier = self.visits.earlier(conn, guest)
            unread = self.trail.unread(conn, guest.link)
        views: dict[bytes, MessageView] = {}
        damaged = {refused.message_id: refused.layer.value for refused in opened.refused}
        for message in opened.messages:
            try:
                views[message.header.message_id] = self._view(guest, message)
            except SealingError as error:
                damaged[message.header.message_id] = error.layer.value
        if damaged:
            store.run(lambda conn: self._note_damaged(conn, guest, damaged))
        if views and unread:
            store.run(lambda conn: self.trail.read(conn, guest.link, tuple(views), self.now()))
        return self.pages.respond(
            request,
            "conversation.html",
            messages=tuple(views.values()),
            damaged=len(damaged),
            plain=request.query_params.get("view") == "text",
            here=guest.path,
            earlier=earlier,
            until=guest.link.expires_at,
            token=self.csrf.token(guest.scope, self.now()),
        )

    def formatted(self, request: Request) -> Response:
        """Return the formatted mail as the sandboxed document of its own."""
        found = self.letterbox.message(request)
        if isinstance(found, Response):
            return found
        _, message = found
        language = self.pages.language(request)
        source = self._text(message, PartRole.HTML, HTML_LIMIT + 1)
        safe = mail_document(
            source,
            language=language.tag,
            title=visible(message.manifest.subject),
            gettext=language.gettext,
            load_image=self._images(message),
        )
        document = safe.document if safe else self.pages.render(language, "unformatted.html")
        return HTMLResponse(document, headers={"Content-Security-Policy": MAIL_POLICY})

    def leave(self, request: Request, form: Mapping[str, str]) -> Response:
        """End the visit and make the browser forget it."""
        guest = self.letterbox.guest(request)
        if guest is None:
            return self.pages.respond(request, "ended.html", 403)
        verdict = self.csrf.judge(request.headers, guest.scope, form.get(FIELD, ""), self.now())
        if verdict is Verdict.FOREIGN:
            return self.pages.respond(request, "foreign.html", 403)

        def work(conn: Connection) -> None:
            self.visits.close(conn, guest)
            self.trail.note(conn, Event.LEFT, guest.link, self.now())

        self.letterbox.store.run(work)
        response = RedirectResponse("/left", 303)
        self.visits.clear_cookie(response, guest.visit_id)
        return response

    def _note_damaged(self, conn: Connection, guest: Guest, damaged: Mapping[bytes, str]) -> None:
        for message_id, layer in damaged.items():
            self.trail.note_message(
                conn, Event.REFUSED_MESSAGE, guest.link, self.now(), message_id=message_id, facts={"layer": layer}
            )

    def _view(self, guest: Guest, message: OpenedMessage) -> MessageView:
        manifest = message.manifest
        here = f"{guest.path}/{id_text(message.header.message_id)}"
        html_size = sum(part.size for part in parts_of(message, PartRole.HTML))
        formatted = 0 < html_size <= HTML_LIMIT
        source = self._text(message, PartRole.HTML, HTML_LIMIT) if html_size else ""
        text = self._text(message, PartRole.TEXT, TEXT_LIMIT + 1) or html_to_text(source)
        shown = set(_CID.findall(source)) if formatted else set()
        files = [
            part
            for part in manifest.parts
            if part.kind is PartRole.ATTACHMENT or (part.kind is PartRole.INLINE and part.cid not in shown)
        ]
        originals = parts_of(message, PartRole.ORIGINAL)
        sender_name, sender = _named(visible(manifest.sender, 500))
        return MessageView(
            anchor=id_text(message.header.message_id)[:8],
            sender=sender,
            sender_name=sender_name,
            to=tuple(map(visible, manifest.to)),
            cc=tuple(map(visible, manifest.cc)),
            subject=visible(manifest.subject, 500),
            at=_sent_at(manifest.date, message.header.created),
            body=text_to_html(text),
            shortened=len(text) > TEXT_LIMIT or html_size > HTML_LIMIT,
            frame=f"{here}/formatted" if formatted else "",
            frame_size=self._frame_size(message, source) if formatted else 0,
            files=tuple(_file(here, part, number) for number, part in enumerate(files, 1)),
            original=_original(here, manifest.subject, originals[0]) if originals else None,
        )

    def _frame_size(self, message: OpenedMessage, source: str) -> int:
        return frame_size(source, self._images(message, _IMAGE_START))

    def _images(self, message: OpenedMessage, limit: int | None = None) -> Callable[[str], bytes | None]:
        """Return what loads an inline image by its Content-ID, or its first ``limit`` octets."""
        inline = {part.cid: part for part in parts_of(message, PartRole.INLINE) if part.cid}

        def load(cid: str) -> bytes | None:
            part = inline.get(cid)
            return octets_of(self.letterbox.opener, message, part, limit) if part and part.size <= ONE_IMAGE else None

        return load

    def _text(self, message: OpenedMessage, role: PartRole, limit: int) -> str:
        pieces: list[str] = []
        room = limit
        for part in parts_of(message, role):
            if room <= 0:
                break
            octets = octets_of(self.letterbox.opener, message, part, room * 4)
            pieces.append(octets.decode("utf-8", "replace")[:room])
            room -= len(pieces[-1])
        return ("\n" if role is PartRole.HTML else "\n\n").join(pieces)


def _named(author: str) -> tuple[str, str]:
    """Return name and address of ``Name <address>``, in which the name holds no ``<``; no name for anything else."""
    name, found, address = author.partition(" <")
    return (name, address[:-1]) if found and author.endswith(">") else ("", author)


def _sent_at(date: str, created: int) -> datetime:
    """Return the date the sender's program wrote, unless it is missing, impossible or far from when we sealed."""
    sealed = datetime.fromtimestamp(created, UTC)
    try:
        sent = datetime.fromisoformat(date).astimezone(UTC)
    except (ValueError, OverflowError):
        return sealed
    return sent if abs((sent - sealed).total_seconds()) < 7 * 86400 else sealed


def _file(here: str, part: PartEntry, number: int) -> FileView:
    name = file_name(part.name, f"attachment-{number}")
    suffix = name.rpartition(".")[2] if "." in name else ""
    label = suffix.upper() if suffix.isalnum() and len(suffix) <= 5 else ""  # noqa: PLR2004  # "XHTML" is the longest
    return FileView(name, f"{here}/part/{id_text(part.id)}", part.size, label)


def _original(here: str, subject: str, part: PartEntry) -> FileView:
    return FileView(
        file_name(f"{subject[:80]}.eml", "message.eml"), f"{here}/part/{id_text(part.id)}", part.size, "EML"
    )
