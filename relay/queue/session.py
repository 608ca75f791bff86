"""One open connection to a next hop, and one mail transaction over it (RFC 5321 section 3.3)."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aiosmtplib.response import SMTPResponse

from relay.config.values import Endpoint
from relay.queue.content import END_OF_DATA, Content, DotStuffer, UncleanError
from relay.queue.dialogue import Dialogue
from relay.queue.outcomes import (
    Answer,
    Deferred,
    Delivered,
    Failed,
    Outcome,
    local_answer,
    outcome_of,
    remote_answer,
)
from relay.queue.patience import Patience

TOO_MANY_RECIPIENTS = 552  # to RCPT it means 452 (RFC 5321 section 4.5.3.1.10)
CLOSING = 421
NOT_SIGNED_IN = 530  # wants TLS or a password first: wrong is our configuration, not the message


@dataclass(frozen=True, slots=True)
class Path:
    """One RCPT command: the address, and its DSN parameters as they were received (RFC 3461)."""

    address: str
    orcpt: str = ""
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transaction:
    """One MAIL transaction: what is sent to one next hop for recipients that share reverse-path and content.

    ``eight_bit`` says that the content really has octets above 127, ``utf8`` that its header section has
    (RFC 6531). At least one and at most 100 ``paths``.
    """

    reverse_path: str
    paths: tuple[Path, ...]
    content: Content
    eight_bit: bool = False
    utf8: bool = False
    ret: str = ""
    envid: str = ""

    @property
    def needs_utf8(self) -> bool:
        """Tell whether the next hop must understand SMTPUTF8."""
        return self.utf8 or not (self.reverse_path.isascii() and all(path.address.isascii() for path in self.paths))


@dataclass(frozen=True, slots=True)
class Unusable:
    """No recipient was decided: another connection or the next hop of the route may be tried.

    ``hop_at_fault`` is true when the hop as such could not be used; false when only this message's sender was
    refused for now.
    """

    answer: Answer
    hop_at_fault: bool = True


class Session:
    """A connection after EHLO and, where wanted, TLS. For one task at a time; `open_session` makes it."""

    def __init__(self, hop: Endpoint, dialogue: Dialogue, patience: Patience) -> None:
        self.hop = hop
        self.uses = 0
        self.idle_since = 0.0
        self.extensions: dict[str, str] = {}
        self.tls = ""
        self._dialogue = dialogue
        self._patience = patience
        self._stale_envelope = False

    @property
    def usable(self) -> bool:
        """Tell whether another transaction may begin here."""
        return self._dialogue.usable and self.uses < self._patience.uses

    def offers(self, keyword: str) -> bool:
        """Tell whether the next hop's last EHLO offered an extension (lower case)."""
        return keyword in self.extensions

    async def transact(self, mail: Transaction) -> tuple[Outcome, ...] | Unusable:
        """Send one message; return one outcome per path, in order. Never raises.

        Unusable when the connection broke, or said 421, or the sender was refused for now, before anything
        was decided. After the final dot nothing is Unusable any more: a second attempt could be a second
        copy.
        """
        self.uses += 1
        if unfit := self._unfit(mail):
            return tuple(Failed(unfit) for _ in mail.paths)
        try:
            async with asyncio.timeout(self._patience.for_message(mail.content.size)):
                return await self._transact(mail)
        except TimeoutError:
            self._dialogue.hang_up()
            return tuple(Deferred(self._local("4.4.2", "the next hop was too slow altogether")) for _ in mail.paths)

    async def quit(self) -> None:
        """Say goodbye and close; a next hop that does not answer in time is left without ceremony."""
        if self._dialogue.usable:
            await self._dialogue.exchange(b"QUIT", seconds=self._patience.goodbye)
        self._dialogue.hang_up()

    def drop(self) -> None:
        """Close at once."""
        self._dialogue.hang_up()

    def _unfit(self, mail: Transaction) -> Answer | None:
        """Return why this next hop cannot carry the message as it stands: it is never re-encoded."""
        if mail.needs_utf8 and not self.offers("smtputf8"):
            return self._local("5.6.7", "the next hop does not support internationalised mail (SMTPUTF8)")
        if mail.eight_bit and not self.offers("8bitmime"):
            return self._local(
                "5.6.3", "the next hop does not support 8-bit mail (8BITMIME), and mail is never re-encoded"
            )
        limit = self.extensions.get("size", "")
        if limit.isascii() and limit.isdigit() and 0 < int(limit[:20]) < mail.content.size:
            return self._local("5.3.4", f"the message is larger than the next hop takes ({int(limit[:20])} octets)")
        return None

    async def _transact(self, mail: Transaction) -> tuple[Outcome, ...] | Unusable:
        opening = [b"RSET"] if self._stale_envelope else []
        rcpts = [self._rcpt(path) for path in mail.paths]
        self._stale_envelope = True
        if self.offers("pipelining"):
            replies = await self._ask(*opening, self._mail(mail), *rcpts, b"DATA")
            replies = replies[len(opening) :]
        else:
            replies = await self._one_by_one(opening, self._mail(mail), rcpts)
        if not replies:
            return Unusable(self._broken("4.4.2"))
        sender = self._answer(replies[0])
        if not _positive(sender):
            if replies[-1].code // 100 == 3:  # noqa: PLR2004  # it wants data from a sender whom it has refused
                self._dialogue.hang_up()
            return self._sender_refused(sender, mail)
        outcomes = [self._recipient_outcome(reply) for reply in replies[1 : 1 + len(rcpts)]]
        if (
            any(reply.code == CLOSING for reply in replies)
            or len(outcomes) < len(rcpts)
            or len(replies) < len(rcpts) + 2
        ):
            return self._cut_short(mail, outcomes, replies)
        return await self._data(mail, outcomes, replies[-1])

    async def _one_by_one(self, opening: list[bytes], mail: bytes, rcpts: list[bytes]) -> list[SMTPResponse]:
        """Return the replies a pipelining next hop would have given; DATA is not asked when nobody was accepted."""
        for command in opening:
            if not await self._ask(command):
                return []
        replies = await self._ask(mail)
        if not replies or replies[0].code // 100 != 2:  # noqa: PLR2004
            return replies
        for rcpt in rcpts:
            got = await self._ask(rcpt)
            replies += got
            if not got or got[0].code == CLOSING:
                return replies
        if any(reply.code // 100 == 2 for reply in replies[1:]):  # noqa: PLR2004
            return replies + await self._ask(b"DATA")
        return [*replies, SMTPResponse(503, "")]

    async def _data(
        self, mail: Transaction, outcomes: list[Outcome | None], go_ahead: SMTPResponse
    ) -> tuple[Outcome, ...]:
        if None not in outcomes:
            if go_ahead.code // 100 == 3:  # noqa: PLR2004
                # A server may say so to nobody (RFC 2920 section 3.1); an empty message ends it.
                self._dialogue.send(END_OF_DATA, replies=1)
                await self._dialogue.final_reply(self._patience.final)
            return self._finish(outcomes, None)
        if go_ahead.code // 100 != 3:  # noqa: PLR2004
            return self._finish(outcomes, outcome_of(self._answer(go_ahead)))
        return self._finish(outcomes, await self._content(mail))

    async def _content(self, mail: Transaction) -> Outcome:
        stuffer = DotStuffer()
        pieces = mail.content.pieces()
        try:
            while (piece := await _next(pieces, in_memory=mail.content.in_memory)) is not None:
                self._dialogue.send(stuffer.stuff(piece), replies=0)
                if not await self._dialogue.drained(self._patience.block):
                    return Deferred(self._broken("4.4.2"))
            ending = stuffer.finish()
        except UncleanError:
            # Without the final dot the next hop must forget the message (RFC 5321 section 4.1.1.4).
            self._dialogue.hang_up()
            return Failed(self._local("5.6.0", "the message holds a bare CR, a bare LF or a NUL and cannot leave"))
        except Exception:  # noqa: BLE001  # a failing disk, a damaged blob: half may not be taken for whole
            self._dialogue.hang_up()
            return Deferred(self._local("4.3.0", "the stored message could not be read"))
        self._dialogue.send(ending, replies=1)
        reply = await self._dialogue.final_reply(self._patience.final)
        if reply is None:
            return Deferred(self._local("4.4.2", f"{self._dialogue.fault} after the end of data: it may have arrived"))
        self._stale_envelope = False
        if reply.code == CLOSING:
            self._dialogue.hang_up()
        answer = self._answer(reply)
        return Delivered(answer, self.offers("dsn")) if _positive(answer) else outcome_of(answer)

    def _finish(self, outcomes: list[Outcome | None], accepted: Outcome | None) -> tuple[Outcome, ...]:
        """Give everybody whom RCPT accepted the outcome of the data."""
        fallback = accepted or Deferred(self._local("4.5.0", "the next hop contradicted itself"))
        return tuple(outcome or fallback for outcome in outcomes)

    def _cut_short(
        self, mail: Transaction, outcomes: list[Outcome | None], replies: Sequence[SMTPResponse]
    ) -> tuple[Outcome, ...] | Unusable:
        """Return what is certain after 421 or a lost connection before the data: refusals stay, the rest waits."""
        closing = next((reply for reply in replies if reply.code == CLOSING), None)
        answer = self._answer(closing) if closing else self._broken("4.4.2")
        self._dialogue.hang_up()
        if not any(isinstance(outcome, Failed) for outcome in outcomes):
            return Unusable(answer)
        known = [*outcomes, *[None] * (len(mail.paths) - len(outcomes))]
        return tuple(outcome or Deferred(answer) for outcome in known)

    def _sender_refused(self, answer: Answer, mail: Transaction) -> tuple[Outcome, ...] | Unusable:
        if answer.code == NOT_SIGNED_IN:
            return Unusable(answer)
        if answer.code // 100 == 5:  # noqa: PLR2004
            return tuple(Failed(answer) for _ in mail.paths)
        if answer.code == CLOSING:
            self._dialogue.hang_up()
        return Unusable(answer, hop_at_fault=answer.code == CLOSING)

    def _recipient_outcome(self, reply: SMTPResponse) -> Outcome | None:
        answer = self._answer(reply)
        if _positive(answer):
            return None
        if answer.code == TOO_MANY_RECIPIENTS:
            return Deferred(answer)
        return outcome_of(answer)

    def _mail(self, mail: Transaction) -> bytes:
        words = [b"MAIL FROM:<" + mail.reverse_path.encode() + b">"]
        if self.offers("size"):
            words.append(b"SIZE=%d" % mail.content.size)
        if mail.eight_bit:
            words.append(b"BODY=8BITMIME")
        if mail.needs_utf8:
            words.append(b"SMTPUTF8")
        if self.offers("dsn"):
            words += [b"RET=" + mail.ret.encode()] if mail.ret else []
            words += [b"ENVID=" + mail.envid.encode()] if mail.envid else []
        return b" ".join(words)

    def _rcpt(self, path: Path) -> bytes:
        words = [b"RCPT TO:<" + path.address.encode() + b">"]
        if self.offers("dsn"):
            words += [b"NOTIFY=" + ",".join(path.notify).encode()] if path.notify else []
            words += [b"ORCPT=" + path.orcpt.encode()] if path.orcpt else []
        return b" ".join(words)

    async def _ask(self, *commands: bytes) -> list[SMTPResponse]:
        return await self._dialogue.exchange(*commands, seconds=self._patience.command)

    def _answer(self, reply: SMTPResponse) -> Answer:
        return remote_answer(reply.code, reply.message, str(self.hop), self.tls)

    def _broken(self, enhanced: str) -> Answer:
        return self._local(enhanced, self._dialogue.fault or "the connection was lost")

    def _local(self, enhanced: str, text: str) -> Answer:
        return local_answer(enhanced, text, str(self.hop), self.tls)


def _positive(answer: Answer) -> bool:
    return answer.code // 100 == 2  # noqa: PLR2004


async def _next(pieces: Iterator[bytes], *, in_memory: bool) -> bytes | None:
    return next(pieces, None) if in_memory else await asyncio.to_thread(next, pieces, None)
