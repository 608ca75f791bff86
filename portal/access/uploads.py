"""Forms with files, taken as a stream: handed on in pieces, never whole in memory, never on disk (R44).

The event loop reads the body, a thread works on it; the thread asks for each piece, so a browser is never read faster
than its files are sealed. Time, octets, fields and threads are bounded.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

from anyio import CapacityLimiter, from_thread, to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from portal.access.forms import FormError
from portal.access.multipart import Event, Mark, PartHead, events_of

_FRAMING = 256 << 10  # octets of boundaries and headers
_FRONT = 64 << 10  # octets that are read before a thread is taken
_ESCAPED = 12  # octets of one character in a urlencoded form, at most
_DRAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What one form may bring. ``files`` are octets of all its files, ``characters`` those of its text.

    ``idle`` and ``total`` are seconds: without an octet, and for the whole form (25 MiB over 120 kbit/s take 30
    minutes). ``at_once`` forms with a visit's files are worked on at a time.
    """

    files: int
    characters: int
    idle: float = 30.0
    total: float = 1800.0
    at_once: int = 32

    @property
    def form_octets(self) -> int:
        """Octets of all fields together."""
        return self.characters * _ESCAPED + _FRAMING

    @property
    def octets(self) -> int:
        """Octets of the whole body."""
        return self.files + self.form_octets + _FRAMING


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file as it comes in. ``name`` has no folders; ``type`` is what the browser believes.

    ``pieces`` can be read once; it raises FormError when the form breaks off or goes over a limit.
    """

    name: str
    type: str
    pieces: Iterator[bytes] = field(repr=False)


class Submission:
    """A form while it arrives: fields first, then files, in the order in which the page has them."""

    def __init__(self, events: Iterator[Event], form_octets: int) -> None:
        self._events = events
        self._room = form_octets
        self._fields: dict[str, list[str]] = {}
        self._next: PartHead | None = None
        self._begun = False

    @property
    def fields(self) -> Mapping[str, tuple[str, ...]]:
        """The fields that have arrived, each with all its values: those that stand before the file being read."""
        return {name: tuple(values) for name, values in self._fields.items()}

    def begin(self) -> None:
        """Read up to the first file, or to the end of a form without files. FormError."""
        if not self._begun:
            self._begun = True
            self._next = self._next_file()

    def files(self) -> Iterator[UploadedFile]:
        """Yield the files one by one; what was not read of one is skipped. Afterwards all fields are there. FormError.

        A file input in which nothing was chosen is no file.
        """
        self.begin()
        while head := self._next:
            content = self._content()
            first = next(content, None)
            if head.file_name or first is not None:
                pieces = chain(() if first is None else (first,), content)
                yield UploadedFile(_base_name(head.file_name or ""), head.type, pieces)
            for _ in content:
                pass
            self._next = self._next_file()

    def _next_file(self) -> PartHead | None:
        for event in self._events:
            if isinstance(event, PartHead):
                if event.file_name is not None:
                    return event
                self._fields.setdefault(event.name, []).append(self._value())
        return None

    def _value(self) -> str:
        octets = bytearray()
        for piece in self._content():
            octets += piece
            self._room -= len(piece)
            if self._room < 0:
                raise FormError(413)
        return octets.decode("utf-8", "replace").replace("\x00", "")

    def _content(self) -> Iterator[bytes]:
        for event in self._events:
            if event is Mark.END:
                return
            if isinstance(event, bytes):
                yield event


class Uploads:
    """Receives forms with files."""

    def __init__(self, limits: UploadLimits) -> None:
        self.limits = limits
        self._turns = asyncio.Semaphore(limits.at_once)
        # Threads of their own: a page must never wait for somebody's upload.
        self._threads = CapacityLimiter(limits.at_once)

    async def receive(self, request: Request, work: Callable[[Submission], Response]) -> Response:
        """Return what ``work`` makes of the form, in a thread, while the form arrives.

        FormError: 400 for a form that breaks off, 408 for one that takes too long, 413 for one over a limit, 415 for
        another kind of body, 503 when too many come in; whatever ``work`` raises. A rest that nobody read is thrown
        away, up to twice the limit, before anything is answered: else the browser would show a broken connection.
        """
        body = _Body(request.receive, self.limits)
        try:
            response = await self._work(request, body, work)
        except FormError as error:
            await body.drain()
            # An answer on a connection whose body is not read to its end must close it: as for one that is too large.
            raise FormError(error.status if body.ended or body.broken else 413) from None
        except Exception:
            await body.drain()
            raise
        await body.drain()
        if not body.ended:
            response.headers["Connection"] = "close"
        return response

    async def _work(self, request: Request, body: "_Body", work: Callable[[Submission], Response]) -> Response:
        events = events_of(request.headers.get("content-type", ""), body.pull(), self.limits.form_octets)
        submission = Submission(events, self.limits.form_octets)
        await body.fill()  # a browser that sends nothing holds no thread
        try:
            async with asyncio.timeout(self.limits.idle):
                await self._turns.acquire()
        except TimeoutError:
            raise FormError(503) from None
        try:
            return await to_thread.run_sync(work, submission, limiter=self._threads)
        finally:
            self._turns.release()


class _Body:
    """The body of one request: read by the event loop, pulled by the thread that works on it."""

    def __init__(self, receive: Receive, limits: UploadLimits) -> None:
        self._receive = receive
        self._limits = limits
        self._deadline = asyncio.get_running_loop().time() + limits.total
        self._front: list[bytes] = []
        self._taken = 0
        self.broken = False  # the client is gone, or was silent for too long
        self.ended = False

    def pull(self) -> Iterator[bytes]:
        """Yield the body piece by piece, in the thread. FormError (400, 408, 413)."""
        while piece := from_thread.run(self._next):
            yield piece

    async def fill(self) -> None:
        """Read the beginning: 64 KiB, or all there is. FormError."""
        while self._taken < _FRONT and (piece := await self._take(self._limits.idle)):
            self._front.append(piece)

    async def drain(self) -> None:
        """Throw the rest away, as much as is reasonable."""
        room = 2 * self._limits.octets
        with suppress(FormError, TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                while room > 0 and not self.broken and (piece := await self._read()):
                    room -= len(piece)

    async def _next(self) -> bytes:
        return self._front.pop(0) if self._front else await self._take(self._limits.idle)

    async def _take(self, idle: float) -> bytes:
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(now + idle, self._deadline)):
                piece = await self._read()
        except TimeoutError:
            self.broken = True
            raise FormError(408) from None
        self._taken += len(piece)
        if self._taken > self._limits.octets:
            raise FormError(413)
        return piece

    async def _read(self) -> bytes:
        """Return the next octets, none at the end."""
        while not self.ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.broken = True
                raise FormError(400)
            self.ended = not message.get("more_body", False)
            if piece := message.get("body", b""):
                return bytes(piece)
        return b""


def _base_name(name: str) -> str:
    """Return a file name without folders: some browsers send the whole path."""
    return name.replace("\\", "/").rpartition("/")[2]
