"""Putting a message into the queue: sealed and on disk first, then a handful of rows in somebody's transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection

from relay.clock import new_id, new_queue_id
from relay.dkim.signer import Signer
from relay.fail_points import reached
from relay.memory import LARGE
from relay.queue.content import Content, MemoryContent, header_section
from relay.queue.incoming import Reheaded
from relay.queue.items import (
    BLOCK,
    EPOCH_ID,
    SPOOL,
    Consignment,
    EntryEnvelope,
    QueuedEntry,
    QueuedEnvelope,
    StoredContent,
    seal_entry,
    seal_head,
    seal_message,
)
from relay.queue.return_path import ReturnPaths
from relay.queue.routes import domain_of
from relay.queue.settling import TO_READERS
from relay.store.tables import Entry, QueuedMessage, Spool
from relay.store.tables.queue import Direction, EntryState, Kind
from relay.store.writer import Store, insert_later
from relay.vault import blobs as journal
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring

_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_SPOOL = Spool.__table__  # type: ignore[attr-defined]
_FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's claim on entries it will send at once; `relay.queue.delivery.Delivery.reserve` hands it out."""

    owner: bytes
    until: datetime


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One recipient to be queued. ``participant_id`` is the reader whom a notice or code speaks to.

    ``held`` copies wait until somebody decides (`relay.queue.holds`); no worker takes them up.
    """

    kind: Kind
    route: str
    envelope: EntryEnvelope
    participant_id: bytes | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is ready for the queue: rows to insert, and what a worker needs to send it without reading them.

    ``consignments`` has one item per route; offer them only after the commit, and only when drafted with a
    lease.
    """

    message_id: bytes
    rows: dict[str, Any]
    entry_rows: list[dict[str, Any]]
    spool_row: dict[str, Any] | None
    consignments: tuple[Consignment, ...]
    blob_length: int = 0

    @property
    def leased(self) -> bool:
        """Whether a worker holds the entries already, to send them at once."""
        return any(row["lease_owner"] is not None for row in self.entry_rows)


class Spooler:
    """Signs messages and seals them for the queue: the one way for mail to leave, so none can miss its signature.

    Contents above ``inline_limit`` octets go to the blob store, sealed in chunks. ``returns`` writes the reverse-path
    of our own mail; without it, that is the null one.
    """

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        blobs: BlobStore,
        *,
        inline_limit: int,
        signer: Signer,
        returns: ReturnPaths | None = None,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._blobs = blobs
        self._inline_limit = inline_limit
        self._signer = signer
        self._returns = returns

    def draft(
        self,
        envelope: QueuedEnvelope,
        entries: Sequence[NewEntry],
        content: bytes | Reheaded,
        *,
        now: datetime,
        message_id: bytes | None = None,
        parent: bytes | None = None,
        direction: Direction = Direction.NOTICE,
        message_id_hash: bytes | None = None,
        message_key: bytes | None = None,
        size: int | None = None,
        lease: Lease | None = None,
        body: bytes | None = None,
    ) -> Draft:
        """Return a draft; `insert_message` puts it into a transaction.

        For large content this blocks until the blob is durable (call it in a thread then): StoreError,
        StoreFullError. ``content`` is the message as it will be sent, or what becomes of one that was received on
        disk, but for DKIM signatures: they are made here, once, so that every attempt sends the same octets. ``size``
        is what the client sent, if that differs, ``body`` the SHA-256 of the content's body, if that is known.
        ``envelope.body`` and ``.smtputf8`` are corrected to what the content really needs. Mail of our own (every other
        direction than OUT) that names no reverse-path gets its bounce address; a DSN keeps the null one (RFC 3461
        section 6.1). A blob whose transaction never comes is swept as an orphan.
        """
        message_id = message_id or new_queue_id()
        if self._returns and _comes_back(envelope, entries, direction):
            envelope = replace(envelope, reverse_path=self._returns.of(_reader(entries) or message_id))
        if entries:
            content = self._signed(content, now, body)
        envelope = _as_needed(envelope, content)
        # A message that nobody gets as it is leaves its record: nothing to keep, and no key to keep for it.
        spool_row, stored, blob_length = self._spool(message_id, content, now) if entries else (None, None, 0)
        rows = {
            "id": message_id,
            "parent": parent,
            "direction": direction.value,
            "accepted_at": now,
            "message_id_hash": message_id_hash,
            "message_key": message_key,
            "size": _size(content) if size is None else size,
            "envelope": seal_message(self._keyring, message_id, envelope, now),
        }
        queued = [_queued(entry, now) for entry in entries]
        entry_rows = [
            self._entry_row(message_id, new, entry, now, None if new.held else lease)
            for new, entry in zip(entries, queued, strict=True)
        ]
        sent = _sent(content, stored, lease)
        by_route: dict[str, list[QueuedEntry]] = {}
        for new, entry in zip(entries, queued, strict=True):
            if not new.held:
                by_route.setdefault(new.route, []).append(entry)
        consignments = tuple(
            Consignment(message_id, route, envelope, sent, tuple(waiting)) for route, waiting in by_route.items()
        )
        return Draft(message_id, rows, entry_rows, spool_row, consignments, blob_length)

    def further_entry(self, message_id: bytes, new: NewEntry, now: datetime) -> dict[str, Any]:
        """Return the row of one more entry for a message whose bytes are in the queue still; `insert_entry` writes it.

        Its epoch key is the day's: nothing else of the message is sealed anew.
        """
        return self._entry_row(message_id, new, _queued(new, now), now, None)

    def _signed(self, content: bytes | Reheaded, now: datetime, body: bytes | None) -> bytes | Reheaded:
        if isinstance(content, bytes):
            return self._signer.sign(content, now, body)
        return content.below(self._signer.sign_apart(content.head, partial(content.body_hash, body), now))

    def _spool(
        self, message_id: bytes, content: bytes | Reheaded, now: datetime
    ) -> tuple[dict[str, Any], StoredContent | None, int]:
        """Return the spool row and, for large content, where it lies and how many octets it takes there."""
        row: dict[str, Any] = {"message_id": message_id, "content": None, "blob_id": None, "epoch_id": b""}
        if isinstance(content, Reheaded):
            kept, head = content.incoming.keep(now), content.as_head()
            sealed = seal_head(self._keyring, message_id, head, content.incoming.sealed_at)
            row |= {"content": sealed, "blob_id": kept.blob_id, "epoch_id": kept.epoch_id}
            return row, kept.under(head), content.incoming.stored_length
        if len(content) <= self._inline_limit:
            sealed = self._keyring.spool_seal(SPOOL, message_id, content, at=now)
            return row | {"content": sealed, "epoch_id": sealed[:EPOCH_ID]}, None, 0
        blob_id = new_id()
        self._store.run(lambda conn: journal.begin(conn, [blob_id], now))
        reached("spool: blob journalled")
        chunks = self._sealed(message_id, content, now)
        first = next(filter(None, chunks))  # the id of the key stands in front of what is sealed
        length = self._blobs.write(blob_id, chain([first], chunks))
        stored = StoredContent(self._keyring, self._blobs, message_id, blob_id, first[:EPOCH_ID], len(content))
        return row | {"blob_id": blob_id, "epoch_id": first[:EPOCH_ID]}, stored, length

    def _sealed(self, message_id: bytes, content: bytes, now: datetime) -> Iterator[bytes]:
        writer = self._keyring.spool_writer(SPOOL, message_id, at=now)
        whole = memoryview(content)
        for start in range(0, len(whole), BLOCK):
            yield writer.write(whole[start : start + BLOCK])
        yield writer.finish()

    def _entry_row(
        self, message_id: bytes, new: NewEntry, entry: QueuedEntry, now: datetime, lease: Lease | None
    ) -> dict[str, Any]:
        state = EntryState.HELD if new.held else EntryState.LEASED if lease else EntryState.DUE
        return {
            "id": entry.id,
            "message_id": message_id,
            "kind": new.kind.value,
            "route": new.route,
            "domain": domain_of(new.envelope.recipient),
            "recipient_hash": self._keyring.address_hash(new.envelope.recipient),
            "envelope": seal_entry(self._keyring, entry.id, message_id, new.route, new.envelope, at=now),
            "state": state.value,
            "created_at": now,
            "due_at": now,
            "attempts": 0,
            "lease_owner": lease.owner if lease else None,
            "lease_epoch": _FIRST_EPOCH,
            "lease_until": lease.until if lease else None,
            "participant_id": new.participant_id,
        }


