"""Spooled items: what the relay keeps for itself at rest, such as queued mail, under one of its keys.

``key id 16 | salt 32 | chunks`` with the key ``KDF(key, salt, lab "spool" | key id | item id 16 | label)``. The salt
is drawn for every sealing, so that a row may be written again and again; label and item id keep one item from
standing in for another.
"""

import secrets
from collections.abc import Iterable, Iterator

from relay.vault.sealing.chunks import CHUNK, ChunkSealer, Layout, open_chunks, seal_chunk
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import ID_LENGTH, SPOOL, kdf, require_id, require_key

_SALT_LENGTH = 32
HEAD_LENGTH = ID_LENGTH + _SALT_LENGTH  # 48


def _item_key(key: bytes, head: bytes, label: str, item_id: bytes) -> bytes:
    key_id, salt = head[:ID_LENGTH], head[ID_LENGTH:]
    return kdf(require_key(key), salt, SPOOL + key_id + require_id(item_id, Layer.SPOOL) + label.encode("ascii"))


def spooled_length(size: int) -> int:
    """Return the length of a spooled item of ``size`` plain bytes; it is not padded."""
    return HEAD_LENGTH + Layout.of_plain(size).sealed


def spooled_key_id(item: bytes) -> bytes:
    """Return the id of the key of an item, from its first 48 bytes; SealingError (spool) for fewer."""
    if len(item) < HEAD_LENGTH:
        raise SealingError(Layer.SPOOL, "nothing spooled is so short")
    return item[:ID_LENGTH]


class SpoolWriter:
    """Seals an item given in slices of any length; ``write`` and ``finish`` return it piece by piece.

    ``label`` (ASCII) says what the item is, ``item_id`` (16 bytes) whose it is.
    """

    def __init__(self, key: bytes, key_id: bytes, label: str, item_id: bytes) -> None:
        self._head = require_id(key_id, Layer.SPOOL) + secrets.token_bytes(_SALT_LENGTH)
        self._sealer = ChunkSealer(_item_key(key, self._head, label, item_id))

    def write(self, data: bytes | bytearray | memoryview) -> bytes:
        """Take the next bytes and return the next bytes of the item, possibly none."""
        return self._hand_out(self._sealer.write(data))

    def finish(self) -> bytes:
        """Return the rest of the item; nothing can be written afterwards."""
        return self._hand_out(self._sealer.finish())

    def _hand_out(self, sealed: bytes) -> bytes:
        if not sealed:
            return b""
        head, self._head = self._head, b""
        return head + sealed


class SpoolReader:
    """Reads one item of ``stored_length`` bytes in all; SealingError (spool) for a length that none has."""

    def __init__(self, key: bytes, label: str, item_id: bytes, stored_length: int) -> None:
        self._key, self._label, self._item_id = require_key(key), label, require_id(item_id, Layer.SPOOL)
        self._layout = Layout.of_sealed(stored_length - HEAD_LENGTH, Layer.SPOOL)
        self.size = self._layout.plain  # plain bytes

    def read(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the plain bytes, each chunk after it verified; ``pieces`` are the item in any slices.

        SealingError (spool) for everything that is not exactly what was written under this key, label and id.
        """
        source = iter(pieces)
        front = b""
        while len(front) < HEAD_LENGTH:
            piece = next(source, None)
            if piece is None:
                raise SealingError(Layer.SPOOL, "nothing spooled is so short")
            front += piece
        key = _item_key(self._key, front[:HEAD_LENGTH], self._label, self._item_id)
        rest = _joined(front[HEAD_LENGTH:], source)
        for chunk in open_chunks(key, self._layout, rest, layer=Layer.SPOOL):
            if chunk:
                yield chunk


def _joined(front: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield front
    yield from rest


def seal_spooled(key: bytes, key_id: bytes, label: str, item_id: bytes, data: bytes) -> bytes:
    """Seal an item that is in memory, 64 bytes longer for each item up to 64 KiB."""
    if len(data) <= CHUNK:
        head = require_id(key_id, Layer.SPOOL) + secrets.token_bytes(_SALT_LENGTH)
        return head + seal_chunk(_item_key(key, head, label, item_id), data)
    writer = SpoolWriter(key, key_id, label, item_id)
    return writer.write(data) + writer.finish()


def open_spooled(key: bytes, label: str, item_id: bytes, item: bytes) -> bytes:
    """Open an item in memory; SealingError (spool) for what was not written under this key, label and id."""
    return b"".join(SpoolReader(key, label, item_id, len(item)).read([item]))
