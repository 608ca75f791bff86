"""HPKE base mode, single shot (RFC 9180 section 6.1), as `cryptography` does it, with its errors made ours.

The library hands out ``enc | ct`` and takes no associated data, so everything that must be bound stands in
``info``. It raises ValueError when sealing to a key of low order and InvalidTag when opening anything wrong;
both become the format's one error here, and nowhere else.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.links import KeyPair, require_canonical
from relay.vault.sealing.recovery import RecoveryPrivateKey, RecoveryPublicKey

_TAG = 16
OVERHEAD = 32 + _TAG  # DHKEM(X25519): encapsulated key 32, tag 16
RECOVERY_OVERHEAD = 1088 + 32 + _TAG  # ML-KEM-768 cipher text 1088, X25519 key 32, tag 16

_X25519 = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)  # 0x0020, 0x0001, 0x0002
_RECOVERY = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)  # 0x647a, 0x0001, 0x0002


def seal(public: bytes, data: bytes, info: bytes) -> bytes:
    """Return ``data`` sealed to an X25519 public key, 48 bytes longer.

    SealingError (key) for a key that is no key: wrong length, not canonical, low order.
    """
    key = X25519PublicKey.from_public_bytes(require_canonical(public))
    try:
        return _X25519.encrypt(data, key, info)
    except ValueError:
        raise SealingError(Layer.KEY, "this public key is of low order") from None


def open_sealed(pair: KeyPair, sealed: bytes, info: bytes, *, layer: Layer, sentence: str) -> bytes:
    """Return what was sealed to ``pair`` under this ``info``; SealingError of ``layer`` otherwise."""
    try:
        return _X25519.decrypt(sealed, pair.private, info)
    except InvalidTag:
        raise SealingError(layer, sentence) from None


def seal_recovery(public: RecoveryPublicKey, data: bytes, info: bytes) -> bytes:
    """Return ``data`` sealed to the recovery key, 1,136 bytes longer."""
    return _RECOVERY.encrypt(data, public.key, info)


def open_recovery(private: RecoveryPrivateKey, sealed: bytes, info: bytes, *, layer: Layer, sentence: str) -> bytes:
    """Return what was sealed to the recovery key under this ``info``; SealingError of ``layer`` otherwise."""
    try:
        return _RECOVERY.decrypt(sealed, private.key, info)
    except InvalidTag:
        raise SealingError(layer, sentence) from None
