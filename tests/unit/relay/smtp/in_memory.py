"""A conversation without a socket: octets go in, what the server says comes out."""

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import ip_network

from relay.smtp.access import Access, Limits, Occupancy
from relay.smtp.connection import Connection
from relay.smtp.conversation import Conversation
from relay.smtp.door import Door
from relay.smtp.overflow import OnDisk
from relay.smtp.values import ClientFacts, Reply, SmtpEnvelope

Accepted = tuple[SmtpEnvelope, bytes]


class Closed:
    """A socket that takes no descriptor."""

    def fileno(self) -> int:
        return -1


class Wire(asyncio.Transport):
    """A transport whose other end is this object."""

    def __init__(self, peer: object = ("127.0.0.1", 40000)) -> None:
        super().__init__({"peername": peer, "socket": Closed()})
        self.said = b""
        self.closed = False
        self.paused = False
        self.protocol: asyncio.Protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def is_reading(self) -> bool:
        return not self.paused

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class Intake:
    """Accepts everything and remembers it."""

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []

    async def __call__(self, envelope: SmtpEnvelope, content: bytes | OnDisk, client: ClientFacts) -> Reply:  # noqa: ARG002
        assert isinstance(content, bytes)
        self.accepted.append((envelope, content))
        return Reply(250, "2.6.0", "queued")


def door(intake: Callable[..., object], **options: object) -> Door:
    """Return a door with small limits that trusts loopback."""
    values: dict[str, object] = {
        "name": "test",
        "hostname": "mx.example",
        "access": Access((ip_network("127.0.0.0/8"),)),
        "limits": Limits(message_size=1000),
        "occupancy": Occupancy(),
    }
    return Door(accept=intake, **(values | options))  # type: ignore[arg-type]


def connect(
    intake: Callable[..., object], connections: set[Connection], *, wire: Wire | None = None, **options: object
) -> tuple[Conversation, Wire]:
    """Return a conversation that was just connected, and its wire."""
    conversation, wire = Conversation(door(intake, **options), connections), wire or Wire()
    wire.protocol = conversation
    conversation.connection_made(wire)
    return conversation, wire


async def converse(
    pieces: Sequence[bytes], *, half_close: bool = True, wire: type[Wire] = Wire, **options: object
) -> tuple[bytes, list[Accepted]]:
    """Feed the pieces one by one, each after the server has used up the last; return replies and what was accepted."""
    intake = Intake()
    connections: set[Connection] = set()
    conversation, connected = connect(intake, connections, wire=wire(), **options)
    for piece in pieces:
        conversation.data_received(piece)
        await turns()
    if half_close:
        conversation.eof_received()
    else:
        connected.close()
    await asyncio.wait_for(conversation.ended, 5)
    assert not connections
    return connected.said, intake.accepted


async def turns() -> None:
    """Let the loop turn often enough for everything that can happen to have happened."""
    for _ in range(6):
        await asyncio.sleep(0)
