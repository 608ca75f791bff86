"""Failures of our own: one id for the client and the log, the exception's text for nobody."""

import asyncio
import re

from structlog.testing import capture_logs

from relay.errors import StoreFullError
from relay.memory import Room
from relay.smtp.access import Occupancy
from relay.smtp.failures import failure
from relay.smtp.values import Reply
from tests.unit.relay.smtp.in_memory import connect, converse, turns

MESSAGE = b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\ntext\r\n.\r\n"
SECRET = "/var/secret ann@client.example"


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_one_id_and_no_text() -> None:
    """The reply's id is in the log, with the class and the places, without the text."""
    with capture_logs() as logs:
        reply = failure(raised(OSError(28, SECRET)), session="abc")
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    identifier = re.search(r"[0-9a-f]{12}", reply.text)
    assert identifier
    assert logs[0]["id"] == identifier[0]
    assert logs[0]["error"] == "OSError"
    assert any("test_failures.py" in place for place in logs[0]["at"])
    assert SECRET not in str(logs) + reply.text


def test_full_storage_is_452() -> None:
    """A full disk is a temporary matter (RFC 5321 section 4.5.3.1.9)."""
    assert failure(raised(StoreFullError(SECRET))).code == 452


def test_cancelled_intake_is_451() -> None:
    """An intake that was cancelled by somebody else is a failure like any other; the session goes on."""

    async def accept(*_: object) -> Reply:
        raise asyncio.CancelledError

    async def body() -> bytes:
        conversation, wire = connect(accept, set())
        for said in (MESSAGE, b"NOOP\r\n"):
            conversation.data_received(said)
            await turns()
        conversation.eof_received()
        await conversation.ended
        return wire.said

    said = asyncio.run(body())
    assert b"451 4.3.0 internal error" in said
    assert said.endswith(b"250 2.0.0 OK\r\n")


def test_failure_within_data() -> None:
    """When we fail in the middle of a message its other half is not taken for commands: 451, and the end."""

    class Broken(Room):
        def take(self, octets: int) -> bool:
            raise MemoryError(octets)

    occupancy = Occupancy()
    occupancy.memory = Broken(1 << 20)

    head, tail = MESSAGE.split(b"text\r\n")
    said, accepted = asyncio.run(
        converse([head + b"text\r\n", b"MAIL FROM:<x@c.example>\r\n" + tail], occupancy=occupancy)
    )
    assert re.search(rb"354 [^\r]*\r\n451 4\.3\.0 internal error [0-9a-f]{12}, try again later\r\n\Z", said)
    assert accepted == []


def test_intake_outlives_a_cancelled_conversation() -> None:
    """Cancelling the conversation (a loop that is torn down) does not cancel the commit."""
    done: list[object] = []

    async def body() -> None:
        gate = asyncio.Event()

        async def accept(_envelope: object, content: bytes, _client: object) -> Reply:
            await gate.wait()
            done.append(content)
            return Reply(250, "2.6.0", "queued")

        conversation, _ = connect(accept, set())
        conversation.data_received(MESSAGE)
        await turns()
        assert conversation.handler is not None
        conversation.handler.cancel()
        await turns()
        gate.set()
        await turns()

    asyncio.run(body())
    assert done == [b"text\r\n"]


def test_the_client_hears_before_anything_else_begins() -> None:
    """What the intake began in its last step, such as a delivery, finds the reply on its way already."""
    found: list[bool] = []

    async def body() -> None:
        async def begun() -> None:
            found.append(b"250 2.6.0 queued" in wire.said)

        async def accept(_envelope: object, _content: bytes, _client: object) -> Reply:
            tasks.append(asyncio.create_task(begun()))
            return Reply(250, "2.6.0", "queued")

        tasks: list[asyncio.Task[None]] = []
        conversation, wire = connect(accept, set())
        conversation.data_received(MESSAGE)
        await turns()
        await asyncio.gather(*tasks)

    asyncio.run(body())
    assert found == [True]