def insert_message(conn: Connection, draft: Draft) -> None:
    """Write a drafted message and its entries: three rows and one more per entry, none of them an ORM object."""
    insert_later(conn, _MESSAGE, [draft.rows])
    if draft.spool_row is None:
        return
    insert_later(conn, _SPOOL, [draft.spool_row])
    insert_later(conn, _ENTRY, draft.entry_rows)
    if draft.spool_row["blob_id"] is not None:
        journal.stored(conn, {draft.spool_row["blob_id"]: draft.blob_length}, draft.rows["accepted_at"])


def insert_entry(conn: Connection, row: dict[str, Any]) -> None:
    """Write one more entry of a message that is in the queue; at once, so that nobody lets go of its bytes."""
    conn.execute(_ENTRY.insert(), [row])


def _comes_back(envelope: QueuedEnvelope, entries: Sequence[NewEntry], direction: Direction) -> bool:
    """Whether this is mail of our own about which we want to hear."""
    ours = direction is not Direction.OUT and not envelope.reverse_path
    return ours and any(entry.kind is not Kind.DSN for entry in entries)


def _reader(entries: Sequence[NewEntry]) -> bytes | None:
    """Return the one reader whom a mail of ours speaks to, None for any other mail."""
    first = entries[0]
    return first.participant_id if len(entries) == 1 and first.kind in TO_READERS else None


def _queued(new: NewEntry, now: datetime) -> QueuedEntry:
    return QueuedEntry(new_queue_id(), new.kind, new.envelope, _FIRST_EPOCH, now, participant_id=new.participant_id)


def _sent(content: bytes | Reheaded, stored: StoredContent | None, lease: Lease | None) -> Content:
    """Return what is sent: with a lease the octets were reserved in memory, if there are not too many for that."""
    if isinstance(content, bytes) and (stored is None or (lease and len(content) <= LARGE)):
        return MemoryContent(content)
    assert stored is not None  # noqa: S101  # what was received on disk is nowhere else
    return stored


def _size(content: bytes | Reheaded) -> int:
    return len(content) if isinstance(content, bytes) else content.size


def _as_needed(envelope: QueuedEnvelope, content: bytes | Reheaded) -> QueuedEnvelope:
    """Return the envelope with what the message really needs of a next hop (RFC 6152, RFC 6531)."""
    ascii_only = content.isascii()
    body = "7BIT" if ascii_only else "8BITMIME"
    head = content if isinstance(content, bytes) else content.head
    utf8 = envelope.smtputf8 and not ascii_only and not header_section([head]).isascii()
    if (body, utf8) == (envelope.body, envelope.smtputf8):
        return envelope
    return replace(envelope, body=body, smtputf8=utf8)
