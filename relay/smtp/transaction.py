"""Commands of a mail transaction: MAIL, RCPT, DATA or BDAT, RSET (RFC 5321 sections 3.3 and 4.1.1)."""

import asyncio
from abc import abstractmethod
from dataclasses import replace

import structlog

from relay.config.users import User
from relay.fail_points import reached, reached_on_wire
from relay.message.addresses import Mailbox
from relay.smtp import replies
from relay.smtp.chunking import ChunkReader, parse_chunk
from relay.smtp.data import Content
from relay.smtp.door import NEVER
from relay.smtp.failures import failure
from relay.smtp.message_reading import Begun, MessageReading
from relay.smtp.overflow import OnDisk
from relay.smtp.parameters import MailParameters, mail_parameters, rcpt_parameters
from relay.smtp.paths import forward_path, reverse_path, split_path
from relay.smtp.replies import CommandError
from relay.smtp.senders import HEADER_LIMIT, authors_of, header_of, mailbox_of
from relay.smtp.session import no_argument
from relay.smtp.values import ClientFacts, ForwardPath, Reply, SmtpEnvelope

_log = structlog.get_logger()


class TransactionCommands(MessageReading):
    """MAIL, RCPT, DATA, BDAT and RSET; hands complete messages to the door's ``accept``."""

    judging: asyncio.Task[Reply] | None = None

    @abstractmethod
    def message_came(self) -> None:
        """Note that the data of a message is complete."""

    @abstractmethod
    def message_done(self, reply: Reply) -> None:
        """Note how ``accept`` answered."""

    def interruptible(self, *, transactions_too: bool = False) -> bool:
        """Say whether closing now breaks no transaction, or at least no message whose data is complete."""
        return self.judging is None and (transactions_too or self.begun is None)

    def forget_transaction(self) -> None:
        """End the mail transaction without a trace."""
        begun, self.begun, self._utf8_replies = self.begun, None, False
        if begun is not None and begun.chunks is not None:
            begun.chunks.content.release()

    async def smtp_RSET(self, argument: str) -> None:  # noqa: N802  # aiosmtpd's naming
        """Forget the transaction, keep the session (RFC 5321 section 4.1.1.5)."""
        no_argument(argument)
        self.forget_transaction()
        self.say(replies.OK)

    async def smtp_MAIL(self, argument: str) -> None:  # noqa: N802
        """Begin a transaction (RFC 5321 section 4.1.1.2)."""
        if not self.client.helo:
            raise CommandError(replies.HELO_FIRST)
        if self.begun is not None:
            raise CommandError(replies.NESTED_MAIL)
        path, rest = split_path(argument, "FROM:", replies.BAD_MAIL)
        if rest and not self.client.esmtp:
            raise CommandError(replies.UNKNOWN_PARAMETER)  # extensions need EHLO (RFC 5321 section 2.2.1)
        asked = mail_parameters(rest, auth=self.auth_offered)
        sender = reverse_path(path, smtputf8=asked.smtputf8)
        begun = self._begin(sender, asked)
        limit, room = self.door.bounds(begun.client)
        if asked.size > limit:
            raise CommandError(replies.too_large(limit))
        if self.door.disk is None and asked.size > room.left:
            raise CommandError(replies.NO_ROOM)
        self.begun = begun
        self._utf8_replies = asked.smtputf8
        self.say(replies.SENDER_OK)

    async def smtp_RCPT(self, argument: str) -> None:  # noqa: N802
        """Add a recipient (RFC 5321 section 4.1.1.3), for those only who may send through us (section 7.9)."""
        if self.begun is None:
            raise CommandError(replies.MAIL_FIRST)
        if self.begun.chunks is not None:
            raise CommandError(replies.CHUNKS_BEGUN)
        path, rest = split_path(argument, "TO:", replies.BAD_RCPT)
        if rest and not self.client.esmtp:
            raise CommandError(replies.UNKNOWN_PARAMETER)
        smtputf8 = self.begun.parameters.smtputf8
        asked = rcpt_parameters(rest, smtputf8=smtputf8)
        address = forward_path(path, postmaster=self.door.postmaster, smtputf8=smtputf8)
        refusal = self.door.access.refusal(self.begun.client, address)
        if refusal is not None:
            denied = refusal in replies.MENDED_BY_SIGNING_IN and self.door.users is not None
            raise CommandError(replies.SIGN_IN_FIRST if denied else refusal)
        if len(self.begun.recipients) >= self.door.limits.recipients:
            raise CommandError(replies.TOO_MANY_RECIPIENTS)
        if not self.begun.recipients:
            self._count_stranger(self.begun.client)
        self.begun.recipients.append(ForwardPath(address, asked.notify, asked.orcpt))
        self.say(replies.RECIPIENT_OK)

    async def smtp_DATA(self, argument: str) -> None:  # noqa: N802
        """Receive a message up to CRLF.CRLF (RFC 5321 section 4.1.1.4)."""
        no_argument(argument)
        begun = self._ready()
        if begun.chunks is not None:
            raise CommandError(replies.CHUNKS_BEGUN)
        self.say(replies.SEND_DATA)
        await self.flush()
        content = self.new_content()
        try:
            await self.read_data(content)
            await self._finish(begun, content)
        finally:
            content.release()

    async def smtp_BDAT(self, argument: str) -> None:  # noqa: N802
        """Receive one chunk of a message (RFC 3030 section 2)."""
        chunk = parse_chunk(argument)
        if chunk is None:  # nobody knows how many octets follow: they must not be taken for commands
            self.say(replies.BAD_BDAT)
            self.say(replies.LOST_TRACK)
            self.leave()
            return
        try:
            begun = self._ready()
        except CommandError:
            await self.read_chunk(None, chunk.octets)
            raise
        if begun.chunks is None:
            begun.chunks, begun.chunks_since = ChunkReader(self.new_content()), self.door.now()
        content = begun.chunks.content
        await self.read_chunk(begun.chunks, chunk.octets)
        if chunk.last:
            begun.chunks.finish()
            try:
                await self._finish(begun, content)
            finally:
                content.release()
        elif problem := content.problem():
            self.forget_transaction()
            raise CommandError(problem)
        elif content.fault is not None:
            raise content.fault
        else:
            self.say(replies.chunk_ok(chunk.octets))

    def _begin(self, sender: str, asked: MailParameters) -> Begun:
        """Begin a transaction as whom the client is now: who may send may have changed since it came."""
        access, client = self.door.access, self.client
        if client.trusted != self.in_trusted_network:
            client = replace(client, trusted=not client.trusted)
        if client.authenticated and self._user() is None:
            client = replace(client, authenticated="")
        self.client = client
        if (user := self._user()) and sender and not _may_send_as(user, mailbox_of(sender)):
            raise CommandError(replies.NOT_YOUR_SENDER)
        tenant = None if client.trusted or user else access.tenant_of(client, sender)
        return Begun(sender, asked, replace(client, trusted=True) if tenant else client, tenant)

    def _user(self) -> User | None:
        return (self.door.users or {}).get(self.client.authenticated)

    async def _sender_known(self, begun: Begun, message: bytes | OnDisk) -> ClientFacts:
        """Return who sends, now that the message is there; CommandError when it may not come from them."""
        if not (begun.client.authenticated or begun.tenant):
            return begun.client
        content = message if isinstance(message, bytes) else await self._beginning(message)
        if begun.client.authenticated:
            user, header = self._user(), header_of(content)
            authors = authors_of(header) if header else None
            if user is None or authors is None or not all(_may_send_as(user, one) for one in authors):
                raise CommandError(replies.NOT_YOUR_AUTHOR)
        if begun.tenant is None or begun.tenant.wrote(content):
            return begun.client
        stranger = replace(begun.client, trusted=False)
        for recipient in begun.recipients:
            refusal = self.door.access.refusal(stranger, recipient.address)
            if refusal is not None:
                raise CommandError(refusal)
        self._count_stranger(stranger)
        return stranger

    async def _beginning(self, message: OnDisk) -> bytes:
        return await asyncio.to_thread(message.beginning, HEADER_LIMIT + 2)

    def _count_stranger(self, client: ClientFacts) -> None:
        """Count a message of somebody whom nobody vouches for; CommandError when there have been too many."""
        if not (client.trusted or client.authenticated) and not self.door.strangers.may_bring(client.ip):
            raise CommandError(replies.TOO_MUCH_MAIL)

    def _ready(self) -> Begun:
        if self.begun is None:
            raise CommandError(replies.MAIL_FIRST)
        if not self.begun.recipients:
            raise CommandError(replies.NO_RECIPIENTS)
        return self.begun

    async def _finish(self, begun: Begun, content: Content) -> None:
        self.message_came()
        try:
            problem = content.problem()
            if problem is not None:
                raise CommandError(problem)
            self.deadline = NEVER  # the client waits for us now
            message = await content.complete() if content.on_disk else content.take()
            reached("reception: data read")
            try:
                client = await self._sender_known(begun, message)
            except BaseException:
                self._drop(message)
                raise
            self.message_done(await self._judge(begun.envelope(), message, client))
            await self.flush()  # a reply to data waits for no other (RFC 2920 section 3.2), but for who does not read
            await reached_on_wire("reception: 250 sent")
        finally:
            self.forget_transaction()

    def _drop(self, message: bytes | OnDisk) -> None:
        if not isinstance(message, bytes) and self.door.disk is not None:
            self.door.disk.discard(message)

    async def _judge(self, envelope: SmtpEnvelope, message: bytes | OnDisk, client: ClientFacts) -> Reply:
        """Await the answer in a task of its own, so that nothing that happens to the connection cancels a commit."""
        self.judging = self.loop.create_task(self._answer(envelope, message, client))
        try:
            return await asyncio.shield(self.judging)
        finally:
            self.judging = None

    async def _answer(self, envelope: SmtpEnvelope, message: bytes | OnDisk, client: ClientFacts) -> Reply:
        """Have ``accept`` decide, and say so.

        At once, in this turn of the loop: with the next one deliveries begin, and the client would wait for them.
        """
        try:
            reply = replies.final(await self.door.accept(envelope, message, client))
        except asyncio.CancelledError:
            if self.judging is None or self.judging.cancelling():
                raise  # the loop is torn down
            reply = failure(RuntimeError(), **self.who())
        except Exception as error:  # noqa: BLE001  # R19: whatever happens, 451 and an id
            reply = failure(error, **self.who())
        finally:
            self._drop(message)
        if self.leaving:
            _log.info("client-gone-before-reply", **self.who(), code=reply.code, enhanced=reply.enhanced)
        self.say(reply)
        self.send()
        return reply


def _may_send_as(user: User, mailbox: Mailbox) -> bool:
    return user.may_send_as(mailbox.local, mailbox.domain)
