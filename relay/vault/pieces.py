"""The pieces of a reader's unfinished answer: each saved text and each file is a small sealed message of its own.

One key seals one manifest (docs/sealed-format.md), and who writes with a ticket cannot open what is there already: so
nothing is ever rewritten, and a piece is added or removed as a whole. A piece has author kind 4, one part, and one
stanza, for the link it was written under. Nobody else can open it, the organisation's recovery key included: what was
not sent is nobody's mail.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table, delete, select

from relay.clock import new_id
from relay.errors import StoreError
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring
from relay.vault.listing import clean, media_type
from relay.vault.pen import PART, SEALED, STANZA, Pen
from relay.vault.sealing.header import Author
from relay.vault.sealing.manifest import Manifest, PartEntry, PartRole
from relay.vault.sealing.message import MessageKey, begin_message, new_outer_key, seal_manifest, seal_stanzas
from relay.vault.sealing.parts import PartWriter
from relay.vault.sealing.stanza import StanzaKey, StanzaType

KEPT = timedelta(days=7)  # an unfinished answer, at most; its link may end earlier
_LONGEST_NAME = 255  # characters of a file name
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class SealedPiece:
    """A piece that is not yet in the database; its blobs, if any, are on disk. ``size`` is in plain octets."""

    id: bytes
    entry: PartEntry
    rows: tuple[tuple[Table, list[dict[str, Any]]], ...] = field(repr=False)
    blobs: dict[bytes, int] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What sealing a piece takes: the portal's keys, and where its octets go."""

    keyring: Keyring
    blobs: BlobStore
    store: Store
    inline_limit: int

    def seal(
        self, pen: Pen, role: PartRole, pieces: Iterable[bytes], now: datetime, *, name: str = "", kind: str
    ) -> SealedPiece:
        """Seal a text or file as it comes, in constant memory; blocking.

        Whatever ``pieces`` raises leaves through here, and nothing is kept then; it should raise no OSError, for which
        the blob store would be blamed. StoreFullError and StoreError when the octets cannot be stored, KeyringError
        when the server key of the link's month is gone.
        """
        key = begin_message(pen.conversation_id, new_id(), int(now.timestamp()), Author.DRAFT)
        # Under the server key of the link's own month, which exists: the portal makes no keys.
        outer = new_outer_key(key.header, self.keyring.kek_for(pen.until))
        writer = PartWriter(key)
        content = self._place(key, writer, pieces, now)
        entry = PartEntry(writer.id, role, clean(name, _LONGEST_NAME), media_type(kind), writer.size)
        listed = seal_manifest(key, Manifest("", (), (), "", "", (entry,)))
        [stanza] = seal_stanzas(key, outer, [StanzaKey(StanzaType.LINK, pen.link_id, pen.public)])
        message_id = key.header.message_id
        sealed = {
            "id": message_id,
            "conversation_id": pen.conversation_id,
            "header": key.header.encode(),
            "kek_id": outer.kek_id,
            "wrapped": outer.wrapped,
            "manifest_part": listed.id,
            "state": SealedState.DRAFT.value,
            "created_at": now,
            "expires_at": min(pen.until, now + KEPT),
            "author_id": pen.participant_id,
            "to_all": False,
        }
        manifest = {
            "id": listed.id,
            "message_id": message_id,
            "length": len(listed.blob),
            "content": listed.blob,
            "blob_id": None,
        }
        row = {"message_id": message_id, "key_id": stanza.key_id, "type": int(stanza.type), "ct": stanza.ct}
        blobs = {} if content["blob_id"] is None else {content["blob_id"]: content["length"]}
        return SealedPiece(message_id, entry, ((SEALED, [sealed]), (PART, [content, manifest]), (STANZA, [row])), blobs)

    def drop(self, piece: SealedPiece, now: datetime) -> None:
        """Give up a piece that was not inserted: its blobs go with the next sweep, unless it was after all."""
        self._give_up(piece.blobs, now)

    def _place(self, key: MessageKey, writer: PartWriter, pieces: Iterable[bytes], now: datetime) -> dict[str, Any]:
        """Return the row of a part: its octets in it when they are few, else in the blob store."""
        sealed = _sealed(writer, pieces)
        row = {"id": writer.id, "message_id": key.header.message_id, "content": None, "blob_id": None}
        front = bytearray()
        for octets in sealed:
            front += octets
            if len(front) > self.inline_limit:
                break
        else:
            return row | {"length": len(front), "content": bytes(front)}
        blob_id = new_id()
        self.store.run(lambda conn: journal.begin(conn, [blob_id], now))
        try:
            length = self.blobs.write(blob_id, chain((bytes(front),), sealed))
        except BaseException:
            self._give_up([blob_id], now)
            raise
        return row | {"length": length, "blob_id": blob_id}

    def _give_up(self, blob_ids: Iterable[bytes], now: datetime) -> None:
        if ids := list(blob_ids):
            with suppress(StoreError):  # swept as an orphan after a day then
                self.store.run(lambda conn: journal.give_up(conn, ids, now))


def insert_piece(conn: Connection, piece: SealedPiece, now: datetime) -> None:
    """Write a sealed piece; StoreError when its blob was swept meanwhile."""
    journal.stored(conn, piece.blobs, now)
    for table, rows in piece.rows:
        conn.execute(table.insert(), rows)


def remove_pieces(conn: Connection, ids: Sequence[bytes], now: datetime) -> int:
    """Remove pieces whole; their blobs are doomed. Returns how many there were. Touches nothing but drafts."""
    found = list(
        conn.execute(
            select(SEALED.c.id).where(SEALED.c.id.in_(ids), SEALED.c.state == SealedState.DRAFT.value)
        ).scalars()
    )
    if found:
        in_blobs = select(PART.c.blob_id).where(PART.c.message_id.in_(found), PART.c.blob_id.is_not(None))
        journal.doom(conn, list(conn.execute(in_blobs).scalars()), now)
        conn.execute(delete(STANZA).where(STANZA.c.message_id.in_(found)))
        conn.execute(delete(PART).where(PART.c.message_id.in_(found)))
        conn.execute(delete(SEALED).where(SEALED.c.id.in_(found)))
    return len(found)


def plain_text(typed: str) -> str:
    """Return what was typed with line feeds for line ends and without other control characters than the tab."""
    lines = typed.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", lines).encode("utf-8", "replace").decode("utf-8")


def joined(texts: Iterable[str]) -> str:
    """Return texts that were saved apart, oldest first, as one: nothing is lost, and nothing stands twice.

    A text that a later one begins with was its earlier state.
    """
    kept: list[str] = []
    for text in texts:
        kept = [earlier for earlier in kept if not text.startswith(earlier)]
        if text.strip():
            kept.append(text)
    return "\n\n".join(kept)


def _sealed(writer: PartWriter, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if sealed := writer.write(piece):
            yield sealed
    yield writer.finish()
