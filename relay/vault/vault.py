"""Sealing a message: the relay's side of the vault.

``seal`` does the work outside any transaction: ciphers, and large parts into the blob store, durable when it returns.
``insert`` writes the rows in the one transaction that also accepts the message. Nothing of it is readable before
somebody brings a link, and nothing refers to a blob that is not on disk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Table

from relay.clock import new_id
from relay.message.parts import Reading
from relay.store.batch import insert_later
from relay.store.tables import Conversation, Part, Sealed
from relay.store.tables import Stanza as StanzaTable
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.listing import Content, contents, manifest
from relay.vault.participants import Participants, PickupLink
from relay.vault.sealing.header import Author
from relay.vault.sealing.manifest import PartEntry
from relay.vault.sealing.message import (
    MessageKey,
    begin_message,
    manifest_digest,
    new_outer_key,
    seal_manifest,
    seal_recovery,
    seal_stanzas,
)
from relay.vault.sealing.parts import PartWriter, stored_length

__all__ = ["PickupLink", "SealedDraft", "Vault"]

_CONVERSATION: Table = cast("Any", Conversation).__table__
_SEALED: Table = cast("Any", Sealed).__table__
_STANZA: Table = cast("Any", StanzaTable).__table__
_PART: Table = cast("Any", Part).__table__
_SLICE = 1 << 20  # octets ciphered at a time, so that the interpreter is not held for long


@dataclass(frozen=True, slots=True)
class SealedDraft:
    """A sealed message that is not yet in the database.

    ``links`` has one link for each reader's address. ``sender_secret`` is S, 20 bytes (empty without a sender): the
    secret part of the reply address of the receipt. ``audit_facts`` belong to the event *sealed*: H and the digest of
    the sealed manifest, by which recovery proves origin.
    """

    message_id: bytes
    conversation_id: bytes
    expires_at: datetime
    links: dict[str, PickupLink]
    sender_participant_id: bytes | None
    sender_secret: bytes = field(repr=False)
    audit_facts: dict[str, str | int | bool | list[str]]
    rows: tuple[tuple[Table, list[dict[str, Any]]], ...] = field(repr=False)
    blobs: dict[bytes, int] = field(repr=False)


class Vault:
    """Seals messages. Parts go into the row while all of a message's together stay within ``inline_limit`` octets."""

    def __init__(self, keyring: Keyring, blobs: BlobStore, store: Store, *, inline_limit: int = 128 << 10) -> None:
        self._keyring = keyring
        self._blobs = blobs
        self._store = store
        self._inline_limit = inline_limit

    def seal(
        self,
        *,
        message_id: bytes,
        reading: Reading,
        original: bytes,
        sender: str,
        readers: Sequence[str],
        now: datetime,
        expires_at: datetime,
    ) -> SealedDraft:
        """Seal a message for ``readers``, a link each, and for its sender (empty: none).

        ``original`` is kept as the part ``original`` exactly as given: ``Bcc`` must have been removed. To and Cc of the
        manifest are those of the header, so a blind copy is named nowhere. Blocking: ciphers, and for large parts one
        commit and their fsync. StoreFullError and StoreError when the blob store cannot take them.
        """
        conversation_id = new_id()
        people = Participants(self._keyring, conversation_id, now, expires_at)
        for address in readers:
            people.add_reader(address)
        if sender:
            people.add_sender(sender)
        key = begin_message(conversation_id, message_id, int(now.timestamp()), Author.STAFF)
        part_rows, entries, blobs = self._parts(key, contents(reading, original), now)
        listed = seal_manifest(key, manifest(reading, entries))
        part_rows.append(_part_row(message_id, listed.id, len(listed.blob), content=listed.blob))
        outer = new_outer_key(key.header, self._keyring.kek_for(expires_at))
        stanzas = list(seal_stanzas(key, outer, people.keys))
        if self._keyring.recovery is not None:
            stanzas.append(seal_recovery(key, self._keyring.recovery))
        root = self._keyring.text_hash("message-id", reading.message_id) if reading.message_id else None
        sealed_row = {
            "id": message_id,
            "conversation_id": conversation_id,
            "header": key.header.encode(),
            "kek_id": outer.kek_id,
            "wrapped": outer.wrapped,
            "manifest_part": listed.id,
            "state": SealedState.LIVE.value,
            "created_at": now,
            "expires_at": expires_at,
        }
        stanza_rows = [
            {"message_id": one.message_id, "key_id": one.key_id, "type": int(one.type), "ct": one.ct} for one in stanzas
        ]
        return SealedDraft(
            message_id,
            conversation_id,
            expires_at,
            people.links,
            people.sender_id,
            people.sender_secret,
            {
                "header": key.header.digest.hex(),
                "manifest": manifest_digest(listed.blob).hex(),
                "readers": len(people.links),
                "parts": len(part_rows) - 1,
                "until": expires_at.isoformat(timespec="seconds"),
            },
            (
                (_CONVERSATION, [{"id": conversation_id, "created_at": now, "root_hash": root}]),
                (PARTICIPANT, people.rows),
                (KEY, people.key_rows),
                (_SEALED, [sealed_row]),
                (_PART, part_rows),
                (_STANZA, stanza_rows),
            ),
            blobs,
        )

    def insert(self, connection: Connection, draft: SealedDraft) -> None:
        """Write a sealed message in the transaction that accepts it. StoreError when its blobs were swept meanwhile."""
        journal.stored(connection, draft.blobs, draft.rows[0][1][0]["created_at"])
        for table, rows in draft.rows:
            insert_later(connection, table, rows)

    def _parts(
        self, key: MessageKey, parts: Sequence[Content], now: datetime
    ) -> tuple[list[dict[str, Any]], list[PartEntry], dict[bytes, int]]:
        """Seal all parts; return their rows, their lines in the manifest, and the lengths of the blobs written."""
        message_id = key.header.message_id
        in_rows = _small(parts, self._inline_limit)
        blob_ids = {number: new_id() for number in range(len(parts)) if number not in in_rows}
        if blob_ids:
            self._store.run(lambda connection: journal.begin(connection, list(blob_ids.values()), now))
        rows, entries, lengths = [], [], {}
        for number, part in enumerate(parts):
            writer = PartWriter(key)
            if (blob_id := blob_ids.get(number)) is None:
                blob = b"".join(_pieces(writer, part.data))
                rows.append(_part_row(message_id, writer.id, len(blob), content=blob))
            else:
                lengths[blob_id] = self._blobs.write(blob_id, _pieces(writer, part.data))
                rows.append(_part_row(message_id, writer.id, lengths[blob_id], blob_id=blob_id))
            entries.append(part.entry(writer.id))
        return rows, entries, lengths


def _small(parts: Sequence[Content], limit: int) -> frozenset[int]:
    """Return which parts stay in rows: the smallest, as long as all of them together stay within ``limit``."""
    chosen = []
    room = limit
    for number in sorted(range(len(parts)), key=lambda number: len(parts[number].data)):
        room -= stored_length(len(parts[number].data))
        if room < 0:
            break
        chosen.append(number)
    return frozenset(chosen)


def _pieces(writer: PartWriter, data: bytes) -> Iterator[bytes]:
    whole = memoryview(data)
    for start in range(0, len(whole), _SLICE):
        yield writer.write(whole[start : start + _SLICE])
    yield writer.finish()


def _part_row(
    message_id: bytes, part_id: bytes, length: int, *, content: bytes | None = None, blob_id: bytes | None = None
) -> dict[str, Any]:
    return {"id": part_id, "message_id": message_id, "length": length, "content": content, "blob_id": blob_id}
