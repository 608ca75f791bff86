"""Opening what a visit may open: a message, a part in memory, a part as a download."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from portal.access.headers import DOWNLOAD_POLICY
from portal.access.ranges import Span, choose_span
from portal.access.trail import Trail
from portal.access.visits import Guest, Visits
from portal.pages.answer_form import Problem
from portal.rendering.names import content_disposition, file_name, message_name, safe_type
from portal.rendering.pages import Pages
from relay.clock import id_from_text, id_text
from relay.store.events import Event
from relay.store.writer import Store
from relay.vault.opener import OpenedMessage, Opener, PartEntry, PartRole, SealingError

_log = structlog.get_logger()


def parts_of(message: OpenedMessage, role: PartRole) -> list[PartEntry]:
    """Return the parts of a message with this role, in the order of the manifest."""
    return [part for part in message.manifest.parts if part.kind is role]


def name_of(message: OpenedMessage, part: PartEntry) -> str:
    """Return the file name under which a part is shown and saved."""
    return message_name(message.manifest.subject) if part.kind is PartRole.ORIGINAL else file_name(part.name)


def digest_of(content: Iterable[bytes]) -> bytes:
    """Return the SHA-256 of what comes in pieces."""
    digest = hashlib.sha256()
    for piece in content:
        digest.update(piece)
    return digest.digest()


def octets_of(opener: Opener, message: OpenedMessage, part: PartEntry, limit: int | None = None) -> bytes:
    """Return the octets of a part, at most ``limit``, verified to their end. SealingError when one was changed."""
    stop = part.size if limit is None else min(part.size, limit)
    return b"".join(opener.read_part(message, part.id, 0, stop))


@dataclass(frozen=True, slots=True)
class Letterbox:
    """What a visit opens."""

    store: Store
    opener: Opener
    visits: Visits
    trail: Trail
    pages: Pages
    now: Callable[[], datetime]

    def guest(self, request: Request) -> Guest | None:
        """Return the running visit of this request and note that the reader is still there."""
        with self.store.read() as conn:
            guest = self.visits.resume(conn, request, request.path_params["visit"])
        if guest and self.visits.needs_touch(guest):
            self.store.run(lambda conn: self.visits.touch(conn, guest))
        return guest

    def ended(
        self,
        request: Request,
        status: int = 403,
        *,
        kept: bool = False,
        lost: str = "",
        lost_files: bool = False,
        problem: Problem | None = None,
    ) -> Response:
        """Return the page for a browser without a visit, with what became of a form that came too late."""
        return self.pages.respond(
            request, "ended.html", status, kept=kept, lost=lost, lost_files=lost_files, problem=problem
        )

    def message(self, request: Request) -> tuple[Guest, OpenedMessage] | Response:
        """Return the visit and the message that the path names, or the page that says why not."""
        guest = self.guest(request)
        if guest is None:
            return self.ended(request)
        with self.store.read() as conn:
            opened = self.opener.open_messages(conn, guest.link, self.now())
        wanted = request.path_params["message"]
        for message in opened.messages:
            if id_text(message.header.message_id) == wanted:
                return guest, message
        return self._not_here(request)

    def download(self, request: Request) -> Response:
        """Send one part, whole or one range of it, as a file to keep.

        Only verified chunks are sent. The first is opened before the headers go out; a later one that does not verify
        breaks the connection, so that no browser takes the file for complete.
        """
        found = self.message(request)
        if isinstance(found, Response):
            return found
        guest, message = found
        part = self._part(request, message)
        if part is None:
            return self._not_here(request)
        etag = f'"{id_text(part.id)}"'
        span = choose_span(part.size, request.headers.get("range"), request.headers.get("if-range"), etag)
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Content-Security-Policy": DOWNLOAD_POLICY,
        }
        if span is None:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{part.size}"})
        headers["Content-Disposition"] = content_disposition(name_of(message, part))
        headers["Content-Length"] = str(span.length)
        if span.partial:
            headers["Content-Range"] = span.content_range
        status = 206 if span.partial else 200
        media_type = "message/rfc822" if part.kind is PartRole.ORIGINAL else safe_type(part.type)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=media_type)
        octets = self._verified(guest, message, part, span)
        first = next(octets, b"")
        if span.start == 0:
            self._note(guest, message, Event.DOWNLOADED, part)
        response = StreamingResponse(chain((first,), octets), status, headers)
        # Set afterwards: Starlette would add "charset=utf-8" to text, and the sender's charset is not known.
        response.headers["Content-Type"] = media_type
        return response

    def _verified(self, guest: Guest, message: OpenedMessage, part: PartEntry, span: Span) -> Iterator[bytes]:
        try:
            yield from self.opener.read_part(message, part.id, span.start, span.stop)
        except SealingError as error:
            _log.error("download broken off", layer=error.name)
            self._note(guest, message, Event.REFUSED_PART, part)
            raise

    def _note(self, guest: Guest, message: OpenedMessage, event: Event, part: PartEntry) -> None:
        facts: dict[str, str | int | bool] = {"part": id_text(part.id), "size": part.size}
        message_id = message.header.message_id
        self.store.run(
            lambda conn: self.trail.note_message(
                conn, event, guest.link, self.now(), message_id=message_id, facts=facts
            )
        )

    def _part(self, request: Request, message: OpenedMessage) -> PartEntry | None:
        try:
            wanted = id_from_text(request.path_params["part"])
        except ValueError:
            return None
        return next((part for part in message.manifest.parts if part.id == wanted), None)

    def _not_here(self, request: Request) -> Response:
        return self.pages.respond(request, "error.html", 404, number=404, incident="")
