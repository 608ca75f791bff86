"""The world of a drill: a next hop that notes each copy it takes, before it says so."""

import asyncio
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP

_KEPT = 64 << 10  # octets of a mail above which only its fingerprint is kept
_OUR_TRACE = re.compile(rb"^Received: [^\r]*(?:\r\n[ \t][^\r]*)*?\bid ([a-z2-7]{26})\b", re.MULTILINE)
_OUR_ID = re.compile(rb"^Message-ID: <([a-z2-7]{26})@letter\.example\.org>", re.MULTILINE | re.IGNORECASE)
_ADDRESS = re.compile(rb"<([^>]*)>")


@dataclass(frozen=True)
class Copy:
    """One mail for one recipient as it arrived. ``queue_id`` is that of Letterlock's trace or of its own Message-ID."""

    recipient: str
    queue_id: str
    message_id: str
    subject: str
    fingerprint: bytes
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The plain text of a small mail."""
        body = message_from_bytes(self.content, policy=SMTP).get_body(("plain",))
        return "" if body is None else str(body.get_content())


@dataclass
class Sink:
    """Listens on loopback, in a thread of its own, on two ports: the second one does not know PIPELINING.

    ``refusals`` are answers to RCPT by address, ``greylist`` such that are given the first, third, fifth… time.
    ``copies`` are in order of arrival.
    """

    refusals: dict[str, str] = field(default_factory=dict)
    greylist: dict[str, str] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    ports: tuple[int, int] = (0, 0)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _guests: set[asyncio.Task[None]] = field(default_factory=set)
    _open: Counter[str] = field(default_factory=Counter)  # connections by the name that was said in EHLO
    _asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="sink")

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self.ports = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Listen no more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def until(self, condition: Callable[[list[Copy]], bool], what: str, seconds: float = 60) -> None:
        """Wait until something is true of the copies that have arrived."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.copies), seconds), f"after {seconds} s: {what}"

    def heard_out(self, host: str) -> int:
        """Wait until a gateway that is gone has been heard to the end; return how many copies had arrived by then."""
        with self._changed:
            heard = self._changed.wait_for(lambda: not self._open[host] and not self._open[""], 20)
            assert heard, f"connections stay open: {self._open}"
            return len(self.copies)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._guests:
            task.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)

    async def _listen(self) -> tuple[int, int]:
        self._servers = [
            await asyncio.start_server(hear, "127.0.0.1", 0, limit=1 << 26)
            for hear in (lambda r, w: self._hear(r, w, "PIPELINING"), lambda r, w: self._hear(r, w, "8BITMIME"))
        ]
        one, two = (server.sockets[0].getsockname()[1] for server in self._servers)
        return one, two

    def _count(self, by: dict[str, int]) -> None:
        with self._changed:
            self._open.update(by)
            self._changed.notify_all()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, offer: str) -> None:
        names = [""]
        self._count({"": 1})
        guest = asyncio.current_task()
        assert guest is not None
        self._guests.add(guest)
        guest.add_done_callback(self._guests.discard)
        try:
            await self._converse(reader, writer, offer, names)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # it was killed
        finally:
            writer.transport.abort()
            self._count({names[-1]: -1})

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, offer: str, names: list[str]
    ) -> None:
        recipients: list[str] = []
        writer.write(b"220 world.test ESMTP\r\n")
        while line := await reader.readline():
            match line[:4].upper():
                case b"EHLO":
                    names.append(line[5:].strip().decode())
                    self._count({names[-2]: -1, names[-1]: 1})
                    answer = f"250-world.test\r\n250-{offer}\r\n250-8BITMIME\r\n250 SMTPUTF8"
                case b"RCPT":
                    found = _ADDRESS.search(line)
                    address = found[1].decode() if found else ""
                    answer = self._answer(address)
                    recipients += [address] if answer.startswith("250") else []
                case b"DATA" if recipients:
                    writer.write(b"354 go on\r\n")
                    content = await reader.readuntil(b"\r\n.\r\n")
                    self._take(recipients, content[:-3])
                    recipients = []
                    answer = "250 2.0.0 taken"
                case b"DATA":
                    answer = "503 5.5.1 for whom?"
                case b"QUIT":
                    return
                case _:
                    recipients = [] if line[:4].upper() in {b"MAIL", b"RSET"} else recipients
                    answer = "250 2.0.0 ok"
            writer.write(answer.encode() + b"\r\n")

    def _answer(self, address: str) -> str:
        """Return what RCPT is answered with."""
        if address in self.greylist:
            self._asked[address] += 1
            if self._asked[address] % 2:
                return self.greylist[address]
        return self.refusals.get(address, "250 2.1.5 ok")

    def _take(self, recipients: list[str], stuffed: bytes) -> None:
        content = stuffed.replace(b"\r\n..", b"\r\n.")
        head = content.partition(b"\r\n\r\n")[0]
        ours = _OUR_ID.search(head)
        trace = _OUR_TRACE.search(head)
        message = message_from_bytes(head + b"\r\n\r\n", policy=SMTP)
        with self._changed:
            self.copies += [
                Copy(
                    recipient,
                    ours[1].decode() if ours else trace[1].decode() if trace else "",
                    str(message["Message-ID"] or ""),
                    str(message["Subject"] or ""),
                    hashlib.sha256(content).digest(),
                    content if len(content) <= _KEPT else b"",
                )
                for recipient in recipients
            ]
            self._changed.notify_all()
