"""A sealed message as the store has it, read by somebody who holds its key: what it says of itself, and its parts.

Pages read what a link opened, the relay what the portal handed over; neither gets an octet that was not verified.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, select

from relay.store.tables import Part
from relay.vault.blobs import BlobStore
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.manifest import Manifest
from relay.vault.sealing.message import MessageKey, open_manifest
from relay.vault.sealing.parts import PartReader

_PART: Table = cast("Any", Part).__table__
_BLOCK = 1 << 20  # octets read from a blob at a time


@dataclass(frozen=True, slots=True)
class StoredPart:
    """Where a sealed part lies: in the row, or under a blob id. ``length`` is the stored one."""

    length: int
    content: bytes | None = field(repr=False)
    blob_id: bytes | None


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """The capability to one message: what may be shown of it, and how its parts are read.

    The kind of author is in the header, which is vouched for; ``author_id`` names the participant and is a column.
    """

    header: CoreHeader
    manifest: Manifest
    created_at: datetime
    expires_at: datetime
    message_key: MessageKey = field(repr=False)
    stored: Mapping[bytes, StoredPart] = field(repr=False)
    author_id: bytes | None = None


def open_stored(connection: Connection, blobs: BlobStore, row: Row[Any], key: MessageKey) -> OpenedMessage:
    """Open the message of a ``sealed`` row with its key. Small parts come along; large ones wait for ``read_stored``.

    SealingError (part, manifest) when the manifest does not verify, or lists other parts than there are.
    """
    stored = {
        part.id: StoredPart(part.length, part.content, part.blob_id)
        for part in connection.execute(select(_PART).where(_PART.c.message_id == row.id)).all()
    }
    if row.manifest_part not in stored:
        raise SealingError(Layer.MANIFEST, "it is missing")
    place = stored[row.manifest_part]
    manifest = open_manifest(key, row.manifest_part, b"".join(pieces_of(blobs, place, 0, place.length)))
    manifest.check_parts(one for one in stored if one != row.manifest_part)
    return OpenedMessage(key.header, manifest, row.created_at, row.expires_at, key, stored, row.author_id)


def read_stored(
    blobs: BlobStore, opened: OpenedMessage, part_id: bytes, start: int = 0, stop: int | None = None
) -> Iterator[bytes]:
    """Yield the plain octets ``start`` to ``stop`` (exclusive; None: to the end) of a part, each chunk verified.

    SealingError (part) when the message has no such part, or from the first chunk that fails its check; StoreError
    when the blob store does not answer. ValueError for a range outside the part.
    """
    entry = opened.manifest.part(part_id)
    stored = opened.stored[part_id]
    reader = PartReader(opened.message_key, part_id, stored.length, entry.size)
    if start == 0 and stop in (None, entry.size):
        return reader.read(pieces_of(blobs, stored, 0, stored.length))
    last = entry.size if stop is None else stop
    span = reader.span(start, last)
    return reader.read_range(start, last, pieces_of(blobs, stored, span.offset, span.offset + span.length))


def pieces_of(blobs: BlobStore, stored: StoredPart, start: int, stop: int) -> Iterator[bytes]:
    """Yield the sealed octets ``start`` to ``stop`` of a part, at most 1 MiB at a time; SealingError, StoreError."""
    if stored.content is not None:
        yield stored.content[start:stop]
        return
    if stored.blob_id is None:
        raise SealingError(Layer.PART, "its content is missing")
    for place in range(start, stop, _BLOCK):
        yield blobs.read(stored.blob_id, place, min(place + _BLOCK, stop))
