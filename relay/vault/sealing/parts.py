"""Parts: what a message consists of, each a blob ``part id 16 | chunks`` that can be read from any place.

The plain text is padded with 80 00 .. 00 to a multiple of 1,024 bytes, so that a length tells KiB and no
more. The part id is drawn anew for every attempt at writing: a restarted upload never meets the same key and
nonce.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from relay.vault.sealing.chunks import CHUNK, ChunkSealer, Layout, Span, open_chunks, seal_chunk
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.key import MessageKey
from relay.vault.sealing.primitives import ID_LENGTH, PART, kdf, require_id

PAD = 1024
_MARK = b"\x80"


class PartKind(IntEnum):
    """What a part is to the format; it stands in the part's key, so that neither passes for the other."""

    MANIFEST = 0
    CONTENT = 1


def padded_length(size: int) -> int:
    """Return the length of ``size`` bytes after padding: the next multiple of 1,024 above ``size``."""
    return (size // PAD + 1) * PAD


def stored_length(size: int) -> int:
    """Return the length of the blob of a part of ``size`` bytes."""
    return ID_LENGTH + Layout.of_plain(padded_length(size)).sealed


def smallest_size(stored: int) -> int:
    """Return the least number of plain bytes behind a blob of this length; the most is 1,023 above it.

    SealingError (part) when no part has this length.
    """
    padded = Layout.of_sealed(stored - ID_LENGTH, Layer.PART).plain
    if padded == 0 or padded % PAD:
        raise SealingError(Layer.PART, "no part has this length")
    return padded - PAD


def _part_key(message: MessageKey, kind: PartKind, part_id: bytes) -> bytes:
    return kdf(message.dek, message.header.digest, PART + bytes([kind]) + require_id(part_id, Layer.PART))


class PartWriter:
    """Seals a part given in slices of any length; ``write`` and ``finish`` return the blob piece by piece."""

    def __init__(self, message: MessageKey, kind: PartKind = PartKind.CONTENT) -> None:
        self.id = secrets.token_bytes(ID_LENGTH)
        self.size = 0  # plain bytes taken so far
        self.stored_length = 0  # bytes handed out so far
        self._sealer = ChunkSealer(_part_key(message, kind, self.id))

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take the next bytes and return the next bytes of the blob, possibly none."""
        self.size += len(data)
        return self._hand_out(self._sealer.write(data))

    def finish(self) -> bytes:
        """Pad, and return the rest of the blob; nothing can be written afterwards."""
        padding = _MARK.ljust(padded_length(self.size) - self.size, b"\x00")
        return self._hand_out(self._sealer.write(padding) + self._sealer.finish())

    def _hand_out(self, sealed: bytes) -> bytes:
        if sealed and not self.stored_length:
            sealed = self.id + sealed
        self.stored_length += len(sealed)
        return sealed


class PartReader:
    """Reads one part, whole or in ranges; every byte that it yields has been verified.

    ``stored_length`` is that of the blob as the store tells it and is checked first. ``size`` is that of the
    manifest; None only for the manifest itself, whose size is found from its padding. SealingError (part) for
    everything that is not exactly what was written.
    """

    def __init__(
        self,
        message: MessageKey,
        part_id: bytes,
        stored_length: int,
        size: int | None,
        kind: PartKind = PartKind.CONTENT,
    ) -> None:
        self._layout = Layout.of_sealed(stored_length - ID_LENGTH, Layer.PART)
        if self._layout.plain == 0 or self._layout.plain % PAD:
            raise SealingError(Layer.PART, "no part has this length")
        if size is not None and padded_length(size) != self._layout.plain:
            raise SealingError(Layer.PART, "its stored length does not fit its size")
        self.id = require_id(part_id, Layer.PART)
        self.size = size
        self._key = _part_key(message, kind, part_id)

    def read(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the whole part. ``pieces`` are the whole blob in slices of any length."""
        chunks = open_chunks(self._key, self._layout, self._without_id(pieces), layer=Layer.PART)
        for index, chunk in enumerate(chunks):
            if data := self._unpad(index, chunk):
                yield data

    def span(self, start: int, stop: int) -> Span:
        """Return which bytes of the blob to fetch for the plain bytes ``start`` to ``stop`` (exclusive).

        ValueError when the range lies outside the part, or the size is not known.
        """
        first, after = self._cover(start, stop)
        span = self._layout.span(first, after)
        return Span(ID_LENGTH + span.offset, span.length)

    def read_range(self, start: int, stop: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the plain bytes ``start`` to ``stop`` (exclusive) from the stored bytes of their span."""
        first, after = self._cover(start, stop)
        chunks = open_chunks(self._key, self._layout, pieces, layer=Layer.PART, first=first, after=after)
        for index, chunk in enumerate(chunks, first):
            begin = index * CHUNK
            if data := self._unpad(index, chunk)[max(0, start - begin) : stop - begin]:
                yield data

    def _cover(self, start: int, stop: int) -> tuple[int, int]:
        if self.size is None or not 0 <= start <= stop <= self.size:
            raise ValueError("this range lies outside the part")
        return self._layout.cover(start, stop)

    def _without_id(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        front = b""
        for piece in pieces:
            if len(front) == ID_LENGTH:
                yield piece
                continue
            missing = ID_LENGTH - len(front)
            front += piece[:missing]
            if len(front) == ID_LENGTH:
                if front != self.id:
                    raise SealingError(Layer.PART, "this is the blob of another part")
                yield piece[missing:]

    def _unpad(self, index: int, chunk: bytes) -> bytes:
        """Return the chunk without padding, which only the last has, because 1,024 divides 65,536."""
        if index < self._layout.count - 1:
            return chunk
        data = chunk.rstrip(b"\x00")
        size = index * CHUNK + len(data) - 1
        if not data.endswith(_MARK) or padded_length(size) != self._layout.plain or self.size not in (None, size):
            raise SealingError(Layer.PART, "its padding is wrong")
        return data[:-1]


@dataclass(frozen=True, slots=True)
class SealedPart:
    """A part sealed in one go: its id, its blob and the number of its plain bytes."""

    id: bytes
    blob: bytes = field(repr=False)
    size: int


def seal_part(message: MessageKey, data: bytes, kind: PartKind = PartKind.CONTENT) -> SealedPart:
    """Seal a part that is in memory."""
    if len(data) < CHUNK:
        part_id = secrets.token_bytes(ID_LENGTH)
        padded = (data + _MARK).ljust(padded_length(len(data)), b"\x00")
        return SealedPart(part_id, part_id + seal_chunk(_part_key(message, kind, part_id), padded), len(data))
    writer = PartWriter(message, kind)
    blob = writer.write(data) + writer.finish()
    return SealedPart(writer.id, blob, len(data))


def open_part(
    message: MessageKey, part_id: bytes, blob: bytes, size: int | None, kind: PartKind = PartKind.CONTENT
) -> bytes:
    """Open a part that is in memory; SealingError (part) for whatever is not exactly what was written."""
    return b"".join(PartReader(message, part_id, len(blob), size, kind).read([blob]))
