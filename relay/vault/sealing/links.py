"""Capabilities in somebody else's hands: the key pair of a pickup link, from L, and of a sender, from S.

The database keeps only public keys. A link is recognised by deriving its key pair again and comparing.
"""

import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import KEY_LENGTH, LINK, SENDER, kdf, require_id, same

LINK_SECRET_LENGTH = 32  # L
SENDER_SECRET_LENGTH = 20  # S: 160 bits, because it must fit an address of 64 octets in base32
_P = (1 << 255) - 19  # the field of Curve25519 (RFC 7748 section 4.1)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An X25519 key pair (RFC 7748). ``public`` is the 32 bytes that a key row keeps."""

    public: bytes
    private: X25519PrivateKey = field(repr=False, compare=False)

    def private_bytes(self) -> bytes:
        """Return the 32 bytes of the private key: only for sealing them into a visit."""
        return self.private.private_bytes_raw()


def new_link_secret() -> bytes:
    """Draw L, 32 bytes that exist only in one pickup link."""
    return secrets.token_bytes(LINK_SECRET_LENGTH)


def new_sender_secret() -> bytes:
    """Draw S, 20 bytes that exist only in one reply address."""
    return secrets.token_bytes(SENDER_SECRET_LENGTH)


def pair_from_private(private: bytes) -> KeyPair:
    """Return the key pair of a 32-byte private key; SealingError (key) for any other length."""
    if len(private) != KEY_LENGTH:
        raise SealingError(Layer.KEY, "a private key has 32 bytes")
    key = X25519PrivateKey.from_private_bytes(private)
    return KeyPair(key.public_key().public_bytes_raw(), key)


def link_pair(secret: bytes, link_id: bytes) -> KeyPair:
    """Return the pair KDF(L, link id, lab "link"); SealingError (key) when L has not 32 bytes."""
    if len(secret) != LINK_SECRET_LENGTH:
        raise SealingError(Layer.KEY, "the secret of a link has 32 bytes")
    return pair_from_private(kdf(secret, require_id(link_id, Layer.KEY), LINK))


def sender_pair(secret: bytes, conversation_id: bytes) -> KeyPair:
    """Return the pair KDF(S, conversation id, lab "sender"); SealingError (key) when S has not 20 bytes."""
    if len(secret) != SENDER_SECRET_LENGTH:
        raise SealingError(Layer.KEY, "the secret of a sender has 20 bytes")
    return pair_from_private(kdf(secret, require_id(conversation_id, Layer.KEY), SENDER))


def same_key(pair: KeyPair, public: bytes) -> bool:
    """Say whether ``public`` from a key row is this pair's public key, in constant time."""
    return same(pair.public, public)


def require_canonical(public: bytes) -> bytes:
    """Return an X25519 public key as it is; SealingError (key) unless it is 32 bytes below 2^255 - 19.

    RFC 7748 lets an implementation ignore the top bit and reduce; HPKE hashes the bytes as given. A stanza
    for such a key would be one that nobody, not even the key's holder, could open.
    """
    if len(public) != KEY_LENGTH or int.from_bytes(public, "little") >= _P:
        raise SealingError(Layer.KEY, "this is not a public key for X25519")
    return public
