"""What we hang into aiosmtpd and asyncio is really called: a hook with a wrong name would silently lose mail."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType

import aiosmtpd
from aiosmtpd.smtp import SMTP

from relay.smtp.connection import Connection
from relay.smtp.conversation import COMMANDS, Conversation
from relay.smtp.message_reading import MessageReading
from relay.smtp.session import SessionCommands
from relay.smtp.transaction import TransactionCommands
from tests.unit.relay.smtp.in_memory import Intake, connect, converse, turns

OURS = (Connection, SessionCommands, MessageReading, TransactionCommands, Conversation)
ABSTRACT = {SessionCommands.forget_transaction, TransactionCommands.message_done, Connection.interruptible}

EVERYTHING = (
    b"HELO c.example\r\nEHLO c.example\r\nSTARTTLS\r\nAUTH PLAIN\r\nNOOP\r\nVRFY x\r\nEXPN x\r\nHELP\r\n"
    b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@there.example>\r\nRSET\r\n"
    b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\ntext\r\n.\r\n"
    b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@there.example>\r\nBDAT 6 LAST\r\ntext\r\nQUIT\r\n"
)


@contextmanager
def watched() -> Iterator[set[CodeType]]:
    """Collect the code of every Python function that is called."""
    called: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)


def overrides() -> dict[str, FunctionType]:
    """Return our functions that replace something of aiosmtpd or asyncio, and our commands."""
    return {
        f"{one.__name__}.{name}": value
        for one in OURS
        for name, value in vars(one).items()
        if isinstance(value, FunctionType) and value not in ABSTRACT and hasattr(SMTP, name)
    } | {name: command for name, command in COMMANDS.items() if isinstance(command, FunctionType)}


def test_each_override_is_called() -> None:
    """Three sessions (one plain, one that does not read, one that times out) call all that we override."""

    async def reluctant() -> None:
        conversation, wire = connect(Intake(), set())
        await turns()
        conversation.pause_writing()
        conversation.data_received(b"NOOP\r\n")
        await turns()
        conversation.resume_writing()
        conversation.eof_received()
        wire.close()
        await conversation.ended

    with watched() as called:
        asyncio.run(converse([EVERYTHING]))
        asyncio.run(reluctant())
    found = overrides()
    assert len(found) > 20
    assert [name for name, function in found.items() if function.__code__ not in called] == []


def test_no_command_of_the_library_is_left() -> None:
    """Every command that a client can reach is ours; the library has none that we do not replace."""
    assert all(command.__module__.startswith("relay.smtp.") for command in COMMANDS.values())
    assert {name.removeprefix("smtp_") for name in dir(SMTP) if name.startswith("smtp_")} <= set(COMMANDS)


def test_the_library_runs_nothing_of_its_own() -> None:
    """Within a whole session the only code of aiosmtpd that runs makes a Session: the rest is as we read it."""
    with watched() as called:
        asyncio.run(converse([EVERYTHING]))
    library = {code.co_name for code in called if "aiosmtpd" in code.co_filename}
    assert library <= {"_create_session", "__init__", "__del__"}
    assert aiosmtpd.__version__ == "1.4.6"
