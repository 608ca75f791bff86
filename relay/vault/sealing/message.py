"""Sealing and opening one message: what each party does with exactly the material that it has at that moment.

Seal        begin_message -> parts, seal_manifest -> new_outer_key -> seal_stanzas, seal_recovery
Open        open_outer_key (KEK) -> open_stanza (L or S) -> open_manifest -> parts
Add reader  a MessageKey and the OuterKey -> seal_stanzas
Move        rewrap (same O, another KEK), extend (fresh O, another bucket): neither needs L nor S
Recover     open_recovery (the organisation's private key alone)

Headers come in as the 96 bytes of the row and are judged first, so each function may raise SealingError for
whatever ``CoreHeader.decode`` refuses.
"""

import hashlib
from collections.abc import Sequence

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.key import MessageKey, begin_message, committed_key
from relay.vault.sealing.links import KeyPair
from relay.vault.sealing.manifest import MAX_LENGTH, Manifest
from relay.vault.sealing.outer import OuterKey, extend, new_outer_key, open_outer_key, rewrap
from relay.vault.sealing.parts import PartKind, SealedPart, open_part, seal_part, stored_length
from relay.vault.sealing.recovery import RecoveryPrivateKey, RecoveryPublicKey
from relay.vault.sealing.stanza import (
    Stanza,
    StanzaKey,
    read_recovery_stanza,
    read_stanza,
    remove_outer,
    seal_recovery_stanza,
    seal_stanza,
)

__all__ = [
    "MessageKey",
    "OuterKey",
    "begin_message",
    "extend",
    "manifest_digest",
    "message_key",
    "new_outer_key",
    "open_manifest",
    "open_outer_key",
    "open_recovery",
    "open_stanza",
    "outer_layer_opens",
    "rewrap",
    "seal_manifest",
    "seal_recovery",
    "seal_stanzas",
]


def message_key(header: bytes, dek: bytes) -> MessageKey:
    """Return the capability to a message from a DEK (in a queue item); SealingError (commitment)."""
    return committed_key(CoreHeader.decode(header), dek)


def seal_stanzas(message: MessageKey, outer: OuterKey, to: Sequence[StanzaKey]) -> tuple[Stanza, ...]:
    """Return a stanza for each key, in order: when a message is sealed, and when readers are added later.

    SealingError: *outer key* when O is of another message, *stanza* when a key stands twice in ``to``, *key*
    when a public key is none. One row per message and key: the table's primary key refuses what this cannot
    see.
    """
    outer.require(message.header)
    if len({key.key_id for key in to}) != len(to):
        raise SealingError(Layer.STANZA, "there are two for one key")
    return tuple(seal_stanza(message.header, outer.key, message.dek, key) for key in to)


def seal_recovery(message: MessageKey, recovery: RecoveryPublicKey) -> Stanza:
    """Return the stanza for the organisation's recovery key."""
    return seal_recovery_stanza(message.header, message.dek, recovery)


def open_stanza(header: bytes, outer: OuterKey, stanza: Stanza, pair: KeyPair) -> MessageKey:
    """Return the capability to a message from a link or sender stanza.

    SealingError: *outer key*, *stanza*, or *commitment* when the stanza yields a DEK that the header does not
    commit to.
    """
    decoded = CoreHeader.decode(header)
    outer.require(decoded)
    return committed_key(decoded, read_stanza(decoded, outer.key, stanza, pair))


def outer_layer_opens(header: bytes, outer: OuterKey, stanza: Stanza) -> bool:
    """Say whether the outer layer of a link or sender stanza opens: the mark of an entitled reader."""
    decoded = CoreHeader.decode(header)
    try:
        outer.require(decoded)
        remove_outer(decoded, outer.key, stanza)
    except SealingError:
        return False
    return True


def open_recovery(header: bytes, stanza: Stanza, private: RecoveryPrivateKey) -> MessageKey:
    """Return the capability to a message from its recovery stanza; SealingError (stanza, commitment).

    Everybody has the public key, so this proves no origin: compare H and ``manifest_digest`` with the signed
    audit record of sealing, or say *origin unproven*.
    """
    decoded = CoreHeader.decode(header)
    return committed_key(decoded, read_recovery_stanza(decoded, stanza, private))


def seal_manifest(message: MessageKey, manifest: Manifest) -> SealedPart:
    """Seal the manifest, last of all parts; SealingError (manifest) when it is none."""
    return seal_part(message, manifest.encode(), PartKind.MANIFEST)


def open_manifest(message: MessageKey, part_id: bytes, blob: bytes) -> Manifest:
    """Open the manifest; SealingError: *part* when the blob is damaged, *manifest* when it is none."""
    if len(blob) > stored_length(MAX_LENGTH):
        raise SealingError(Layer.MANIFEST, "it is longer than 1 MiB")
    manifest = Manifest.decode(open_part(message, part_id, blob, None, PartKind.MANIFEST))
    if any(entry.id == part_id for entry in manifest.parts):
        raise SealingError(Layer.MANIFEST, "it lists itself as a part")
    return manifest


def manifest_digest(blob: bytes) -> bytes:
    """Return the SHA-256 of the sealed manifest: with H, what the audit record of sealing holds."""
    return hashlib.sha256(blob).digest()
