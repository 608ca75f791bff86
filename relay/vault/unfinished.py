"""What a reader handed over to be sent, read by the relay with the keys that came in the portal's request.

``read_draft`` changes nothing. The commit that makes the answer calls ``consume``; the commit that refuses the request
calls ``give_back``, and the reader finds the draft as it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select, update

from relay.errors import NotFoundError
from relay.store.tables.sealed import SealedState
from relay.vault.blobs import BlobStore
from relay.vault.pen import SEALED
from relay.vault.pieces import joined, remove_pieces
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import Author
from relay.vault.sealing.manifest import PartRole
from relay.vault.sealing.message import message_key
from relay.vault.stored import OpenedMessage, open_stored, read_stored

__all__ = ["DraftContent", "DraftPart", "consume", "give_back", "read_draft"]


@dataclass(frozen=True, slots=True)
class DraftPart:
    """A file of the answer: as the reader named it (may be empty), media type, size in octets.

    ``read()`` yields its octets, each chunk verified, at most 64 KiB at a time; SealingError, StoreError.
    """

    name: str
    type: str
    size: int
    read: Callable[[], Iterator[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DraftContent:
    """What is to be sent. ``text`` has line feeds for line ends and no other control characters than the tab."""

    text: str = field(repr=False)
    files: tuple[DraftPart, ...]


def read_draft(
    conn: Connection,
    blobs: BlobStore,
    keys: Mapping[bytes, bytes],
    *,
    conversation_id: bytes,
    author_id: bytes,
    answer_id: bytes,
) -> DraftContent:
    """Return what the pieces ``keys`` (id -> DEK) of one handed-over draft hold, in the order in which they were saved.

    NotFoundError when one is not there any more, or not a draft that this reader of this conversation handed over in
    this answer; SealingError when one was changed, or the key is not its own. Files are read later: by their ``read``.
    """
    rows = conn.execute(
        select(SEALED)
        .where(
            SEALED.c.id.in_(list(keys)),
            SEALED.c.state == SealedState.DRAFT.value,
            SEALED.c.author_id == author_id,
            SEALED.c.answer_id == answer_id,
        )
        .order_by(SEALED.c.created_at, SEALED.c.id)
    ).all()
    if not rows or len(rows) != len(keys):
        raise NotFoundError("a part of this answer is gone, or was not handed over by this reader")
    pieces = [_open_piece(conn, blobs, row, keys[row.id], conversation_id) for row in rows]
    found = [(part, partial(read_stored, blobs, piece, part.id)) for piece in pieces for part in piece.manifest.parts]
    texts = (b"".join(read()).decode("utf-8", "replace") for part, read in found if part.kind is PartRole.TEXT)
    files = (DraftPart(part.name, part.type, part.size, read) for part, read in found if part.kind is not PartRole.TEXT)
    return DraftContent(joined(texts), tuple(files))


def consume(conn: Connection, ids: Sequence[bytes], now: datetime) -> bool:
    """Remove the pieces of a draft in the commit that makes the answer of it; False when one was gone.

    False says that somebody else was faster: nothing of the commit may stay.
    """
    return remove_pieces(conn, ids, now) == len(ids)


def give_back(conn: Connection, answer_id: bytes) -> int:
    """Let the reader find what was handed over in this answer, which cannot be sent; return how many pieces."""
    return conn.execute(update(SEALED).where(SEALED.c.answer_id == answer_id).values(answer_id=None)).rowcount


def _open_piece(conn: Connection, blobs: BlobStore, row: Row[Any], dek: bytes, conversation_id: bytes) -> OpenedMessage:
    key = message_key(row.header, dek)
    key.header.require_row(conversation_id=conversation_id, message_id=row.id)
    if key.header.author is not Author.DRAFT:
        raise SealingError(Layer.AUTHOR_KIND, "this is no draft")
    return open_stored(conn, blobs, row, key)
