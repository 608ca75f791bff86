"""STREAM: a cipher text of any length in chunks of 64 KiB, each of which verifies alone.

The construction is the one of age's payload (Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-
Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015) with AES-256-GCM: chunk i of n is encrypted
under the nonce ``u88 i | u8 (i = n - 1)``. Order, number and end of the chunks are thereby bound; the key
must be new for every stream. Only the last chunk may be shorter, and it is empty only in an empty stream.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import TAG_LENGTH, open_gcm, require_key

CHUNK = 65536  # plain bytes: small enough to verify before showing, large enough that GCM runs at full speed
SEALED_CHUNK = CHUNK + TAG_LENGTH  # 65552
MAX_CHUNKS = (1 << 32) - 1  # n < 2^32: far inside GCM's limits for one key
_COUNTER_LENGTH = 11


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(_COUNTER_LENGTH, "big") + (b"\x01" if last else b"\x00")


_SOLE = _nonce(0, last=True)  # of the chunk of a stream that has but one


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of stored bytes: where it begins and how long it is."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a stream of ``plain`` bytes lies in its ``count`` chunks."""

    plain: int
    count: int

    @classmethod
    def of_plain(cls, plain: int) -> "Layout":
        """Return the layout of a plain length; ValueError when it is negative or above 2^32 - 1 chunks."""
        count = max(1, -(-plain // CHUNK))
        if plain < 0 or count > MAX_CHUNKS:
            raise ValueError("a stream has 0 to 2^32 - 1 chunks")
        return cls(plain, count)

    @classmethod
    def of_sealed(cls, sealed: int, layer: Layer) -> "Layout":
        """Return the layout of a sealed length; SealingError of ``layer`` when no stream has this length."""
        count = -(-sealed // SEALED_CHUNK)
        plain = sealed - TAG_LENGTH * count
        if count < 1 or count > MAX_CHUNKS or plain < 0 or cls.of_plain(plain).count != count:
            raise SealingError(layer, "nothing sealed has this length")
        return cls(plain, count)

    @property
    def sealed(self) -> int:
        """Return the sealed length in bytes."""
        return self.plain + TAG_LENGTH * self.count

    def sealed_chunk(self, index: int) -> int:
        """Return the sealed length of chunk ``index``."""
        return SEALED_CHUNK if index < self.count - 1 else self.sealed - (self.count - 1) * SEALED_CHUNK

    def cover(self, start: int, stop: int) -> tuple[int, int]:
        """Return which chunks, first and after the last, hold the plain bytes ``start`` to ``stop``."""
        if not 0 <= start <= stop <= self.plain:
            raise ValueError("this range lies outside the stream")
        first = start // CHUNK
        return (first, first) if start == stop else (first, -(-stop // CHUNK))

    def span(self, first: int, after: int) -> Span:
        """Return where the chunks ``first`` to ``after`` (exclusive) lie in the sealed stream."""
        offset = first * SEALED_CHUNK
        return Span(offset, min(after * SEALED_CHUNK, self.sealed) - offset if after > first else 0)


def seal_chunk(key: bytes, data: bytes) -> bytes:
    """Return a whole stream of one chunk: at most 64 KiB of plain bytes."""
    if len(data) > CHUNK:
        raise ValueError("this takes more than one chunk")
    return AESGCM(require_key(key)).encrypt(_SOLE, data, None)


class ChunkSealer:
    """Seals a stream given in slices of any length; ``write`` and ``finish`` return it piece by piece.

    Keeps back up to one chunk, because only ``finish`` knows which chunk is the last.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(require_key(key))
        self._waiting = bytearray()
        self._index = 0
        self._finished = False

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take the next bytes and return the chunks that are complete, possibly none."""
        if self._finished:
            raise ValueError("this stream is finished")
        view = memoryview(data)
        sealed = []
        if self._waiting:
            room = CHUNK - len(self._waiting)
            self._waiting += view[:room]
            view = view[room:]
            if view:
                sealed.append(self._seal(self._waiting))
                self._waiting.clear()
        while len(view) > CHUNK:
            sealed.append(self._seal(view[:CHUNK]))
            view = view[CHUNK:]
        self._waiting += view
        return b"".join(sealed)

    def finish(self) -> bytes:
        """Return the last chunk; nothing can be written afterwards."""
        if self._finished:
            raise ValueError("this stream is finished")
        self._finished = True
        return self._seal(self._waiting)

    def _seal(self, chunk: bytearray | memoryview) -> bytes:
        if self._index >= MAX_CHUNKS:
            raise ValueError("a stream has at most 2^32 - 1 chunks")
        nonce = _nonce(self._index, last=self._finished)
        self._index += 1
        return self._cipher.encrypt(nonce, chunk, None)


def open_chunks(
    key: bytes,
    layout: Layout,
    pieces: Iterable[bytes],
    *,
    layer: Layer,
    first: int = 0,
    after: int | None = None,
) -> Iterator[bytes]:
    """Yield the plain text of the chunks ``first`` to ``after`` (exclusive), each after it verified.

    ``pieces`` are exactly the stored bytes of ``layout.span(first, after)`` in slices of any length.
    SealingError of ``layer`` when a chunk does not verify, or when the pieces are too short or too long.
    """
    cipher = AESGCM(require_key(key))
    end = layout.count if after is None else after
    waiting = bytearray()  # the beginning of a chunk that was cut; all others are opened where they lie
    index = first
    for piece in pieces:
        rest = memoryview(piece)
        while index < end and len(waiting) + len(rest) >= (length := layout.sealed_chunk(index)):
            taken = length - len(waiting)
            chunk, rest = rest[:taken], rest[taken:]
            nonce = _nonce(index, last=index == layout.count - 1)
            sentence = f"chunk {index} is damaged, or not the one written here"
            yield open_gcm(cipher, nonce, waiting + chunk if waiting else chunk, b"", layer=layer, sentence=sentence)
            waiting.clear()
            index += 1
        waiting += rest
        if index == end and waiting:
            raise SealingError(layer, "there are bytes after the end")
    if index < end:
        raise SealingError(layer, f"it ends inside chunk {index}")
