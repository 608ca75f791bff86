"""Octets that arrived and were not used yet: cut into command lines, blocks, or exact numbers of octets.

aiosmtpd reads through a StreamReader, line by line, ends commands at a bare LF, and loses what a client had sent
before it half-closed. This takes its place: nothing is copied more than once, a command ends at CRLF only
(RFC 5321 sections 2.3.8 and 4.1.1), and what is read never depends on how the network cut it.
"""

import asyncio

HIGH_WATER = 128 << 10  # octets waiting unused, above which the socket is not read any more
LOW_WATER = 32 << 10
LINE_LIMIT = 2048  # octets of one command with its CRLF: room for every extension we offer (RFC 5321 4.5.3.1.4)


class ConnectionEnded(Exception):  # noqa: N818  # not an error: clients leave
    """No more octets will come."""


class LineTooLong(Exception):  # noqa: N818  # the client's error, an expected event
    """A command line is longer than `LINE_LIMIT`; the rest of it will be skipped."""


class BareLineEnd(Exception):  # noqa: N818  # the client's error, an expected event
    """A command line holds a LF without CR; what follows up to CRLF will be skipped."""


def joined(held: bytes | bytearray, more: bytes) -> bytes | bytearray:
    """Return ``held``, which is the caller's only, with ``more`` behind it.

    A large piece behind nothing is not copied; many small ones cost no more memory than their octets.
    """
    if not held:
        return more
    if isinstance(held, bytes):
        held = bytearray(held)
    held += more
    return held


class Inbox:
    """The unread octets of one connection; ``pause`` and ``resume`` act on its transport.

    One coroutine reads, the transport's callbacks feed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._octets: bytes | bytearray = b""  # what came in one piece stays as it came until some of it is used
        self._scanned = 0  # octets at the front that hold no LF
        self._skipping = False  # inside a line that was refused already
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.ReadTransport | None = None
        self._paused = False
        self.received = 0  # octets ever fed; deadlines and tests look at it

    def attach(self, transport: asyncio.ReadTransport) -> None:
        """Name the transport to pause while too much waits unused (again after STARTTLS)."""
        self._transport = transport
        self._paused = False

    def feed(self, octets: bytes) -> None:
        """Take octets from the transport."""
        self.received += len(octets)
        self._octets = joined(self._octets, octets)
        if len(self._octets) > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def feed_end(self) -> None:
        """Note that nothing more will come; what is there is still read."""
        self._ended = True
        self._wake()

    def drop(self) -> int:
        """Forget everything unread and return how many octets that was (RFC 3207 section 4.2)."""
        dropped = len(self._octets)
        self._use(dropped)
        self._skipping = False
        return dropped

    @property
    def waiting(self) -> bool:
        """Whether the conversation has used everything and waits for more."""
        return self._waiter is not None and not self._waiter.done()

    def line(self) -> bytes | None:
        """Return the next command without its CRLF, or None when it has not arrived yet.

        Raises LineTooLong or BareLineEnd as soon as that is certain, once for each such line.
        """
        while True:
            octets = self._octets
            at = octets.find(b"\n", self._scanned)
            if at < 0:
                self._set_aside()
                return None
            whole = at > 0 and octets[at - 1] == 13  # noqa: PLR2004  # CR
            if self._skipping:
                self._use(at + 1)
                self._skipping = not whole
                continue
            if at >= LINE_LIMIT:
                raise self._refuse(LineTooLong, at + 1, skip=not whole)
            if not whole:
                raise self._refuse(BareLineEnd, at + 1, skip=True)
            line = bytes(octets[: at - 1])
            self._use(at + 1)
            return line

    def _set_aside(self) -> None:
        """Remember that what is here holds no LF, or drop it when it belongs to a refused line."""
        if self._skipping:  # keep one octet: it may be the CR of the CRLF that ends the line
            self._use(max(0, len(self._octets) - 1))
            self._scanned = 0
        elif len(self._octets) > LINE_LIMIT:
            raise self._refuse(LineTooLong, len(self._octets) - 1, skip=True)
        else:
            self._scanned = len(self._octets)

    def _refuse(self, event: type[LineTooLong | BareLineEnd], used: int, *, skip: bool) -> LineTooLong | BareLineEnd:
        self._use(used)
        self._skipping = skip
        return event()

    async def block(self) -> bytes:
        """Return all that has arrived, at least one octet; raises ConnectionEnded when nothing more will come."""
        while not self._octets:
            await self.more()
        block = bytes(self._octets)
        self._use(len(block))
        return block

    def put_back(self, octets: bytes) -> None:
        """Return the unused rest of a block to the front."""
        if octets:
            self._octets = octets + self._octets

    async def some(self, most: int) -> bytes:
        """Return between one and ``most`` octets; raises ConnectionEnded when nothing more will come."""
        while not self._octets:
            await self.more()
        block = bytes(self._octets[:most])
        self._use(len(block))
        return block

    async def more(self) -> None:
        """Wait until something new has arrived; raises ConnectionEnded when nothing more will come."""
        if self._ended:
            raise ConnectionEnded
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _use(self, octets: int) -> None:
        if octets == len(self._octets):
            self._octets = b""
        elif isinstance(self._octets, bytes):
            self._octets = bytearray(memoryview(self._octets)[octets:])  # from now on, what is used costs no copy
        else:
            del self._octets[:octets]
        self._scanned = 0
        if self._paused and len(self._octets) < LOW_WATER and self._transport is not None:
            self._paused = False
            if not self._ended:
                self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
