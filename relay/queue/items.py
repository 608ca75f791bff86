"""Queued messages at rest: their values, how they are sealed, and how they are written.

Sealed under the epoch key, each with its row id and its kind as associated data: the message's envelope, each
entry's envelope, the content. An entry's envelope repeats its message and route, so that a row that was moved
to another message or another route no longer opens as what it claims to be.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from relay.errors import StoreError
from relay.queue.content import Content
from relay.store.tables.queue import Kind
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring

MESSAGE, ENTRY, SPOOL, HEAD, REPLY = "message", "entry", "spool", "head", "reply"  # labels of what is sealed
EPOCH_ID = 16  # octets in front of everything sealed for the spool: the id of its key
BLOCK = 1 << 18  # octets of a stored content that are read at once: each courier holds a few of them


@dataclass(frozen=True, slots=True)
class QueuedEnvelope:
    """What all entries of a message share.

    ``ret`` and ``envid`` are the DSN parameters as received (RFC 3461). ``body`` is ``8BITMIME`` and
    ``smtputf8`` is true only where content or header section really need it. ``report_to`` is who learns of a
    failure of our own mail, whose reverse-path leads back to us: that a notice reaches nobody is the business of the
    sender whose message it speaks of. ``until`` is the moment after which sending makes no
    sense (a code that lapsed).
    """

    reverse_path: str
    ret: str = ""
    envid: str = ""
    smtputf8: bool = False
    body: str = ""
    report_to: str = ""
    until: datetime | None = None

    def reports_go_to(self, kind: Kind) -> str:
        """Return the address that gets reports about an entry of this kind, empty when nobody does."""
        return self.reverse_path if kind is Kind.MAIL else self.report_to


@dataclass(frozen=True, slots=True)
class EntryEnvelope:
    """One recipient: address, and ORCPT and NOTIFY as received (RFC 3461 section 4)."""

    recipient: str
    orcpt: str = ""
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueuedEntry:
    """One entry as a worker holds it. ``epoch`` is the fence: an outcome under another epoch is not recorded."""

    id: bytes
    kind: Kind
    envelope: EntryEnvelope
    epoch: int
    created_at: datetime
    attempts: int = 0
    warned: bool = False
    participant_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class Consignment:
    """One message with those of its entries that one worker holds, all on one route."""

    message_id: bytes
    route: str
    envelope: QueuedEnvelope
    content: Content
    entries: tuple[QueuedEntry, ...]

    def split(self, size: int) -> Iterator["Consignment"]:
        """Return consignments of at most ``size`` entries each."""
        if len(self.entries) <= size:
            yield self
            return
        for start in range(0, len(self.entries), size):
            yield replace(self, entries=self.entries[start : start + size])


@dataclass(frozen=True, slots=True)
class Head:
    """A header section that stands in place of the first ``instead_of`` octets of a blob, and lies in its row."""

    octets: bytes
    instead_of: int


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NO_HEAD = Head(b"", 0)


@dataclass(frozen=True, slots=True)
class StoredContent:
    """A message whose bytes lie sealed in the blob store: all of them, or all behind the header section ``head``.

    ``size`` is that of the whole message.
    """

    keyring: Keyring
    blobs: BlobStore
    message_id: bytes
    blob_id: bytes
    epoch_id: bytes
    size: int
    head: Head = _NO_HEAD

    def under(self, head: Head) -> "StoredContent":
        """Return the message with another header section in place of the first octets of the blob."""
        return replace(self, head=head, size=self.size - head.instead_of + len(head.octets))

    def pieces(self) -> "StoredPieces":
        """Return the message in verified pieces; SealingError or OSError when it is not what was stored."""
        return StoredPieces(self)


class StoredPieces(Iterator[bytes]):
    """A stored message in verified pieces of about `BLOCK`; each but the first takes one more block from the disk."""

    def __init__(self, content: StoredContent) -> None:
        self._content = content
        self._block = b""  # read already
        self._position = self._length = 0
        self._pieces: Iterator[bytes] | None = None

    def __next__(self) -> bytes:
        if self._pieces is None:
            self._pieces = self._opened()
        return next(self._pieces)

    def at_hand(self) -> bool:
        """Whether the next piece lies in the system's memory: what was received a moment ago nearly always does."""
        if self._pieces is None:
            return False
        if not self._block and self._position < self._length:
            self._block = self._content.blobs.read(*self._place(), wait=False)
        return bool(self._block) or self._position >= self._length

    def _opened(self) -> Iterator[bytes]:
        content = self._content
        self._length = content.blobs.length(content.blob_id)
        reader = content.keyring.spool_reader(SPOOL, content.message_id, content.epoch_id, self._length)
        chunks = _without(content.head.instead_of, reader.read(self._stored()))
        return blocks(chain([content.head.octets], chunks) if content.head.octets else chunks)

    def _stored(self) -> Iterator[bytes]:
        while self._position < self._length:
            block, self._block = self._block or self._content.blobs.read(*self._place()), b""
            self._position += BLOCK
            yield block

    def _place(self) -> tuple[bytes, int, int]:
        return self._content.blob_id, self._position, min(self._position + BLOCK, self._length)


