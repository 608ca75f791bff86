"""TLS without a socket: a client that says STARTTLS and goes on over TLS, its octets cut wherever a test wants."""

import asyncio
import ssl
from asyncio.protocols import _feed_data_to_buffered_proto  # type: ignore[attr-defined]
from collections.abc import Callable, Iterable

from relay.smtp.connection import Connection
from tests.unit.relay.smtp.in_memory import Accepted, Intake, Wire, connect, turns

Cut = Callable[[bytes], Iterable[bytes]]


class TlsWire(Wire):
    """A wire that the event loop can put TLS upon."""

    _start_tls_compatible = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol  # type: ignore[assignment]

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def _force_close(self, _error: BaseException | None) -> None:
        """End as asyncio's own transports do where TLS fails: what a client says after our goodbye is such a failure."""
        self.abort()

    def feed(self, octets: bytes) -> None:
        if isinstance(self.protocol, asyncio.BufferedProtocol):
            _feed_data_to_buffered_proto(self.protocol, octets)
        else:
            self.protocol.data_received(octets)


class SecuredWire(Wire):
    """A wire with TLS on it already, as far as anybody asks."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        known = {"cipher": ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256), "ssl_object": _Tls()}
        return known.get(name) or super().get_extra_info(name, default)


class _Tls:
    def version(self) -> str:
        return "TLSv1.3"

    def getpeercert(self) -> None:
        return None


class TlsClient:
    """The client's end of a `TlsWire`: its TLS, and what it has read in the clear."""

    def __init__(self, wire: TlsWire, context: ssl.SSLContext, cut: Cut) -> None:
        self._wire = wire
        self._cut = cut
        self._seen = len(wire.said)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="mx.example")
        self._shaken = False
        self.read = b""

    async def pump(self, said: bytes = b"") -> None:
        """Say something, and exchange octets until neither side has any left."""
        more = True
        while more:
            said = self._step(said)
            out = self._out.read()
            for piece in self._cut(out) if out else ():
                self._wire.feed(piece)
                await turns()
            await turns()
            more = bool(out) or len(self._wire.said) > self._seen

    def _step(self, said: bytes) -> bytes:
        self._in.write(self._wire.said[self._seen :])
        self._seen = len(self._wire.said)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            if said:
                self._tls.write(said)
                said = b""
            while piece := self._tls.read(1 << 16):
                self.read += piece
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return said


async def converse_over_tls(
    clear: bytes, secret: bytes, cut: Cut, *, server: ssl.SSLContext, client: ssl.SSLContext, **options: object
) -> tuple[bytes, bytes, list[Accepted]]:
    """Say ``clear`` (it ends in STARTTLS), shake hands, say ``secret``.

    Returns what the server said in the clear and over TLS, and what was accepted.
    """
    intake = Intake()
    connections: set[Connection] = set()
    conversation, wire = connect(intake, connections, wire=TlsWire(), tls=server, **options)
    assert isinstance(wire, TlsWire)
    for piece in cut(clear):
        wire.feed(piece)
        await turns()
    in_the_clear = wire.said
    talking = TlsClient(wire, client, cut)
    await talking.pump(secret)
    wire.close()
    await asyncio.wait_for(conversation.ended, 5)
    assert not connections
    return in_the_clear, talking.read, intake.accepted
