"""The world around the gateway: a next hop that keeps every mail by mailbox, and can be closed and opened again."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(frozen=True)
class Delivered:
    """One mail as it arrived: the envelope and the bytes."""

    reverse_path: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail as a mail client reads it."""
        return message_from_bytes(self.content, policy=SMTP_POLICY)

    @property
    def text(self) -> str:
        """Its plain text."""
        body = self.message.get_body(("plain",))
        assert body is not None, "the mail has no plain text"
        return str(body.get_content())


class _Server(SMTP):
    line_length_limit = 1 << 24


@dataclass
class PostOffice:
    """Listens on loopback for everything the gateway relays; every wait is bounded."""

    port: int = 0
    delivered: list[Delivered] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)  # address -> answer to RCPT, for example "451 4.7.1 later"
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _server: asyncio.Server | None = None
    _thread: threading.Thread | None = None

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        with self._arrived:
            self.delivered.append(
                Delivered((envelope.mail_from or "").strip("<>"), tuple(envelope.rcpt_tos), envelope.content)
            )
            self._arrived.notify_all()
        return "250 2.0.0 ok"

    def open(self) -> None:
        """Start listening: on the same port as before, or on a free one the first time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()
        self._call(self._open())

    async def _open(self) -> None:
        self._server = await self._loop.create_server(
            lambda: _Server(
                self, hostname="world.test", enable_SMTPUTF8=True, data_size_limit=1 << 27, loop=self._loop
            ),
            "127.0.0.1",
            self.port,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening: the next hop is down."""
        if self._server is not None:
            server, self._server = self._server, None
            self._loop.call_soon_threadsafe(server.close)

    def end(self) -> None:
        """Stop for good."""
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)  # type: ignore[arg-type]

    def of(self, address: str) -> list[Delivered]:
        """Everything in one mailbox, in order of arrival."""
        with self._arrived:
            return [mail for mail in self.delivered if address in mail.recipients]

    def wait_for(self, address: str, count: int = 1, seconds: float = 30) -> list[Delivered]:
        """Wait until ``count`` mails lie in a mailbox and return them; fail with what is there instead."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while len(found := [mail for mail in self.delivered if address in mail.recipients]) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{address} has {len(found)} of {count} mails after {seconds} s"
                self._arrived.wait(left)
        return found