def seal_message(keyring: Keyring, message_id: bytes, envelope: QueuedEnvelope, at: datetime) -> bytes:
    """Return the sealed envelope of a message."""
    one = envelope
    until = one.until.timestamp() if one.until else None
    fields = [one.reverse_path, one.ret, one.envid, one.smtputf8, one.body, one.report_to, until]
    return keyring.spool_seal(MESSAGE, message_id, _pack(fields), at=at)


def open_message(keyring: Keyring, message_id: bytes, sealed: bytes) -> QueuedEnvelope:
    """Return the envelope of a message; SealingError when it is not what was sealed."""
    reverse_path, ret, envid, smtputf8, body, report_to, until = _unpack(
        keyring.spool_open(MESSAGE, message_id, sealed)
    )
    return QueuedEnvelope(
        reverse_path=reverse_path,
        ret=ret,
        envid=envid,
        smtputf8=smtputf8,
        body=body,
        report_to=report_to,
        until=datetime.fromtimestamp(until, UTC) if until is not None else None,
    )


def seal_head(keyring: Keyring, message_id: bytes, head: Head, at: datetime) -> bytes:
    """Return the sealed header section of a message whose body lies in a blob, with the place where that begins."""
    return keyring.spool_seal(HEAD, message_id, head.instead_of.to_bytes(8, "big") + head.octets, at=at)


def open_head(keyring: Keyring, message_id: bytes, sealed: bytes) -> Head:
    """Return the header section of a message; SealingError when it is not what was sealed."""
    opened = keyring.spool_open(HEAD, message_id, sealed)
    return Head(opened[8:], int.from_bytes(opened[:8], "big"))


def seal_entry(
    keyring: Keyring, entry_id: bytes, message_id: bytes, route: str, envelope: EntryEnvelope, *, at: datetime
) -> bytes:
    """Return the sealed envelope of an entry, bound to its message and route."""
    fields = [message_id.hex(), route, envelope.recipient, envelope.orcpt, list(envelope.notify)]
    return keyring.spool_seal(ENTRY, entry_id, _pack(fields), at=at)


def open_entry(keyring: Keyring, entry_id: bytes, message_id: bytes, route: str, sealed: bytes) -> EntryEnvelope:
    """Return the envelope of an entry; SealingError or StoreError if it was sealed for another."""
    of_message, of_route, recipient, orcpt, notify = _unpack(keyring.spool_open(ENTRY, entry_id, sealed))
    if (of_message, of_route) != (message_id.hex(), route):
        raise StoreError("a queue entry was moved to another message or route")
    return EntryEnvelope(recipient, orcpt, tuple(notify))


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join chunks into pieces of about `BLOCK`: each piece costs its reader a change of threads."""
    held: list[bytes] = []
    octets = 0
    for chunk in chunks:
        held.append(chunk)
        octets += len(chunk)
        if octets >= BLOCK:
            yield b"".join(held)
            held, octets = [], 0
    yield b"".join(held)


def _without(octets: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Return what follows the first ``octets``."""
    for chunk in chunks:
        if octets < len(chunk):
            yield chunk[octets:]
        octets = max(0, octets - len(chunk))


def _pack(fields: list[Any]) -> bytes:
    return _JSON.encode(fields).encode()


def _unpack(data: bytes) -> list[Any]:
    fields: list[Any] = json.loads(data)
    return fields
