"""A next hop that does as it is told: a small SMTP server whose every answer a test can choose."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from relay.config.values import Endpoint

DROP: Final = "drop the connection"
SILENCE: Final = "never answer"
ALL = ("PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
_DEFAULTS = {
    "GREETING": "220 hop.test ESMTP",
    "HELO": "250 hop.test",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    ".": "250 2.0.0 taken",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
    "STARTTLS": "220 2.0.0 go on",
}


@dataclass(frozen=True)
class Taken:
    """One message as it arrived, dots unstuffed, and the commands of its transaction."""

    commands: tuple[str, ...]
    content: bytes


@dataclass
class NextHop:
    """Listens on ``port`` (0: any that is free) of ``address``, which is of loopback, while entered.

    ``answers`` maps the beginning of a command (or ``GREETING``, or ``.`` for the end of data) to an answer,
    or to a list that is used up one by one; the longest match counts, then the ordinary answer. With ``pause`` every
    octet of an answer leaves on its own, so many seconds after the one before.
    """

    answers: dict[str, str | list[str]] = field(default_factory=dict)
    offers: Sequence[str] = ALL
    tls: ssl.SSLContext | None = None
    port: int = 0
    address: str = "127.0.0.1"
    pause: float | None = None
    seen: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    received: bytearray = field(default_factory=bytearray)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(host=self.address, port=self.port)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._met, self.address, self.port, limit=1 << 26)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await _Visit(self, reader, writer).last()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.open_now -= 1
            writer.transport.abort()
            self._tasks.discard(task)

    def chosen(self, command: str) -> str:
        """Return the answer that the test has chosen for a command, empty for none."""
        keys = [key for key in self.answers if command.upper().startswith(key.upper())]
        if not keys:
            return ""
        answer = self.answers[max(keys, key=len)]
        if isinstance(answer, str):
            return answer
        return answer.pop(0) if answer else ""

    def is_chosen(self, command: str) -> bool:
        """Tell whether the test has a say in the answer to a command."""
        return any(command.upper().startswith(key.upper()) for key in self.answers)


class _Visit:
    """One connection, from the greeting to its end."""

    def __init__(self, hop: NextHop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hop = hop
        self._reader = reader
        self._writer = writer
        self._commands: list[str] = []
        self._protected = self._sender = self._accepted = False

    async def last(self) -> None:
        """Talk until either side ends it."""
        if not await self._answer("GREETING"):
            return
        while line := await self._reader.readline():
            self._hop.received += line
            command = line.decode().rstrip("\r\n")
            self._hop.seen.append(command)
            if not await self._obey(command, command.split(" ", maxsplit=1)[0].upper()):
                return

    async def _obey(self, command: str, verb: str) -> bool:
        if verb == "EHLO" and not self._hop.is_chosen(command):
            return await self._hello()
        early = (verb == "RCPT" and not self._sender) or (verb == "DATA" and not self._accepted)
        reply = await self._answer(command, "503 5.5.1 too early" if early and not self._hop.is_chosen(command) else "")
        taken = reply.startswith("2")
        if verb == "MAIL":
            self._sender, self._accepted, self._commands = taken, False, [command]
        elif verb == "RCPT":
            self._accepted = self._accepted or taken
            self._commands.append(command)
        elif verb == "STARTTLS" and taken:
            assert self._hop.tls is not None
            await self._writer.start_tls(self._hop.tls)
            self._protected = True
        elif verb == "DATA" and reply.startswith("3"):
            return await self._data()
        return bool(reply) and verb != "QUIT"

    async def _hello(self) -> bool:
        offers = [one for one in self._hop.offers if not (self._protected and one == "STARTTLS")]
        lines = ["hop.test", *offers]
        await self._say("".join(f"250{' ' if one is lines[-1] else '-'}{one}\r\n" for one in lines).encode())
        return True

    async def _data(self) -> bool:
        lines: list[bytes] = []
        while (line := await self._reader.readline()) != b".\r\n":
            if not line:
                return False
            self._hop.received += line
            lines.append(line.removeprefix(b"."))
        self._hop.seen.append(".")
        reply = await self._answer(".")
        if reply.startswith("2"):
            self._hop.taken.append(Taken(tuple(self._commands), b"".join(lines)))
        return bool(reply)

    async def _answer(self, command: str, instead: str = "") -> str:
        """Answer a command; return the answer, empty when the connection is to end."""
        ordinary = _DEFAULTS.get(command.split(" ", maxsplit=1)[0].upper(), "500 5.5.1 what?")
        answer = instead or self._hop.chosen(command) or ordinary
        if answer == DROP:
            return ""
        if answer == SILENCE:
            await asyncio.Event().wait()
        await self._say(answer.encode() + b"\r\n")
        return answer

    async def _say(self, octets: bytes) -> None:
        pause = self._hop.pause
        for piece in [octets] if pause is None else [octets[at : at + 1] for at in range(len(octets))]:
            self._writer.write(piece)
            await self._writer.drain()
            if pause is not None:
                await asyncio.sleep(pause)
