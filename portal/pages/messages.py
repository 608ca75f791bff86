"""One message as the page of its conversation shows it: who wrote, when, to whom, what, with which files."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from portal.access.company import named
from portal.access.visits import Guest
from portal.pages.parts import name_of, octets_of, parts_of
from portal.rendering.frames import frame_size
from portal.rendering.html import HTML_LIMIT
from portal.rendering.images import ONE_IMAGE
from portal.rendering.names import kind_label, visible
from portal.rendering.plain import html_to_text
from portal.rendering.subjects import Subjects
from portal.rendering.text import TEXT_LIMIT, text_to_html, without_quotation
from relay.clock import id_text
from relay.notices.written_by import WrittenBy
from relay.queue.reply_state import ReplyState
from relay.vault.opener import Author, OpenedMessage, Opener, PartEntry, PartRole

_CID = re.compile(r"cid:([^\s\"'<>)]{1,500})", re.IGNORECASE)
_IMAGE_START = 64 << 10  # octets in which an image says how large it is


@dataclass(frozen=True, slots=True)
class FileView:
    """A file to download; ``path`` is empty for one that is on its way."""

    name: str
    path: str
    size: int
    label: str  # "PDF"


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message. ``frame`` is empty where no formatted version is offered.

    ``reply`` is what became of an answer that this reader wrote; None for everybody else's messages.
    """

    id: str
    anchor: str
    mine: bool
    of_reader: bool
    sender: str  # the address
    sender_name: str  # empty where there is none
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    at: datetime
    body: Markup
    quoted: Markup  # what the message repeats of earlier ones, at its end
    shortened: bool
    frame: str
    frame_size: int
    files: tuple[FileView, ...]
    original: FileView | None
    reply: ReplyState | None = None
    writer: str = ""  # what the person who answered here called themself; empty where nobody said


@dataclass(frozen=True, slots=True)
class MessageViews:
    """Makes views of opened messages. SealingError leaves where a part that is shown was changed."""

    opener: Opener
    subjects: Subjects
    written_by: WrittenBy

    def view(self, guest: Guest, message: OpenedMessage, reply: ReplyState | None) -> MessageView:
        """Return the view; ``reply`` is given for the reader's own answers."""
        manifest = message.manifest
        here = f"{guest.path}/{id_text(message.header.message_id)}"
        html_size = sum(part.size for part in parts_of(message, PartRole.HTML))
        formatted = 0 < html_size <= HTML_LIMIT
        source = self.text(message, PartRole.HTML, HTML_LIMIT) if html_size else ""
        text = self.text(message, PartRole.TEXT, TEXT_LIMIT + 1) or html_to_text(source)
        answered = message.header.author is Author.READER
        writer, text = self.written_by.parted(text) if answered else ("", text)
        own, quoted = without_quotation(text)
        shown = set(_CID.findall(source)) if formatted else set()
        files = [
            part
            for part in manifest.parts
            if part.kind is PartRole.ATTACHMENT or (part.kind is PartRole.INLINE and part.cid not in shown)
        ]
        originals = parts_of(message, PartRole.ORIGINAL)
        sender_name, sender = named(visible(manifest.sender, 500))
        return MessageView(
            id=id_text(message.header.message_id),
            anchor=anchor(message.header.message_id),
            mine=reply is not None,
            of_reader=answered,
            sender=sender,
            sender_name=sender_name,
            to=tuple(map(visible, manifest.to)),
            cc=tuple(map(visible, manifest.cc)),
            subject=self.subjects.shown(visible(manifest.subject, 500)),
            at=_sent_at(manifest.date, message.header.created),
            body=text_to_html(own),
            quoted=text_to_html(quoted),
            shortened=len(text) > TEXT_LIMIT or html_size > HTML_LIMIT,
            frame=f"{here}/formatted" if formatted else "",
            frame_size=frame_size(source, self.images(message, _IMAGE_START)) if formatted else 0,
            files=tuple(_file(here, message, part) for part in files),
            original=_file(here, message, originals[0]) if originals else None,
            reply=reply,
            writer=visible(writer, 200),
        )

    def images(self, message: OpenedMessage, limit: int | None = None) -> Callable[[str], bytes | None]:
        """Return what loads an inline image by its Content-ID, or its first ``limit`` octets."""
        inline = {part.cid: part for part in parts_of(message, PartRole.INLINE) if part.cid}

        def load(cid: str) -> bytes | None:
            part = inline.get(cid)
            return octets_of(self.opener, message, part, limit) if part and part.size <= ONE_IMAGE else None

        return load

    def own_text(self, answer: OpenedMessage) -> str:
        """Return what a reader typed, of an answer from the portal: without the line that says who wrote it."""
        return self.written_by.parted(self.text(answer, PartRole.TEXT, TEXT_LIMIT + 1))[1]

    def text(self, message: OpenedMessage, role: PartRole, limit: int) -> str:
        """Return the text of all parts with this role, at most ``limit`` characters."""
        pieces: list[str] = []
        room = limit
        for part in parts_of(message, role):
            if room <= 0:
                break
            octets = octets_of(self.opener, message, part, room * 4)
            pieces.append(octets.decode("utf-8", "replace")[:room])
            room -= len(pieces[-1])
        return ("\n" if role is PartRole.HTML else "\n\n").join(pieces)


def anchor(message_id: bytes) -> str:
    """Return the name of a message within its page."""
    return id_text(message_id)[-8:]  # it begins with the time, which may be another's as well


def _sent_at(date: str, created: int) -> datetime:
    """Return the date the sender's program wrote, unless it is missing, impossible or far from when we sealed."""
    sealed = datetime.fromtimestamp(created, UTC)
    try:
        sent = datetime.fromisoformat(date).astimezone(UTC)
    except (ValueError, OverflowError):
        return sealed
    return sent if abs((sent - sealed).total_seconds()) < 7 * 86400 else sealed


def _file(here: str, message: OpenedMessage, part: PartEntry) -> FileView:
    name = name_of(message, part)
    return FileView(name, f"{here}/part/{id_text(part.id)}", part.size, kind_label(name))
