"""The message that a hold is about, opened: its envelope, its recipients, and the bytes that came in."""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Table, select

from relay.errors import NotFoundError
from relay.queue.content import Content
from relay.queue.entries import spooled_content
from relay.queue.holds import Held
from relay.queue.items import EntryEnvelope, QueuedEnvelope, open_entry, open_message
from relay.store.tables import Entry, QueuedMessage, Spool
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring

_MESSAGE: Table = cast("Any", QueuedMessage).__table__
_ENTRY: Table = cast("Any", Entry).__table__
_SPOOL: Table = cast("Any", Spool).__table__


@dataclass(frozen=True, slots=True)
class HeldMail:
    """``original`` is the message as it came in, without ``Bcc``; ``paths`` are the recipients that wait."""

    held: Held
    envelope: QueuedEnvelope
    original: bytes
    paths: tuple[EntryEnvelope, ...]
    key: bytes | None  # the message key, by which other transactions of it are found


def open_held(conn: Connection, keyring: Keyring, blobs: BlobStore, held: Held) -> HeldMail:
    """Return the message of a hold; blocking, the whole of it in memory.

    NotFoundError when nothing of it waits any more; LetterlockError or OSError when it cannot be read.
    """
    message = conn.execute(select(_MESSAGE).where(_MESSAGE.c.id == held.message_id)).one_or_none()
    spool = conn.execute(select(_SPOOL).where(_SPOOL.c.message_id == held.message_id)).one_or_none()
    if message is None or spool is None:
        raise NotFoundError("the message that was held is not there any more")
    ids = [copy.entry_id for copy in held.copies]
    rows = conn.execute(select(_ENTRY).where(_ENTRY.c.id.in_(ids)).order_by(_ENTRY.c.id)).all()
    return HeldMail(
        held,
        open_message(keyring, held.message_id, message.envelope),
        _last(spooled_content(keyring, blobs, spool), held.size),
        tuple(open_entry(keyring, row.id, row.message_id, row.route, row.envelope) for row in rows),
        message.message_key,
    )


def _last(content: Content, size: int) -> bytes:
    """Return the end of the content: what stands in front of it is ours (trace, signatures)."""
    whole = b"".join(content.pieces())
    return whole[len(whole) - size :]
