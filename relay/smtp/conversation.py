"""The conversation with one client, from the greeting to the last reply (RFC 5321 section 3).

``aiosmtpd.smtp.SMTP`` names the parts: a method ``smtp_VERB`` for each command, a session, one coroutine per
connection. What is replaced below it, and why, stands in `relay.smtp.connection` and `relay.smtp.inbox`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from relay.smtp import replies
from relay.smtp.chunking import parse_chunk
from relay.smtp.failures import failure
from relay.smtp.inbox import BareLineEnd, ConnectionEnded, LineTooLong
from relay.smtp.replies import CommandError
from relay.smtp.transaction import TransactionCommands
from relay.smtp.values import Reply

_log = structlog.get_logger()

# Commands that bring a message nearer; all others are counted against Limits.commands.
_PRODUCTIVE = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "QUIT"})
_SMALL_CHUNK = 512  # octets; a message in smaller ones, but for the last, is no honest program's
# A browser that is made to post to us has commands in what it posts: it must not come to them.
_WEB = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PRI"})
_IN_A_ROW = 50  # pipelined commands that are obeyed before other conversations have their turn


class Conversation(TransactionCommands):
    """Reads commands, obeys them in order, counts errors, and never lets an exception reach the client."""

    errors = 0
    commands = 0
    messages = 0
    session_end = 0.0
    _refusals: frozenset[Reply] = frozenset()  # each is logged once in a session, however often it is said

    def message_came(self) -> None:
        """Give a client whose message took long the time to hear what became of it, and to go on."""
        self.session_end = max(self.session_end, self.door.now() + self.door.patience.command)

    def message_done(self, reply: Reply) -> None:
        """Begin to count afresh after each message that was accepted, and leave in the log that one was not."""
        if reply.code < 300:  # noqa: PLR2004  # a 2xx reply
            self.messages += 1
            self.errors = self.commands = 0
            self.session_end = self.door.now() + self.door.patience.session
        else:
            _log.info("message-refused", **self.who(), code=reply.code, enhanced=reply.enhanced)

    async def _handle_client(self) -> None:
        self.session_end = self.door.now() + self.door.patience.session
        try:
            await self.meet()
            await self._converse()
        except (ConnectionEnded, ConnectionError):
            pass  # clients may leave at any time; a transaction that was not finished is theirs (RFC 5321 4.1.1.10)
        except Exception as error:  # noqa: BLE001  # R19: nothing but an id reaches the client
            self.say(failure(error, **self.who()))
        finally:
            self.forget_transaction()
            self.leave()
            if self._stranger and not self.messages and self._visitor is not None and self._visitor.named:
                self.door.strangers.went_without(self.client.ip)
            _log.debug("conversation-ended", **self.who(), messages=self.messages, errors=self.errors)

    async def _converse(self) -> None:
        await self.push(replies.encode(replies.greeting(self.hostname)).rstrip())
        for number in count(1):
            if self.leaving:
                break
            if number % _IN_A_ROW == 0:  # nor do replies pile up for a client that never pauses
                await self.flush()
                await asyncio.sleep(0)
            if self.door.stopping and self.interruptible():
                self.say(replies.SHUTTING_DOWN)
                break
            try:
                await self._obey(await self.next_line())
            except CommandError as refused:
                self._refuse(refused.reply)
            except (ConnectionEnded, ConnectionError):
                raise
            except Exception as error:
                if self.reading:  # part of a message is still to come and must not be taken for commands
                    raise
                self.forget_transaction()
                self.say(failure(error, **self.who()))

    async def next_line(self, too_long: Reply = replies.LINE_TOO_LONG) -> bytes:
        """Return the client's next line; waits for it no longer than the client's patience allows."""
        try:
            line = self.inbox.line()
            if line is not None:
                return line
            await self.flush()
            patience, now = self.door.patience, self.door.now()
            self.deadline = min(now + patience.command, self.chunks_until() or self.session_end)
            while line is None:
                await self.inbox.more()
                line = self.inbox.line()
        except LineTooLong:
            raise CommandError(too_long) from None
        except BareLineEnd:
            raise CommandError(replies.BARE_LINE_END) from None
        return line

    async def _obey(self, line: bytes) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise CommandError(replies.NOT_TEXT) from None
        if not text.isprintable():
            raise CommandError(replies.NOT_TEXT)
        verb, _, argument = text.partition(" ")
        verb = verb.upper() if verb.isascii() else ""  # some letters beyond ASCII become ASCII in upper case
        command = COMMANDS.get(verb)
        if verb in _WEB:
            _log.warning("web-request", **self.who())
            self.say(replies.NO_WEB)
            self.leave()
            return
        if command is None:
            raise CommandError(replies.UNKNOWN_COMMAND)
        if verb not in _PRODUCTIVE or (verb == "BDAT" and _is_small(argument)):
            self.commands += 1
            if self.commands > self.door.limits.commands:
                _log.warning("too-many-commands", **self.who())
                self.say(replies.TOO_MANY_COMMANDS)
                self.leave()
                return
        await command(self, argument.strip(" "))

    def _refuse(self, reply: Reply) -> None:
        self.say(reply)
        if reply not in self._refusals:
            self._refusals |= {reply}
            _log.info("command-refused", **self.who(), code=reply.code, enhanced=reply.enhanced, said=reply.text)
        if reply.code >= 500 or self._stranger:  # noqa: PLR2004  # staff's client goes on after 452: no error
            self.errors += 1
            if self.errors >= self.door.limits.errors:
                _log.warning("too-many-errors", **self.who(), last=reply.code)
                self.say(replies.TOO_MANY_ERRORS)
                self.leave()


def _is_small(argument: str) -> bool:
    chunk = parse_chunk(argument)
    return chunk is not None and not chunk.last and chunk.octets < _SMALL_CHUNK


COMMANDS: dict[str, Callable[[Conversation, str], Awaitable[None]]] = {
    name.removeprefix("smtp_"): getattr(Conversation, name) for name in dir(Conversation) if name.startswith("smtp_")
}
