"""The core header: 96 bytes that say which message this is; their hash H binds every key and stanza to it."""

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import KEY_LENGTH, require_id

MAGIC = b"LETRLOCK"
VERSION = 1
SUITE = 1
HEADER_LENGTH = 96

# magic 8 | version 2 | suite 2 | critical 4 | conversation 16 | message 16 | created 8 | author 1 | zero 7
# | commitment 32
_LAYOUT = struct.Struct(">8sHHI16s16sQB7s32s")
_RESERVED = bytes(7)
_MAX_CREATED = (1 << 64) - 1


class Author(IntEnum):
    """Who wrote a message; pages take it from here, never from a row."""

    STAFF = 1
    READER = 2
    GATEWAY = 3
    DRAFT = 4  # a reader's unsent text, sealed by the portal to the reader's own link


@dataclass(frozen=True)
class CoreHeader:
    """The core header of one sealed message. ``created`` counts seconds since 1970 (u64).

    ``commitment`` is KDF(DEK, message id, lab "commit"): a stanza that yields any other DEK is refused before
    a part is touched, so that one cipher text cannot be made to open to two texts (key commitment, as in
    age).
    """

    conversation_id: bytes
    message_id: bytes
    created: int
    author: Author
    commitment: bytes

    def __post_init__(self) -> None:
        require_id(self.conversation_id, Layer.HEADER)
        require_id(self.message_id, Layer.HEADER)
        if len(self.commitment) != KEY_LENGTH:
            raise SealingError(Layer.HEADER, "a commitment has 32 bytes")
        if not 0 <= self.created <= _MAX_CREATED:
            raise SealingError(Layer.HEADER, "its time is an unsigned 64-bit number of seconds")

    def encode(self) -> bytes:
        """Return the 96 bytes of the header."""
        return _LAYOUT.pack(
            MAGIC,
            VERSION,
            SUITE,
            0,
            self.conversation_id,
            self.message_id,
            self.created,
            self.author,
            _RESERVED,
            self.commitment,
        )

    @cached_property
    def digest(self) -> bytes:
        """Return H, the SHA-256 of the 96 bytes."""
        return hashlib.sha256(self.encode()).digest()

    @classmethod
    def decode(cls, data: bytes) -> "CoreHeader":
        """Return the header in ``data``, exactly 96 bytes.

        SealingError names what was refused: header (length, magic), version, suite, critical, reserved or
        author kind, looked at in this order, so that a newer version says so and not that it is damaged.
        """
        if len(data) != HEADER_LENGTH or data[:8] != MAGIC:
            raise SealingError(Layer.HEADER, "this is not the header of a sealed message")
        _, version, suite, critical, conversation, message, created, author, reserved, commitment = _LAYOUT.unpack(data)
        if version != VERSION:
            raise SealingError(Layer.VERSION, f"version {version} is not known to this program")
        if suite != SUITE:
            raise SealingError(Layer.SUITE, f"suite {suite} is not known to this program")
        if critical:
            raise SealingError(Layer.CRITICAL, "the message needs a newer version of this program")
        if reserved != _RESERVED:
            raise SealingError(Layer.RESERVED, "reserved bytes are not zero")
        try:
            kind = Author(author)
        except ValueError:
            raise SealingError(Layer.AUTHOR_KIND, f"author kind {author} does not exist") from None
        return cls(conversation, message, created, kind, commitment)

    def require_row(self, *, conversation_id: bytes, message_id: bytes) -> None:
        """Refuse (SealingError, header) a row whose columns speak of another message than its header."""
        if (conversation_id, message_id) != (self.conversation_id, self.message_id):
            raise SealingError(Layer.HEADER, "the row differs from the header of its message")
