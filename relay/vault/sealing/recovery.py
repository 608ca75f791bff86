"""The organisation's recovery key: HPKE KEM 0x647a, ML-KEM-768 with X25519 (X-Wing).

The private key is a seed of 32 bytes: SHAKE256(seed, 96) gives the 64-byte seed of ML-KEM-768 (FIPS 203) and
then the 32-byte X25519 private key (draft-connolly-cfrg-xwing-kem, section 5.2). docs/sealed-format.md spells
out the combiner, which the library computes.
"""

import hashlib
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.links import require_canonical
from relay.vault.sealing.primitives import ID_LENGTH

SEED_LENGTH = 32
_MLKEM_SEED_LENGTH = 64
_MLKEM_PUBLIC_LENGTH = 1184
PUBLIC_LENGTH = _MLKEM_PUBLIC_LENGTH + 32  # 1216


@dataclass(frozen=True, slots=True)
class RecoveryPublicKey:
    """A recovery public key, loaded and checked once; loading costs as much as half a sealing."""

    key_id: bytes  # the first 16 bytes of SHA-256 over the 1,216 bytes
    encoded: bytes = field(repr=False)
    key: MLKEM768X25519PublicKey = field(repr=False, compare=False)

    def encode(self) -> bytes:
        """Return ``ML-KEM-768 encapsulation key 1184 | X25519 public key 32``."""
        return self.encoded

    @classmethod
    def decode(cls, data: bytes) -> "RecoveryPublicKey":
        """Return the key in ``data``, 1,216 bytes.

        SealingError (key) for another length, an ML-KEM key with coefficients out of range (FIPS 203 section
        7.2), an X25519 key that is not canonical, or one of low order, which would add nothing to the secret.
        """
        if len(data) != PUBLIC_LENGTH:
            raise SealingError(Layer.KEY, "a recovery public key has 1,216 bytes")
        classic = X25519PublicKey.from_public_bytes(require_canonical(data[_MLKEM_PUBLIC_LENGTH:]))
        try:
            lattice = MLKEM768PublicKey.from_public_bytes(data[:_MLKEM_PUBLIC_LENGTH])
            X25519PrivateKey.generate().exchange(classic)
        except ValueError:
            raise SealingError(Layer.KEY, "this is not a recovery public key") from None
        return cls(hashlib.sha256(data).digest()[:ID_LENGTH], data, MLKEM768X25519PublicKey(lattice, classic))


@dataclass(frozen=True, slots=True)
class RecoveryPrivateKey:
    """A recovery private key; it is kept off-line and loaded only to recover."""

    public: RecoveryPublicKey
    key: MLKEM768X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> "RecoveryPrivateKey":
        """Return the key of a 32-byte seed; SealingError (key) for any other length."""
        if len(seed) != SEED_LENGTH:
            raise SealingError(Layer.KEY, "the seed of a recovery key has 32 bytes")
        expanded = hashlib.shake_256(seed).digest(_MLKEM_SEED_LENGTH + 32)
        lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_LENGTH])
        classic = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_LENGTH:])
        encoded = lattice.public_key().public_bytes_raw() + classic.public_key().public_bytes_raw()
        return cls(RecoveryPublicKey.decode(encoded), MLKEM768X25519PrivateKey(lattice, classic))


def new_recovery_seed() -> bytes:
    """Draw the seed of a recovery key, 32 bytes."""
    return secrets.token_bytes(SEED_LENGTH)
