"""Sockets: listening, TLS contexts, the sweep of deadlines, and stopping without breaking a transaction."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterable

import structlog

from relay.smtp import replies
from relay.smtp.connection import Connection
from relay.smtp.conversation import Conversation
from relay.smtp.door import Door
from relay.smtp.failures import failure
from relay.smtp.implicit_tls import Doorstep
from relay.smtp.proxy import silence_parser

_log = structlog.get_logger()

_BACKLOG = 1024
_SWEEP_EVERY = 1.0  # seconds
_LOOK_EVERY = 60.0  # seconds between looks at the files of certificates: nobody who renews them tells us


def silence_library() -> None:
    """Stop aiosmtpd from logging: it writes addresses at INFO and pieces of messages at DEBUG."""
    library = logging.getLogger("mail.log")
    library.addHandler(logging.NullHandler())
    library.setLevel(logging.CRITICAL + 1)
    library.propagate = False
    silence_parser()


async def watch_certificates(listeners: Iterable["Listener"]) -> None:
    """Look at the certificates of all listeners once a minute, for ever; cancel to stop."""
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        for listener in listeners:
            await asyncio.to_thread(listener.renew_certificate)


class Listener:
    """One listening address and the conversations that came through it.

    With ``reuse_port`` several processes share the port and the kernel deals out connections (SO_REUSEPORT).
    """

    def __init__(self, door: Door, host: str, port: int, *, reuse_port: bool = False) -> None:
        self.door = door
        self.host = host
        self.port = port
        self.conversations: set[Connection] = set()  # each of them a Conversation
        self._reuse_port = reuse_port
        self._server: asyncio.Server | None = None
        self._doorstep: Doorstep | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; ``port`` then names the real port (0 asks for a free one). Raises OSError when it cannot."""
        silence_library()
        if self.door.tls_at_once:
            listening = socket.create_server(
                (self.host, self.port),
                family=socket.AF_INET6 if ":" in self.host else socket.AF_INET,
                backlog=_BACKLOG,
                reuse_port=self._reuse_port,
            )
            listening.setblocking(False)
            self.port = listening.getsockname()[1]
            self._doorstep = Doorstep(self.door, self.conversations, listening)
        else:
            await self._listen_in_the_clear()
        self._sweeper = asyncio.create_task(self._sweep_for_ever())
        _log.info("listening", listener=self.door.name, port=self.port)

    async def _listen_in_the_clear(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Conversation(self.door, self.conversations),
            self.host,
            self.port,
            reuse_port=self._reuse_port or None,
            backlog=_BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def renew_certificate(self) -> bool:
        """Use the files of the certificate from the next handshake on if they have changed, and say whether.

        Sessions that run keep theirs. What cannot be read, or does not fit together, is left for the next time:
        whoever renews a certificate replaces two files, one after the other. Blocking.
        """
        files = self.door.tls_files
        try:
            if files is None or not files.changed():
                return False
            context = files.context()
        except OSError as error:  # ssl.SSLError is one
            _log.warning("certificate not renewed", listener=self.door.name, error=type(error).__name__)
            return False
        if self.door.tls_files is not files:
            return False  # another configuration has come in between, with its own
        self.door.tls = context
        _log.info("certificate renewed", listener=self.door.name)
        return True

    def sweep(self) -> None:
        """Dismiss everybody whose deadline has passed (421, RFC 5321 section 4.5.3.2.7)."""
        now = self.door.now()
        for conversation in [one for one in self.conversations if one.deadline <= now]:
            try:
                conversation.expire()
            except Exception as error:  # noqa: BLE001  # one broken connection must not end all time-outs
                failure(error, **conversation.who())

    async def stop(self, grace: float = 30) -> None:
        """Stop accepting, dismiss idle clients with 421, let transactions finish for ``grace`` seconds.

        After that only messages whose data is complete are waited for, as long as they take: whoever must stop
        for certain puts a time limit around this call. A commit that runs is not cancelled even then.
        """
        if self._server is not None:
            self._server.close()
        if self._doorstep is not None:
            await self._doorstep.close()
        self.door.stopping = True
        self._dismiss(idle_only=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._empty()
        self._dismiss(idle_only=False)
        await self._empty()
        if self._sweeper is not None:
            self._sweeper.cancel()
        _log.info("stopped-listening", listener=self.door.name)

    def _dismiss(self, *, idle_only: bool) -> None:
        for conversation in tuple(self.conversations):
            if conversation.interruptible(transactions_too=not idle_only):
                conversation.dismiss(replies.SHUTTING_DOWN)

    async def _empty(self) -> None:
        """Wait until every conversation has said its last word and closed."""
        while self.conversations:
            await asyncio.wait([one.ended for one in self.conversations])

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            self.sweep()
