"""The octets of a message on their way in: by DATA up to their end, by BDAT so many, and in bounded time."""

from dataclasses import dataclass, field
from typing import NoReturn

from relay.smtp import replies
from relay.smtp.chunking import ChunkReader
from relay.smtp.data import Content, DataReader, flood_size
from relay.smtp.door import NEVER
from relay.smtp.inbox import ConnectionEnded
from relay.smtp.parameters import MailParameters
from relay.smtp.session import SessionCommands
from relay.smtp.tenants import Tenant
from relay.smtp.values import ClientFacts, ForwardPath, SmtpEnvelope


@dataclass(slots=True)
class Begun:
    """A transaction between MAIL and the end of its data."""

    reverse_path: str
    parameters: MailParameters
    client: ClientFacts
    tenant: Tenant | None = None  # whose it may be; then ``client`` is trusted until the message is there
    recipients: list[ForwardPath] = field(default_factory=list)
    chunks: ChunkReader | None = None
    chunks_since: float = 0.0  # monotonic seconds

    def envelope(self) -> SmtpEnvelope:
        """Return the complete envelope."""
        asked = self.parameters
        return SmtpEnvelope(
            reverse_path=self.reverse_path,
            recipients=tuple(self.recipients),
            smtputf8=asked.smtputf8,
            body=asked.body,
            ret=asked.ret,
            envid=asked.envid,
            size=asked.size,
        )


class MessageReading(SessionCommands):
    """Reads what stands behind DATA and BDAT into the content of the transaction that has begun."""

    begun: Begun | None = None
    reading = False  # octets of a message, not commands, are what comes next

    def chunks_until(self) -> float | None:
        """Return when a message that has come in part must be complete: as fast as by DATA, however it is cut."""
        begun, patience = self.begun, self.door.patience
        if begun is None or begun.chunks is None:
            return None
        return patience.message_deadline(began=begun.chunks_since, octets=begun.chunks.content.size)

    def new_content(self) -> Content:
        """Return the empty content of the message that comes."""
        limit, room = self.door.bounds(self._whose)
        return Content(limit=limit, room=room, mend_lines=bool(self._whose.authenticated), disk=self.door.disk)

    async def read_data(self, content: Content) -> None:
        """Read up to the end of data (RFC 5321 section 4.1.1.4); what stands behind it is the next command."""
        reader = DataReader(content)
        patience, began = self.door.patience, self.door.now()
        self.reading = True
        rest = None
        while rest is None:
            until = patience.message_deadline(began=began, octets=content.size)
            self.deadline = min(self.door.now() + patience.block, until)
            rest = reader.feed(await self.inbox.block())
            if content.overfull:
                await self._overflow(content)
            if rest is None and content.size > flood_size(self.door.limits.message_size):
                self._give_up()
        self.inbox.put_back(rest)
        self.reading = False

    async def read_chunk(self, reader: ChunkReader | None, octets: int) -> None:
        """Read exactly so many octets; without a reader they are dropped, because the client sends them anyway."""
        if octets > flood_size(self.door.limits.message_size):
            self._give_up()
        await self.flush()  # earlier replies do not wait for this chunk
        patience, began = self.door.patience, self.door.now()
        self.reading = True
        left = octets
        while left:
            until = self.chunks_until() or patience.message_deadline(began=began, octets=octets - left)
            self.deadline = min(self.door.now() + patience.block, until)
            block = await self.inbox.some(left)
            left -= len(block)
            if reader is not None:
                reader.feed(block)
                if reader.content.overfull:
                    await self._overflow(reader.content)
        self.reading = False

    @property
    def _whose(self) -> ClientFacts:
        return self.begun.client if self.begun is not None else self.client

    async def _overflow(self, content: Content) -> None:
        """Let the disk take what is held; meanwhile the inbox fills, and then the socket is not read any more."""
        self.deadline = NEVER  # the client waits for us
        await content.overflow()

    def _give_up(self) -> NoReturn:
        """Refuse a flood without waiting for its end."""
        limit, _ = self.door.bounds(self._whose)
        self.say(replies.too_large(limit))
        self.leave()
        raise ConnectionEnded
