"""A large message while it is not ours yet: sealed as it arrives, just as the queue will keep it.

Its octets go into a draft of the blob store. Where the message is relayed the draft becomes the blob of its spool row:
what was received is written once, and only the header section that leaves is sealed anew, beside it. Where it is not,
or the client gives up, or the process dies, the draft is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import BytesIO

from relay import clock
from relay.dkim.body import hash_body
from relay.fail_points import reached
from relay.memory import LARGE
from relay.message.block import header_end
from relay.message.headers import prepend
from relay.queue.items import BLOCK, EPOCH_ID, SPOOL, Head, StoredContent
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault.blobs import BlobDraft, BlobStore
from relay.vault.keyring import Keyring


class Incoming:
    """One message on its way in: `write` and `finish`, then read it as often as needed, keep it or not, and `drop` it.

    Everything but `drop` blocks: StoreFullError, StoreError, and SealingError where the disk does not hold what was
    written. One thread at a time writes; `drop` may come at any moment. ``ensure_room`` raises StoreFullError where the
    disk has none left for mail; ``message_id`` is that of the message, should it be accepted.
    """

    def __init__(self, keyring: Keyring, blobs: BlobStore, store: Store, ensure_room: Callable[[], None]) -> None:
        self.message_id = clock.new_queue_id()
        self.size = 0  # octets of the message so far
        self._keyring = keyring
        self._blobs = blobs
        self._store = store
        self._ensure_room = ensure_room
        self._at = clock.now()
        self._writer = keyring.spool_writer(SPOOL, self.message_id, at=self._at)
        self._draft: BlobDraft | None = None
        self._blob_id = clock.new_id()
        self._kept = self._dropped = False

    def write(self, octets: bytes | bytearray) -> None:
        """Take the next octets of the message."""
        self._ensure_room()
        if self._draft is None:
            self._draft = self._blobs.draft()
            if self._dropped:  # the client left while the file was made
                self._draft.drop()
        if sealed := self._writer.write(octets):
            self._draft.append(sealed)
        self.size += len(octets)

    def finish(self) -> None:
        """Take note that the message is complete."""
        self._written.append(self._writer.finish())

    def chunks(self) -> Iterator[bytes]:
        """Yield the message, each chunk after it was verified."""
        draft = self._written
        length = draft.length
        reader = self._keyring.spool_reader(SPOOL, self.message_id, draft.read(0, EPOCH_ID), length)
        return reader.read(draft.read(start, start + BLOCK) for start in range(0, length, BLOCK))

    def beginning(self, octets: int) -> bytes:
        """Return the first octets of the message, as many as there are."""
        collected = b""
        for chunk in self.chunks():
            collected += chunk
            if len(collected) >= octets:
                break
        return collected[:octets]

    def whole(self) -> bytes:
        """Return the message; at no moment is more of it in memory than once."""
        collected = BytesIO()
        collected.seek(self.size)
        collected.write(b"\0")  # takes all its room at once, so that nothing is moved while it grows
        collected.seek(0)
        for chunk in self.chunks():
            collected.write(chunk)
        collected.truncate()
        return collected.getvalue()

    def keep(self, now: datetime) -> StoredContent:
        """Make it durable, under the id of a journalled blob; what refers to it must be committed. Again: no change."""
        draft = self._written
        if not self._kept:
            self._store.run(lambda conn: journal.begin(conn, [self._blob_id], now))
            reached("spool: blob journalled")
            draft.keep(self._blob_id)
            self._kept = True
        epoch_id = draft.read(0, EPOCH_ID)
        return StoredContent(self._keyring, self._blobs, self.message_id, self._blob_id, epoch_id, self.size)

    @property
    def sealed_at(self) -> datetime:
        """The moment whose epoch key it is sealed under."""
        return self._at

    @property
    def stored_length(self) -> int:
        """Octets that it takes on disk."""
        return self._written.length

    def drop(self) -> None:
        """Let go of it: without `keep` nothing of it is left. Calling it twice does no harm."""
        self._dropped = True
        if self._draft is not None:
            self._draft.drop()

    @property
    def _written(self) -> BlobDraft:
        if self._draft is None:
            raise ValueError("nothing was written yet")
        return self._draft


@dataclass(frozen=True, slots=True)
class Reheaded:
    """A received message that is to leave under another header section: ``head``, the empty line included.

    ``received`` is the message as it came, in memory for as long as this is planned; its octets from ``body`` on are
    those of the body, and `incoming` has the same on disk.
    """

    incoming: Incoming
    head: bytes
    received: bytes = field(repr=False)
    body: int

    @property
    def size(self) -> int:
        """Octets of the message that leaves."""
        return len(self.head) + len(self.received) - self.body

    def isascii(self) -> bool:
        """Whether header and body hold no octet above 127."""
        if self.received.isascii():  # nearly always, and nothing is copied for it
            return self.head.isascii()
        slices = range(self.body, len(self.received), BLOCK)
        return self.head.isascii() and all(self.received[start : start + BLOCK].isascii() for start in slices)

    def body_hash(self, plain: bytes | None = None) -> bytes:
        """Return what a DKIM signature says of the body; ``plain`` is its SHA-256, where that is known."""
        return hash_body(self.received, self.body, plain)

    def below(self, fields: bytes) -> "Reheaded":
        """Return the message with more fields on top."""
        return replace(self, head=fields + self.head) if fields else self

    def as_head(self) -> Head:
        """Return what the queue keeps beside the blob."""
        return Head(self.head, self.body)


def reheaded(
    incoming: Incoming | None, received: bytes, changed: bytes, on_top: Sequence[tuple[str, str]]
) -> bytes | Reheaded:
    """Return ``changed`` with more header fields ``on_top`` (name and value), the body left on disk where it can be.

    ``changed`` is ``received`` with other fields and the same body. It comes back as bytes where the message was not
    received on disk, and where its header section is itself large: then it is no small thing beside the blob.
    """
    if incoming is not None:
        body, end = header_end(received)[1], header_end(changed)[1]
        if end <= LARGE and len(received) - body == len(changed) - end:
            return Reheaded(incoming, prepend(on_top, changed[:end]), received, body)
    return prepend(on_top, changed)
