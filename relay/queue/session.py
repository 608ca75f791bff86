"""One open connection to a next hop, and one mail transaction after the other over it (RFC 5321 section 3.3)."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from aiosmtplib.response import SMTPResponse

from relay.errors import StoreError
from relay.fail_points import reached, reached_on_wire
from relay.queue.content import END_OF_DATA, DotStuffer, Pieces, UncleanError
from relay.queue.dialogue import Dialogue
from relay.queue.exchangers import Hop
from relay.queue.outcomes import Answer, Deferred, Delivered, Failed, Outcome, local_answer, outcome_of, remote_answer
from relay.queue.patience import Patience
from relay.queue.transaction import Transaction, mail_command, rcpt_command, unfit

CLOSING = 421
NOT_SIGNED_IN = 530  # wants TLS or a password first: wrong is our configuration, not the message
TOO_MANY_RECIPIENTS = 552  # to RCPT it means 452 (RFC 5321 section 4.5.3.1.10)
_DONE, _GO_ON, _NEVER = 2, 3, 5  # first digit of a reply code (RFC 5321 section 4.2.1)


@dataclass(frozen=True, slots=True)
class Unusable:
    """No recipient was decided: another connection or the next hop of the route may be tried.

    ``hop_at_fault`` is true when the hop as such could not be used; false when only this message's sender was
    refused for now, or the hop lacks what this message needs. Then ``lasting`` is true: it will lack it tomorrow.
    """

    answer: Answer
    hop_at_fault: bool = True
    lasting: bool = False


class Session:
    """A connection after EHLO and, where wanted, TLS. For one task at a time; `open_session` makes it."""

    def __init__(self, hop: Hop, dialogue: Dialogue, patience: Patience) -> None:
        self.hop = hop
        self.uses = 0
        self.idle_since = 0.0
        self.extensions: dict[str, str] = {}
        self.tls = ""
        self._hop_name = str(hop)
        self._dialogue = dialogue
        self._patience = patience
        self._stale_envelope = False

    @property
    def usable(self) -> bool:
        """Tell whether another transaction may begin here."""
        return self._dialogue.usable and self.uses < self._patience.uses

    @property
    def silent(self) -> bool:
        """Tell whether the next hop stopped to answer, or to take what was sent: it had all the time it may have."""
        return self._dialogue.silent

    async def transact(self, mail: Transaction) -> tuple[Outcome, ...] | Unusable:
        """Send one message; return one outcome per path, in order. Never raises.

        Unusable when the connection broke, or said 421, or the sender was refused for now, before anything
        was decided, or when the next hop cannot carry the message as it stands. After the final dot nothing is
        Unusable any more: a second attempt could be a second copy.
        """
        self.uses += 1
        if problem := unfit(mail, self.extensions):
            return Unusable(self._local(*problem), hop_at_fault=False, lasting=True)
        self._dialogue.allow(self._patience.for_message(mail.content.size))
        try:
            return await self._transact(mail)
        except TimeoutError:
            self._dialogue.hang_up()
            return (Deferred(self._local("4.4.2", "the next hop was too slow altogether")),) * len(mail.paths)
        finally:
            self._dialogue.allow(math.inf)

    async def quit(self) -> None:
        """Say goodbye and close; a next hop that does not answer in time is left without ceremony."""
        if self._dialogue.usable:
            await self._dialogue.exchange(b"QUIT", seconds=self._patience.goodbye)
        self._dialogue.hang_up()

    def drop(self) -> None:
        """Close at once."""
        self._dialogue.hang_up()

    async def _transact(self, mail: Transaction) -> tuple[Outcome, ...] | Unusable:
        opening = [b"RSET"] if self._stale_envelope else []
        sender = mail_command(mail, self.extensions)
        rcpts = [rcpt_command(path, self.extensions, utf8=mail.needs_utf8) for path in mail.paths]
        self._stale_envelope = True
        reached("delivery: before MAIL")
        if "pipelining" in self.extensions:
            replies = (await self._ask(*opening, sender, *rcpts, b"DATA"))[len(opening) :]
        else:
            replies = await self._one_by_one(opening, sender, rcpts)
        if not replies:
            return Unusable(self._broken())
        if not _is(replies[0], _DONE):
            if _is(replies[-1], _GO_ON):  # it wants data from a sender whom it has refused
                self._dialogue.hang_up()
            return self._sender_refused(self._answer(replies[0]), mail)
        outcomes = [self._recipient_outcome(reply) for reply in replies[1 : 1 + len(rcpts)]]
        complete = len(replies) == len(rcpts) + 2  # MAIL and DATA
        if not complete or any(reply.code == CLOSING for reply in replies):
            return self._cut_short(mail, outcomes, replies)
        return await self._data(mail, outcomes, replies[-1])

    async def _one_by_one(self, opening: list[bytes], sender: bytes, rcpts: list[bytes]) -> list[SMTPResponse]:
        """Return the replies a pipelining next hop would have given; DATA is not asked when nobody was accepted."""
        for command in opening:
            if not await self._ask(command):
                return []
        replies = await self._ask(sender)
        reached("delivery: MAIL answered")
        if not replies or not _is(replies[0], _DONE):
            return replies
        for rcpt in rcpts:
            got = await self._ask(rcpt)
            reached("delivery: RCPT answered")
            replies += got
            if not got or got[0].code == CLOSING:
                return replies
        if any(_is(reply, _DONE) for reply in replies[1:]):
            return replies + await self._ask(b"DATA")
        return [*replies, SMTPResponse(503, "")]

    async def _data(
        self, mail: Transaction, outcomes: list[Outcome | None], go_ahead: SMTPResponse
    ) -> tuple[Outcome, ...]:
        if None not in outcomes:
            if _is(go_ahead, _GO_ON):
                # A server may say so to nobody (RFC 2920 section 3.1); an empty message ends it.
                self._dialogue.send(END_OF_DATA, replies=1)
                await self._dialogue.final_reply(self._patience.final)
            accepted: Outcome | None = None
        elif _is(go_ahead, _GO_ON):
            reached("delivery: DATA answered")
            accepted = await self._content(mail)
        else:
            accepted = self._outcome(self._answer(go_ahead))
        return self._filled(outcomes, accepted)

    async def _content(self, mail: Transaction) -> Outcome:
        """Send the content; return the outcome of all whom RCPT accepted."""
        stuffer = DotStuffer()
        pieces = mail.content.pieces()
        ready = b""  # one piece is kept back: the final dot leaves in the same write as the last one
        try:
            while (piece := await self._next(pieces)) is not None:
                if ready:
                    self._dialogue.send(ready, replies=0)
                    await reached_on_wire("delivery: piece sent")
                    if not await self._dialogue.drained(self._patience.block):
                        return Deferred(self._broken())
                ready = stuffer.stuff(piece)
            ready += stuffer.finish()
        except UncleanError:
            # Without the final dot the next hop must forget the message (RFC 5321 section 4.1.1.4).
            self._dialogue.hang_up()
            return Failed(self._local("5.6.0", "the message holds a bare CR, a bare LF or a NUL and cannot leave"))
        except TimeoutError:
            raise
        except Exception:  # noqa: BLE001  # a failing disk, a damaged blob: half may not be taken for whole
            self._dialogue.hang_up()
            return Deferred(self._local("4.3.0", "the stored message could not be read"))
        return await self._end(mail, ready)

    async def _end(self, mail: Transaction, last: bytes) -> Outcome:
        """Send the last piece with the final dot in it, and return what the next hop made of the message."""
        if not mail.ours():
            # This process stood still: somebody else may be sending it. Without the final dot this copy is forgotten.
            self._dialogue.hang_up()
            return Deferred(self._local("4.3.2", "this gateway stood still for too long while it was sending"))
        reached("delivery: before the final dot")
        self._dialogue.send(last, replies=1)
        await reached_on_wire("delivery: final dot sent")
        if not await self._dialogue.drained(self._patience.block):
            return Deferred(self._broken("at the end of data: it may have arrived"))
        reply = await self._dialogue.final_reply(self._patience.final)
        if reply is None:
            return Deferred(self._broken("after the end of data: it may have arrived"))
        reached("delivery: reply read")
        self._stale_envelope = False
        if reply.code == CLOSING:
            self._dialogue.hang_up()
        answer = self._answer(reply)
        return Delivered(answer, "dsn" in self.extensions) if _is(reply, _DONE) else outcome_of(answer)

    async def _next(self, pieces: Pieces) -> bytes | None:
        if pieces.at_hand():
            return next(pieces, None)
        async with asyncio.timeout(self._dialogue.left()):
            try:
                return await asyncio.to_thread(next, pieces, None)
            except TimeoutError as error:  # the disk's, over a network: not the end of our patience
                raise StoreError("the disk does not answer") from error

    def _filled(self, outcomes: list[Outcome | None], accepted: Outcome | None) -> tuple[Outcome, ...]:
        """Return all outcomes, ``accepted`` being that of everybody whom RCPT accepted."""
        fallback = accepted or Deferred(self._local("4.5.0", "the next hop contradicted itself"))
        return tuple(outcome or fallback for outcome in outcomes)

    def _cut_short(
        self, mail: Transaction, outcomes: list[Outcome | None], replies: Sequence[SMTPResponse]
    ) -> tuple[Outcome, ...] | Unusable:
        """Return what is certain after 421 or a lost connection before the data: refusals stay, the rest waits."""
        closing = next((reply for reply in replies if reply.code == CLOSING), None)
        answer = self._answer(closing) if closing else self._broken()
        self._dialogue.hang_up()
        if not any(isinstance(outcome, Failed) for outcome in outcomes):
            return Unusable(answer)
        return self._filled([*outcomes, *[None] * (len(mail.paths) - len(outcomes))], Deferred(answer))

    def _sender_refused(self, answer: Answer, mail: Transaction) -> tuple[Outcome, ...] | Unusable:
        if answer.code == NOT_SIGNED_IN:
            return Unusable(answer)
        if answer.code // 100 == _NEVER:
            return (Failed(answer),) * len(mail.paths)
        if answer.code == CLOSING:
            self._dialogue.hang_up()
        return Unusable(answer, hop_at_fault=answer.code == CLOSING)

    def _recipient_outcome(self, reply: SMTPResponse) -> Outcome | None:
        """Return what RCPT decided; None when the recipient was accepted."""
        if _is(reply, _DONE):
            return None
        answer = self._answer(reply)
        return Deferred(answer) if answer.code == TOO_MANY_RECIPIENTS else self._outcome(answer)

    def _outcome(self, answer: Answer) -> Outcome:
        """Return what a refusal means; that we are to sign in first (RFC 4954 section 6) is for an operator to mend."""
        return Deferred(answer) if answer.code == NOT_SIGNED_IN else outcome_of(answer)

    async def _ask(self, *commands: bytes) -> list[SMTPResponse]:
        return await self._dialogue.exchange(*commands, seconds=self._patience.command)

    def _answer(self, reply: SMTPResponse) -> Answer:
        return remote_answer(reply.code, reply.message, self._hop_name, self.tls)

    def _broken(self, when: str = "") -> Answer:
        return self._local("4.4.2", f"{self._dialogue.fault or 'the connection was lost'} {when}")

    def _local(self, enhanced: str, text: str) -> Answer:
        return local_answer(enhanced, text, self._hop_name, self.tls)


def _is(reply: SMTPResponse, digit: int) -> bool:
    return reply.code // 100 == digit
