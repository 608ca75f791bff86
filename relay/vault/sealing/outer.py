"""The outer key O of a message: under which KEK it stands, and what moves it to another."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.kek import MAX_WRAPPED, SECRET_LENGTH, KekProvider
from relay.vault.sealing.primitives import KEY_LENGTH, same
from relay.vault.sealing.stanza import Stanza, add_outer, remove_outer


@dataclass(frozen=True, slots=True)
class OuterKey:
    """O of one message, unwrapped. ``kek_id`` and ``wrapped`` are columns of the message row.

    ``header_digest`` is the H that was wrapped with it: an outer key serves one message only.
    """

    header_digest: bytes
    kek_id: bytes
    wrapped: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def require(self, header: CoreHeader) -> None:
        """Refuse (SealingError, outer key) to serve another message."""
        if not same(self.header_digest, header.digest):
            raise SealingError(Layer.OUTER_KEY, "it belongs to another message")


def _wrap(key: bytes, header_digest: bytes, kek: KekProvider) -> OuterKey:
    wrapped = kek.wrap(key + header_digest)
    if not 0 < len(wrapped) <= MAX_WRAPPED:
        raise SealingError(Layer.OUTER_KEY, "the server key returned a wrapping of more than 1,024 bytes or none")
    return OuterKey(header_digest, kek.kek_id, wrapped, key)


def new_outer_key(header: CoreHeader, kek: KekProvider) -> OuterKey:
    """Draw the outer key of a message and wrap it: one wrap seals a message, however many readers it has."""
    return _wrap(secrets.token_bytes(KEY_LENGTH), header.digest, kek)


def open_outer_key(header: bytes, kek_id: bytes, wrapped: bytes, keks: Mapping[bytes, KekProvider]) -> OuterKey:
    """Unwrap the outer key of the message with this header; ``keks`` are the server keys that still exist.

    SealingError names the header's fault, *kek* when the key is gone, and *outer key* when the blob was not
    made by that key for exactly these 96 bytes.
    """
    digest = CoreHeader.decode(header).digest
    kek = keks.get(kek_id)
    if kek is None:
        raise SealingError(Layer.KEK, "the server key of this message is gone: it expired or was destroyed")
    if not 0 < len(wrapped) <= MAX_WRAPPED:
        raise SealingError(Layer.OUTER_KEY, "a wrapped key has 1 to 1,024 bytes")
    secret = kek.unwrap(wrapped)
    if len(secret) != SECRET_LENGTH or not same(secret[KEY_LENGTH:], digest):
        raise SealingError(Layer.OUTER_KEY, "it belongs to another message, or the header was changed")
    return OuterKey(digest, kek_id, wrapped, secret[:KEY_LENGTH])


def rewrap(outer: OuterKey, kek: KekProvider) -> OuterKey:
    """Return the same O under another KEK: one row changes, no stanza does."""
    return _wrap(outer.key, outer.header_digest, kek)


def extend(
    header: bytes, outer: OuterKey, stanzas: Sequence[Stanza], kek: KekProvider
) -> tuple[OuterKey, tuple[Stanza, ...]]:
    """Return a fresh O under another KEK, and the given link and sender stanzas under that O.

    Whatever stanza is not given dies with the old KEK, in backups too. A recovery stanza has no outer layer and
    stays as it is: leave it out. Needs no L and no S. SealingError (the header's fault, outer key, stanza) when
    something is not of this message; nothing is half done then.
    """
    decoded = CoreHeader.decode(header)
    outer.require(decoded)
    fresh = new_outer_key(decoded, kek)
    moved = []
    for stanza in stanzas:
        inner, info = remove_outer(decoded, outer.key, stanza)
        moved.append(Stanza(stanza.type, stanza.key_id, stanza.message_id, add_outer(fresh.key, inner, info)))
    return fresh, tuple(moved)
