"""Implicit TLS (RFC 8314 section 3): the handshake comes before the first word.

Clients are counted when they connect, not when their handshake is done: who never shakes hands must not be able to
use up our sockets. That is why connections are accepted here and not by the event loop's own server.
"""

import asyncio
import contextlib
import socket
from dataclasses import replace

import structlog

from relay.smtp.access import client_address, client_network
from relay.smtp.connection import Connection
from relay.smtp.conversation import Conversation
from relay.smtp.door import Door
from relay.smtp.inbox import ConnectionEnded
from relay.smtp.proxy import BadProxyHeader, SocketOctets, Visitor, read_client

_log = structlog.get_logger()

_PAUSE = 1.0  # seconds to wait when no more sockets can be opened


class Doorstep:
    """Accepts connections, counts them, shakes hands, and lets conversations begin."""

    def __init__(self, door: Door, conversations: set[Connection], listening: socket.socket) -> None:
        self._door = door
        self._conversations = conversations
        self._socket = listening
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept_for_ever())

    async def close(self) -> None:
        """Accept nobody any more and cut off who is still shaking hands."""
        waiting = [self._accepting, *self._handshakes]
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        self._socket.close()

    async def _accept_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, peer = await loop.sock_accept(self._socket)
            except OSError as error:  # no descriptors left, or the client is gone already
                _log.warning("accept-failed", listener=self._door.name, error=type(error).__name__)
                await asyncio.sleep(_PAUSE)
                continue
            handshake = loop.create_task(self._shake_hands(connected, peer))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connected: socket.socket, peer: object) -> None:
        visitor = await self._visitor(connected, peer)
        if visitor is None:
            connected.close()
            return
        ip, stranger = visitor.ip, not (visitor.named and self._door.access.trusts(visitor.ip))
        refusal = self._door.admit(ip, connected.fileno(), stranger=stranger, named=visitor.named)
        if refusal is not None:  # said to nobody: a reply in the clear means nothing here
            _log.warning("connection-refused", network=client_network(ip), listener=self._door.name, code=refusal.code)
            connected.close()
            return
        conversation: Conversation | None = None

        def begin() -> Conversation:
            nonlocal conversation
            conversation = Conversation(self._door, self._conversations, entered=replace(visitor, stranger=stranger))
            return conversation

        with contextlib.suppress(OSError):  # it may be gone already
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                begin, connected, ssl=self._door.tls, ssl_handshake_timeout=self._door.patience.handshake
            )
        except OSError as error:  # ssl.SSLError and the time-out are among them
            _log.info(
                "tls-handshake-failed", network=client_network(ip), listener=self._door.name, error=type(error).__name__
            )
        finally:
            if conversation is None or conversation.handler is None:  # it never began
                self._door.occupancy.leave(ip, stranger=stranger)
                if stranger and visitor.named:
                    self._door.strangers.went_without(ip)

    async def _visitor(self, connected: socket.socket, peer: object) -> Visitor | None:
        """Return who has connected; a proxy says so before the handshake. None when it does not, in time."""
        ip, port = client_address(peer)
        if not self._door.access.is_proxy(ip):
            return Visitor(ip, port)
        try:
            async with asyncio.timeout(self._door.patience.handshake):
                found = await read_client(SocketOctets(connected))
        except (BadProxyHeader, ConnectionEnded, OSError, TimeoutError):
            _log.warning("bad-proxy-header", network=client_network(ip), listener=self._door.name)
            return None
        return Visitor(*found) if found else Visitor(ip, port, named=False)
