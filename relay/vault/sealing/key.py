"""The DEK of one message with its header: who holds it can read and write this message's parts."""

import secrets
from dataclasses import dataclass, field

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import Author, CoreHeader
from relay.vault.sealing.primitives import COMMIT, KEY_LENGTH, kdf, same


def _commitment(dek: bytes, message_id: bytes) -> bytes:
    return kdf(dek, message_id, COMMIT)


@dataclass(frozen=True, slots=True)
class MessageKey:
    """A DEK whose commitment was compared; made only by the functions below."""

    header: CoreHeader
    dek: bytes = field(repr=False)


def begin_message(conversation_id: bytes, message_id: bytes, created: int, author: Author) -> MessageKey:
    """Begin a message: draw its DEK, 32 bytes, and commit to it in the header."""
    dek = secrets.token_bytes(KEY_LENGTH)
    return MessageKey(CoreHeader(conversation_id, message_id, created, author, _commitment(dek, message_id)), dek)


def committed_key(header: CoreHeader, dek: bytes) -> MessageKey:
    """Return the key of a message from header and DEK; SealingError (commitment) when they do not match."""
    if len(dek) != KEY_LENGTH or not same(_commitment(dek, header.message_id), header.commitment):
        raise SealingError(Layer.COMMITMENT, "this key is not the one the header commits to")
    return MessageKey(header, dek)
