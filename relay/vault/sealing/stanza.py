"""Stanzas: the DEK of one message, sealed for one key.

Link and sender stanzas have two layers, ``GCM(O, HPKE(pk, DEK))``: opening one needs the private key, from L
or S, *and* the server's KEK, which yields O; making one needs neither L nor a private key. The recovery
stanza has no outer layer: it must open when the server is gone.
"""

import secrets
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.vault.sealing import hpke
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.links import KeyPair
from relay.vault.sealing.primitives import (
    ID_LENGTH,
    KEY_LENGTH,
    NONCE_LENGTH,
    STANZA,
    TAG_LENGTH,
    open_gcm,
    require_id,
)
from relay.vault.sealing.recovery import RecoveryPrivateKey, RecoveryPublicKey

STANZA_LENGTH = NONCE_LENGTH + KEY_LENGTH + hpke.OVERHEAD + TAG_LENGTH  # 108
RECOVERY_STANZA_LENGTH = KEY_LENGTH + hpke.RECOVERY_OVERHEAD  # 1168


class StanzaType(IntEnum):
    """For what kind of key a stanza is."""

    LINK = 1
    SENDER = 2
    RECOVERY = 3


@dataclass(frozen=True, slots=True)
class StanzaKey:
    """A key to seal to, as its row has it: LINK or SENDER, id of 16 bytes, X25519 public key of 32."""

    type: StanzaType
    key_id: bytes
    public: bytes

    def __post_init__(self) -> None:
        require_id(self.key_id, Layer.KEY)
        if self.type not in (StanzaType.LINK, StanzaType.SENDER):
            raise SealingError(Layer.KEY, "only links and senders have key rows")


@dataclass(frozen=True, slots=True)
class Stanza:
    """One stanza row, as it stands in the database: whatever is in it is judged when it is opened."""

    type: int
    key_id: bytes
    message_id: bytes
    ct: bytes


def require_shape(stanza: Stanza) -> StanzaType:
    """Return the type of a stanza whose lengths are right; SealingError (stanza) otherwise."""
    try:
        kind = StanzaType(stanza.type)
    except ValueError:
        raise SealingError(Layer.STANZA, f"stanza type {stanza.type} does not exist") from None
    expected = RECOVERY_STANZA_LENGTH if kind is StanzaType.RECOVERY else STANZA_LENGTH
    if len(stanza.ct) != expected:
        raise SealingError(Layer.STANZA, f"a {kind.name.lower()} stanza has {expected} bytes")
    if len(stanza.key_id) != ID_LENGTH or len(stanza.message_id) != ID_LENGTH:
        raise SealingError(Layer.STANZA, "an identifier has 16 bytes")
    return kind


def _info(kind: StanzaType, header: CoreHeader, key_id: bytes) -> bytes:
    """Return what both layers bind: type, message (through H) and key."""
    return STANZA + bytes([kind]) + header.digest + key_id


def _require(header: CoreHeader, stanza: Stanza, *, recovery: bool) -> bytes:
    kind = require_shape(stanza)
    if (kind is StanzaType.RECOVERY) is not recovery:
        raise SealingError(Layer.STANZA, "it is for another kind of key")
    if stanza.message_id != header.message_id:
        raise SealingError(Layer.STANZA, "it belongs to another message")
    return _info(kind, header, stanza.key_id)


def add_outer(outer: bytes, inner: bytes, info: bytes) -> bytes:
    """Return ``nonce 12 | AES-256-GCM(O, nonce, inner, aad = info)``.

    The nonce is random: one O seals at most a few thousand stanzas, far below the 2^32 that SP 800-38D
    allows.
    """
    nonce = secrets.token_bytes(NONCE_LENGTH)
    return nonce + AESGCM(outer).encrypt(nonce, inner, info)


def remove_outer(header: CoreHeader, outer: bytes, stanza: Stanza) -> tuple[bytes, bytes]:
    """Return the HPKE cipher text of a link or sender stanza and its info; SealingError (stanza)."""
    info = _require(header, stanza, recovery=False)
    nonce, sealed = stanza.ct[:NONCE_LENGTH], stanza.ct[NONCE_LENGTH:]
    return open_gcm(
        AESGCM(outer),
        nonce,
        sealed,
        info,
        layer=Layer.STANZA,
        sentence="its outer layer was not made for this message and key",
    ), info


def seal_stanza(header: CoreHeader, outer: bytes, dek: bytes, key: StanzaKey) -> Stanza:
    """Return the stanza of a link or sender; SealingError (key) when the public key is none."""
    info = _info(key.type, header, key.key_id)
    ct = add_outer(outer, hpke.seal(key.public, dek, info), info)
    return Stanza(key.type, key.key_id, header.message_id, ct)


def read_stanza(header: CoreHeader, outer: bytes, stanza: Stanza, pair: KeyPair) -> bytes:
    """Return the DEK in a link or sender stanza; SealingError (stanza) for anything else.

    The caller compares the commitment before it uses the DEK.
    """
    inner, info = remove_outer(header, outer, stanza)
    return hpke.open_sealed(pair, inner, info, layer=Layer.STANZA, sentence="it was not sealed to this key")


def seal_recovery_stanza(header: CoreHeader, dek: bytes, public: RecoveryPublicKey) -> Stanza:
    """Return the recovery stanza of a message."""
    info = _info(StanzaType.RECOVERY, header, public.key_id)
    return Stanza(StanzaType.RECOVERY, public.key_id, header.message_id, hpke.seal_recovery(public, dek, info))


def read_recovery_stanza(header: CoreHeader, stanza: Stanza, private: RecoveryPrivateKey) -> bytes:
    """Return the DEK in a recovery stanza; SealingError (stanza) for anything else. It proves no origin."""
    info = _require(header, stanza, recovery=True)
    sentence = "it was not sealed to this recovery key"
    return hpke.open_recovery(private, stanza.ct, info, layer=Layer.STANZA, sentence=sentence)
