"""One TCP connection as a conversation uses it: octets in, replies out in groups, TLS, a deadline.

This is the lower half of the replacement for aiosmtpd's command path (its stream, its time-outs, its STARTTLS and
its end-of-file handling); docs/decisions/0007 says why. Its interface stays.
"""

import asyncio
import secrets
import ssl
from abc import ABC, abstractmethod
from asyncio import StreamReaderProtocol
from dataclasses import replace
from typing import Any, cast

import structlog
from aiosmtpd.smtp import SMTP, Session

from relay.smtp import replies
from relay.smtp.access import client_address, client_network
from relay.smtp.door import NEVER, Door
from relay.smtp.inbox import ConnectionEnded, Inbox
from relay.smtp.proxy import BadProxyHeader, Visitor, read_client
from relay.smtp.values import ClientFacts, Reply

_log = structlog.get_logger()


class Connection(SMTP, ABC):
    """The transport side of one client; `relay.smtp.conversation` completes it.

    ``connections`` is the listener's set of those that are alive. ``entered`` names the client that was counted
    already, where somebody else has found out who it is. ``deadline`` is when the listener's sweep calls `expire`, in
    the door's monotonic seconds.
    """

    session: Session
    client: ClientFacts

    def __init__(self, door: Door, connections: "set[Connection]", *, entered: Visitor | None = None) -> None:
        # aiosmtpd's own __init__ spends 0.3 ms on each connection to inspect a handler that we do not use.
        loop = asyncio.get_running_loop()
        StreamReaderProtocol.__init__(self, None, loop=loop)  # type: ignore[arg-type]  # None: the Inbox reads
        self.loop = loop
        self.door = door
        self.hostname = door.hostname
        self.id = secrets.token_hex(5)
        self.inbox = Inbox(self.loop)
        self.deadline = NEVER
        self.leaving = False
        self.handler: asyncio.Task[None] | None = None
        self.ended: asyncio.Future[None] = loop.create_future()  # connection lost and last commit answered
        self._connections = connections
        self._outgoing: list[bytes] = []
        self._wire: asyncio.Transport
        self._visitor = entered
        self._entered = entered is not None
        self._stranger = entered is not None and entered.stranger  # counted so until somebody vouches for it
        self._behind_proxy = False
        self._secured = False
        self._shaking_hands = False
        self._utf8_replies = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = False

    # -- called by the event loop ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the client in and begin, or send it away with 421 (RFC 5321 section 3.8)."""
        self._wire = cast("asyncio.Transport", transport)
        self.transport = transport
        try:
            ip, port = client_address(transport.get_extra_info("peername"))
        except ValueError:  # gone before we looked
            self.leaving = True
            self._wire.abort()
            return
        visitor = self._visitor or Visitor(ip, port)
        self._behind_proxy = self._visitor is None and self.door.access.is_proxy(ip)
        self._is_now(visitor)
        refusal = replies.SHUTTING_DOWN if self.door.stopping else None
        if refusal is None and not self._behind_proxy:
            refusal = self._enter()
        if refusal is not None:
            self._wire.write(replies.encode(refusal))
            self.leaving = True
            self._wire.close()
            return
        self._become_secure()
        self.inbox.attach(self._wire)
        self.session = self._create_session()
        self._connections.add(self)
        self.handler = self.loop.create_task(self._handle_client())
        self.handler.add_done_callback(lambda _: self._part())

    def data_received(self, data: bytes) -> None:
        """Keep octets until the conversation wants them."""
        if not self.leaving:
            self.inbox.feed(data)

    def eof_received(self) -> bool:
        """Note the client's half-close: what it had sent is still answered, and a commit is never interrupted."""
        self.inbox.feed_end()
        return not self._secured

    def connection_lost(self, error: Exception | None) -> None:
        """Note that replies reach nobody any more; a running commit goes on."""
        StreamReaderProtocol.connection_lost(self, error)
        self._gone()

    def pause_writing(self) -> None:
        """Note that the client does not read what we say."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._writable.set()

    # -- called by the conversation ----------------------------------------------------------------

    async def meet(self) -> None:
        """Learn from a proxy's header who is there, and count the client in; without a header the connection ends."""
        if not self._behind_proxy:
            return
        self.deadline = self.door.now() + self.door.patience.handshake
        try:
            found = await read_client(self.inbox)
        except BadProxyHeader:
            _log.warning("bad-proxy-header", **self.who())
            self.leave()
            raise ConnectionEnded from None
        proxy = self.client
        self._is_now(Visitor(*found) if found else Visitor(proxy.ip, proxy.port, named=False))
        refusal = self._enter()
        if refusal is not None:
            self.say(refusal)
            self.leave()
            raise ConnectionEnded

    def who(self) -> dict[str, str]:
        """Return what logs may say about the client: never its full address."""
        return {"session": self.id, "network": client_network(self.client.ip), "listener": self.door.name}

    def vouch(self) -> None:
        """Count a client that has shown who it is among those that are no strangers."""
        if self._stranger and self.door.access.vouches(self.client):
            self._stranger = False
            self.door.occupancy.vouch(self.client.ip)

    def say(self, reply: Reply) -> None:
        """Queue a reply; replies to pipelined commands leave together (RFC 2920 section 3.2)."""
        self._outgoing.append(replies.encode(reply, utf8=self._utf8_replies))

    async def push(self, status: str | bytes) -> None:
        """Send a complete reply, without its CRLF, after all queued ones (the interface of aiosmtpd)."""
        self._outgoing.append((status.encode() if isinstance(status, str) else status) + b"\r\n")
        await self.flush()

    def send(self) -> None:
        """Send what is queued; the transport keeps it while the client does not read."""
        if self._outgoing and not self.leaving:
            self._wire.write(b"".join(self._outgoing))
        self._outgoing.clear()

    async def flush(self) -> None:
        """Send what is queued; wait, up to the deadline, while the client does not read."""
        self.send()
        if not self._writable.is_set() and not self.leaving:
            self.deadline = self.door.now() + self.door.patience.command
            await self._writable.wait()

    def leave(self) -> None:
        """Send what is queued and close; the sweep cuts what is still open after a short farewell."""
        if self.leaving:
            return
        self.send()
        self.leaving = True
        self.deadline = self.door.now() + self.door.patience.farewell
        self.inbox.feed_end()
        self._wire.close()

    async def secure(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake as server; when it fails the connection is gone.

        Nothing that came before survives it (RFC 3207 section 4.2): unread octets are dropped, the session is new.
        """
        # Now is the moment: start_tls() takes over the socket before it first waits, and what the client says
        # right behind its handshake arrives before we go on.
        if dropped := self.inbox.drop():
            _log.warning("injection-before-tls", **self.who(), octets=dropped)
        self._shaking_hands, self._secured = True, True
        self.deadline = NEVER  # the handshake has its own time-out
        try:
            transport = await self.loop.start_tls(
                self._wire, self, context, server_side=True, ssl_handshake_timeout=self.door.patience.handshake
            )
        except OSError as error:  # ssl.SSLError and the time-out are among them
            _log.info("tls-handshake-failed", **self.who(), error=type(error).__name__)
            transport = None
        finally:
            self._shaking_hands = False
        # A connection that was cut in its handshake is lost without a word to us, and start_tls() may even
        # return as if all were well: only an agreed cipher counts.
        if transport is None or transport.get_extra_info("cipher") is None:
            self.leaving = True
            self._wire.abort()
            self._gone()
            return
        self._wire = transport
        self.transport = transport
        self.inbox.attach(transport)
        self.session = self._create_session()
        self.client = replace(self.client, helo="", esmtp=False)
        self._become_secure()

    @abstractmethod
    def interruptible(self, *, transactions_too: bool = False) -> bool:
        """Say whether closing now breaks no transaction, or at least no message whose data is complete."""

    # -- called by the listener --------------------------------------------------------------------

    def dismiss(self, reply: Reply) -> None:
        """Say a last reply and close, from outside the conversation (RFC 5321 section 3.8)."""
        if self.leaving or self._shaking_hands or not self._writable.is_set():
            self.leaving = True
            self.inbox.feed_end()
            self._wire.abort()  # a last reply cannot reach a client that does not read or is not secured yet
        else:
            _log.info("dismissed", **self.who(), code=reply.code, enhanced=reply.enhanced)
            self.say(reply)
            self.leave()

    def expire(self) -> None:
        """Act on a deadline that has passed."""
        self.dismiss(replies.TIMED_OUT)

    # -- own ---------------------------------------------------------------------------------------

    def _is_now(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self.client = ClientFacts(visitor.ip, visitor.port, trusted=self.in_trusted_network, listener=self.door.name)

    @property
    def in_trusted_network(self) -> bool:
        """Whether this client may send without signing in, as the listener's networks are now."""
        visitor = self._visitor
        return visitor is not None and visitor.named and self.door.access.trusts(visitor.ip)

    def _enter(self) -> Reply | None:
        """Count the client in unless that was done; or say why it must go away."""
        if self._entered or self._visitor is None:
            return None
        self._stranger = not self.in_trusted_network
        descriptor = self._wire.get_extra_info("socket").fileno()
        refusal = self.door.admit(self.client.ip, descriptor, stranger=self._stranger, named=self._visitor.named)
        self._entered = refusal is None
        if refusal is not None:
            _log.warning("connection-refused", **self.who(), code=refusal.code, enhanced=refusal.enhanced)
        return refusal

    def _become_secure(self) -> None:
        """Note what TLS there is on the wire."""
        cipher = self._wire.get_extra_info("cipher")  # name, protocol that brought it, secret bits
        if cipher is not None:
            self._secured = True
            tls: ssl.SSLObject = self._wire.get_extra_info("ssl_object")
            self.client = replace(
                self.client, tls_version=tls.version() or cipher[1], cipher=cipher[0], certificate=_names(tls)
            )
            self.vouch()

    def _gone(self) -> None:
        self._lost = self.leaving = True
        self.deadline = NEVER
        self.inbox.feed_end()
        self._writable.set()
        self._part()

    def _part(self) -> None:
        """Count the client out when the connection is lost and no commit runs for it any more."""
        if self._lost and self.handler is not None and self.handler.done() and not self.ended.done():
            self._connections.discard(self)
            if self._entered:
                self.door.occupancy.leave(self.client.ip, stranger=self._stranger)
            self.ended.set_result(None)


def _names(tls: ssl.SSLObject) -> tuple[str, ...]:
    """Return the DNS names of the client's certificate; without verification OpenSSL shows none."""
    shown: Any = tls.getpeercert() or {}
    return tuple(name.lower() for kind, name in shown.get("subjectAltName", ()) if kind == "DNS")
