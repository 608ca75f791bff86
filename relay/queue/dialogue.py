"""The client's half of an SMTP dialogue: aiosmtplib's protocol, taught command groups (RFC 2920).

aiosmtplib sends one command and waits for one reply; what arrives beyond that it throws away, so it cannot
pipeline. Here replies are counted: each group says how many it expects, and an octet nobody asked for spoils
the connection. That also closes STARTTLS injection (RFC 3207) and keeps a "421 idle" that came between two
messages from being taken for the answer to the next command.
"""

import asyncio
import math
import re
import ssl
from collections import deque
from typing import cast

from aiosmtplib.errors import SMTPException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from relay.queue.alarm import Alarm

REPLY_LIMIT = 32 * 1024  # octets of one reply, all its lines: generous for any EHLO
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)


class Dialogue(SMTPProtocol):
    """One connection to a next hop. ``fault`` says in words why the dialogue is over, ``silent`` that time ran out.

    Nothing here raises but TimeoutError, out of any wait that outlasts what was allowed (`allow`) for all of them
    together. Not for use by two tasks at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.fault = ""
        self.silent = False
        self._bound = math.inf
        self._late = False  # a time limit has passed
        self._alarm = Alarm(loop, self._time_is_over)
        self._received: deque[SMTPResponse] = deque()
        self._owed = 1  # the greeting
        self._answered: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def usable(self) -> bool:
        """Tell whether another command may be sent."""
        return not self.fault and self.is_connected

    def data_received(self, data: bytes) -> None:
        """Cut what arrived into replies; anything that is not owed ends the dialogue."""
        self._buffer += data
        while self._buffer and not self.fault:
            if not self._owed:
                self._spoil("the next hop spoke out of turn")
                return
            try:
                reply, used = _first_reply(self._buffer)
            except ValueError as error:
                self._spoil(str(error))
                return
            if reply is None:
                return
            del self._buffer[:used]
            self._owed -= 1
            self._received.append(reply)
        if not self._owed:
            self._wake()

    def eof_received(self) -> bool:
        """Take the end of the next hop's stream for the end of the connection."""
        self._spoil("the next hop closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits for a reply that will not come."""
        super().connection_lost(exc)
        self._spoil("the connection was lost")
        self._writable.set()

    def pause_writing(self) -> None:
        """Let `drained` wait: the socket's buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let `drained` go on."""
        self._writable.set()

    async def greeting(self, seconds: float) -> SMTPResponse | None:
        """Return the greeting, or None with ``fault`` set."""
        replies = await self._replies(1, seconds)
        return replies[0] if replies else None

    async def exchange(self, *commands: bytes, seconds: float) -> list[SMTPResponse]:
        """Send commands in one write and return their replies, in order.

        Each reply has ``seconds`` after the one before. Fewer replies than commands means that the dialogue
        broke. The commands carry no line end; a control character in one is a programming error (ValueError).
        """
        for command in commands:
            if _CONTROL.search(command):
                raise ValueError("a control character in an SMTP command")
        self.send(b"\r\n".join(commands) + b"\r\n", replies=len(commands))
        return await self._replies(len(commands), seconds)

    def send(self, octets: bytes, *, replies: int) -> None:
        """Write octets as they are; they will be answered by ``replies`` replies."""
        if not self.usable:
            self._spoil("the connection was lost")
            return
        self._owed += replies
        self.write(octets)

    async def drained(self, seconds: float) -> bool:
        """Wait until the next hop has taken most of what was written; False when it did not in time."""
        if not self._writable.is_set():
            left = self.left()
            try:
                async with asyncio.timeout(min(seconds, left)):
                    await self._writable.wait()
            except TimeoutError:
                if left <= seconds:
                    raise
                self._fall_silent("timed out while the next hop took the message")
        return self.usable

    def allow(self, seconds: float) -> None:
        """Let all that follows take so many seconds at most, however long each step may; infinity is no limit."""
        self._bound = self._loop.time() + seconds

    def left(self) -> float:
        """Return how many seconds are left until the end of what was allowed."""
        return self._bound - self._loop.time()

    async def final_reply(self, seconds: float) -> SMTPResponse | None:
        """Return the reply owed for a finished message, or None with ``fault`` set."""
        replies = await self._replies(1, seconds)
        return replies[0] if replies else None

    async def secure(self, context: ssl.SSLContext, hostname: str, seconds: float) -> SMTPResponse | None:
        """Send STARTTLS and do the handshake (RFC 3207).

        Return None when the connection is now protected; the reply when the next hop declined; None with
        ``fault`` set when anything went wrong. Octets that arrive in clear after the 220 end the dialogue.
        """
        self._owed += 1
        try:
            await self.start_tls(context, server_hostname=hostname, timeout=seconds)
        except SMTPException as error:
            code = getattr(error, "code", 0)
            if code and not self.fault:
                return SMTPResponse(code, str(error.message))
            self._spoil("the connection was lost in the TLS handshake")
        except (OSError, ssl.SSLError) as error:
            self._spoil(f"TLS handshake failed: {_tls_reason(error)}")
        return None

    # The library's name and signature, hence a timeout that is an argument.
    async def read_response(self, timeout: float | None = None) -> SMTPResponse:  # noqa: ASYNC109
        """Serve the library's own `start_tls`."""
        replies = await self._replies(1, timeout or 0)
        if not replies or self.fault:
            raise SMTPServerDisconnected(self.fault)
        return replies[0]

    def hang_up(self) -> None:
        """Close the connection at once, without a word: what was written but not taken is dropped."""
        self._spoil("we closed the connection")

    async def _replies(self, count: int, seconds: float) -> list[SMTPResponse]:
        while self._owed and not self.fault:
            before, left = self._owed, self.left()
            self._answered = self._loop.create_future()
            self._late = False
            self._alarm.set(min(seconds, left))
            try:
                await self._answered
            finally:
                self._alarm.off()
                self._answered = None
            if self._late and left <= seconds:
                raise TimeoutError
            if self._late and self._owed == before:
                self._fall_silent("timed out waiting for a reply")
        return [self._received.popleft() for _ in range(min(count, len(self._received)))]

    def _fall_silent(self, why: str) -> None:
        self.silent = not self.fault
        self._spoil(why)

    def _spoil(self, why: str) -> None:
        self.fault = self.fault or why
        self._alarm.close()
        self._wake()
        # uvloop's transports are no subclasses of asyncio.Transport, so that a cast must do.
        transport = cast(asyncio.Transport | None, self.transport)
        if transport is not None and not transport.is_closing():
            transport.abort()

    def _time_is_over(self) -> None:
        self._late = True
        self._wake()

    def _wake(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)


def _first_reply(buffer: bytearray) -> tuple[SMTPResponse | None, int]:
    """Return the first complete reply and its length, or (None, 0); ValueError when it never can be one."""
    start, texts = 0, []
    while (end := buffer.find(b"\n", start)) != -1:
        line = _LINE.fullmatch(bytes(buffer[start:end]).rstrip(b"\r"))
        if line is None:
            raise ValueError("the next hop sent something that is no SMTP reply")
        texts.append((line[3] or b"").decode("utf-8", "replace"))
        start = end + 1
        if start > REPLY_LIMIT:
            break
        if line[2] != b"-":
            return SMTPResponse(int(line[1]), "\n".join(texts)), start
    if len(buffer) > REPLY_LIMIT:
        raise ValueError("the next hop sent a reply without end")
    return None, 0


def _tls_reason(error: OSError) -> str:
    return getattr(error, "verify_message", "") or getattr(error, "reason", "") or type(error).__name__
