"""What a visit showed its reader: the messages it opened, whom they named, and how the last of them is answered."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from relay.message.address_list import parse_addresses
from relay.message.header_facts import message_ids
from relay.message.structure import walk
from relay.store.tables import Sealed
from relay.vault.blobs import BlobStore
from relay.vault.capability import Capability
from relay.vault.stored import OpenedMessage, open_stored, read_stored

_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_HEADER = 256 << 10  # octets of an original in which its header ends


@dataclass(frozen=True, slots=True)
class Shown:
    """The messages that a visit opened, oldest first: at least one."""

    messages: tuple[OpenedMessage, ...]

    @classmethod
    def load(cls, conn: Connection, blobs: BlobStore, capability: Capability) -> "Shown":
        """Open the manifests; SealingError when one does not verify."""
        rows = conn.execute(
            select(_SEALED)
            .where(_SEALED.c.id.in_(list(capability.messages)))
            .order_by(_SEALED.c.created_at, _SEALED.c.id)
        ).all()
        return cls(tuple(open_stored(conn, blobs, row, capability.messages[row.id]) for row in rows))

    def answered(self, by: bytes) -> OpenedMessage:
        """Return the message that an answer is to: the newest that ``by`` did not write, else the newest."""
        others = [one for one in self.messages if one.author_id != by]
        return (others or self.messages)[-1]

    def addresses(self) -> Iterator[str]:
        """Yield every address that was shown: authors, To and Cc of all messages."""
        for one in self.messages:
            yield from people_of(one)


def people_of(message: OpenedMessage) -> Iterator[str]:
    """Yield the addresses that a message names: its author, To, Cc."""
    manifest = message.manifest
    yield from (str(one.mailbox) for one in parse_addresses(manifest.sender.encode("utf-8", "replace")))
    yield from manifest.to
    yield from manifest.cc


def thread_of(blobs: BlobStore, message: OpenedMessage) -> tuple[str, ...]:
    """Return the Message-IDs that an answer refers to (RFC 5322 section 3.6.4), the message's own last.

    Empty when the message has none, or is not kept with its original. SealingError, StoreError.
    """
    original = next((one for one in message.manifest.parts if one.kind == "original"), None)
    if original is None:
        return ()
    header = b"".join(_first(read_stored(blobs, message, original.id), _HEADER))
    headers = walk(header.partition(b"\r\n\r\n")[0] + b"\r\n\r\n").headers
    own = message_ids(headers, b"message-id")[:1]
    earlier = message_ids(headers, b"references") or message_ids(headers, b"in-reply-to")
    return (*(one for one in earlier if one not in own), *own)


def _first(pieces: Iterable[bytes], octets: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:octets]
        octets -= len(piece)
        if octets <= 0:
            return
