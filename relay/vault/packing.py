"""The parts of a message, sealed and put where they stay: small ones into rows, large ones into the blob store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from relay.clock import new_id
from relay.fail_points import reached
from relay.message.parts import Reading
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault.blobs import BlobStore
from relay.vault.listing import Content, contents, manifest
from relay.vault.sealing.manifest import PartEntry
from relay.vault.sealing.message import MessageKey, manifest_digest, seal_manifest
from relay.vault.sealing.parts import PartWriter, seal_part, stored_length

_SLICE = 1 << 20  # octets ciphered at a time, so that the interpreter is not held for long


@dataclass(frozen=True, slots=True)
class Packed:
    """All parts of one message, sealed: their rows, which of them is the manifest, and the blobs that were written."""

    manifest_part: bytes
    digest: bytes  # of the sealed manifest: what the audit record of sealing holds
    rows: list[dict[str, Any]] = field(repr=False)
    blobs: dict[bytes, int] = field(repr=False)


class Packer:
    """Seals parts; they go into rows while all of a message's together stay within ``inline_limit`` octets."""

    def __init__(self, blobs: BlobStore, store: Store, inline_limit: int) -> None:
        self._blobs = blobs
        self._store = store
        self._inline_limit = inline_limit

    def pack(self, key: MessageKey, reading: Reading, original: bytes, now: datetime) -> Packed:
        """Seal everything of a message under its key. Blocking: large parts are durable in the blob store on return.

        StoreFullError and StoreError when they cannot be.
        """
        rows, entries, blobs = self._parts(key, contents(reading, original), now)
        reached("sealing: parts sealed")
        listed = seal_manifest(key, manifest(reading, entries))
        rows.append(_part_row(key.header.message_id, listed.id, len(listed.blob), content=listed.blob))
        return Packed(listed.id, manifest_digest(listed.blob), rows, blobs)

    def _parts(
        self, key: MessageKey, parts: Sequence[Content], now: datetime
    ) -> tuple[list[dict[str, Any]], list[PartEntry], dict[bytes, int]]:
        """Seal all parts; return their rows, their lines in the manifest, and the lengths of the blobs written."""
        message_id = key.header.message_id
        in_rows = _small(parts, self._inline_limit)
        blob_ids = {number: new_id() for number in range(len(parts)) if number not in in_rows}
        if blob_ids:
            self._store.run(lambda connection: journal.begin(connection, list(blob_ids.values()), now))
            reached("sealing: blobs journalled")
        rows, entries, lengths = [], [], {}
        for number, part in enumerate(parts):
            if (blob_id := blob_ids.get(number)) is None:
                sealed = seal_part(key, part.data)
                part_id = sealed.id
                rows.append(_part_row(message_id, part_id, len(sealed.blob), content=sealed.blob))
            else:
                writer = PartWriter(key)
                part_id = writer.id
                lengths[blob_id] = self._blobs.write(blob_id, _pieces(writer, part.data))
                rows.append(_part_row(message_id, part_id, lengths[blob_id], blob_id=blob_id))
            entries.append(part.entry(part_id))
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
