"""Large messages on their way to disk: the same octets and the same answers as in memory, and never more in between."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import StoreFullError
from relay.memory import LARGE, Room
from relay.smtp import replies
from relay.smtp.access import Limits
from relay.smtp.data import Content, DataReader
from relay.smtp.inbox import HIGH_WATER
from relay.smtp.overflow import Disk
from relay.smtp.values import ClientFacts, Reply, SmtpEnvelope
from tests.unit.relay.smtp.in_memory import connect, turns

TOKENS = st.sampled_from([b"\r", b"\n", b".", b"x", b"\r\n", b"\r\n.", b"..", b"\0", b"longer text"])
BLOCKS = st.lists(st.lists(TOKENS, max_size=5).map(b"".join), min_size=1, max_size=8)
MAIL = b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\n"


_LIMITS = Limits(message_size=8 << 20)


async def _refuse(_envelope: SmtpEnvelope, _content: object, _client: ClientFacts) -> Reply:
    raise AssertionError("nothing was complete")


class Pad:
    """A disk that is a list. ``gate`` holds its writers up; ``error`` is what they meet."""

    def __init__(self) -> None:
        self.octets = b""
        self.complete = self.dropped = False
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    @property
    def size(self) -> int:
        return len(self.octets)

    def write(self, octets: bytes | bytearray) -> None:
        self.gate.wait(10)
        if self.error:
            raise self.error
        self.octets += octets

    def finish(self) -> None:
        self.complete = True

    def beginning(self, octets: int) -> bytes:
        return self.octets[:octets]

    def drop(self) -> None:
        self.dropped = True


@given(BLOCKS, st.booleans())
def test_disk_and_memory_agree(blocks: list[bytes], mend: bool) -> None:
    """However the octets are cut, what is kept and what is said are the same; memory is given back."""
    in_memory = Content(limit=60, room=Room(1000), mend_lines=mend)
    room, pad = Room(0), Pad()  # with no octet left everything goes to disk at once

    async def body() -> bytes:
        with ThreadPoolExecutor(1) as threads:
            on_disk = Content(limit=60, room=room, mend_lines=mend, disk=Disk(lambda: pad, threads))
            both = DataReader(in_memory), DataReader(on_disk)
            for block in [*blocks, b"\r\n.\r\n"]:
                rest = [reader.feed(block) for reader in both]
                assert rest[0] == rest[1]
                if on_disk.overfull:
                    await on_disk.overflow()
                if rest[0] is not None:
                    break
            assert on_disk.problem() == in_memory.problem()
            kept = b""
            if not on_disk.problem() and on_disk.on_disk:
                kept = cast("Pad", await on_disk.complete()).octets
            on_disk.release()
        return kept

    assert asyncio.run(body()) == (b"" if in_memory.problem() else in_memory.take())
    assert room.left == 0
    assert pad.dropped == (in_memory.problem() is not None and pad.size > 0) or not pad.size


def test_the_socket_waits_for_the_disk() -> None:
    """While the disk is behind no more is read than fits, and the client is not timed out for it; then all goes on."""
    pad = Pad()
    accepted: list[object] = []

    async def accept(_envelope: SmtpEnvelope, content: object, _client: ClientFacts) -> Reply:
        accepted.append(content)
        return Reply(250, "2.6.0", "queued")

    async def body() -> None:
        with ThreadPoolExecutor(1) as threads:
            pad.gate.clear()
            conversation, wire = connect(accept, set(), disk=Disk(lambda: pad, threads), limits=_LIMITS)
            conversation.data_received(MAIL)
            await turns()
            line = b"x" * 998 + b"\r\n"
            sent = 0
            while not wire.paused:
                conversation.data_received(line * 100)
                sent += len(line) * 100
                await turns()
            assert sent <= LARGE + HIGH_WATER + 3 * len(line) * 100
            assert conversation.deadline == float("inf")
            pad.gate.set()
            conversation.data_received(b".\r\n")
            while not accepted:  # noqa: ASYNC110  # a thread is at work
                await asyncio.sleep(0.001)
            await turns()
            assert not wire.paused
            assert b"250 2.6.0 queued" in wire.said
            assert (pad.complete, pad.size) == (True, sent)
            wire.close()
            await asyncio.wait_for(conversation.ended, 5)
        assert pad.dropped  # by the door, when the intake had answered

    asyncio.run(body())


def test_a_conversation_that_is_cancelled_drops_what_it_wrote() -> None:
    """Also while a thread is writing: the drop comes behind it."""
    pad = Pad()

    async def body() -> None:
        with ThreadPoolExecutor(1) as threads:
            pad.gate.clear()
            conversation, _ = connect(_refuse, set(), disk=Disk(lambda: pad, threads), limits=_LIMITS)
            conversation.data_received(MAIL + b"x\r\n" * LARGE)
            await turns()
            assert conversation.handler is not None
            conversation.handler.cancel()
            await asyncio.wait([conversation.handler])
            assert not pad.dropped
            pad.gate.set()
        assert pad.dropped
        assert conversation.door.occupancy.memory.left == conversation.door.occupancy.memory.size

    asyncio.run(body())


def test_a_fault_is_told_at_the_true_end() -> None:
    """What is wrong with the message itself comes first, as it does in memory."""
    pad = Pad()
    pad.error = StoreFullError("full")

    async def body() -> None:
        with ThreadPoolExecutor(1) as threads:
            for end, problem in ((b"", None), (b"bare\rcr\r\n", replies.BARE_CR)):
                content = Content(limit=100, room=Room(0), disk=Disk(lambda: pad, threads))
                content.add(b"one\r\n")
                await content.overflow()
                content.add(b"two\r\n" + end)
                assert not content.overfull
                assert content.problem() == problem
                assert content.on_disk
                with pytest.raises(StoreFullError):
                    await content.complete()

    asyncio.run(body())
