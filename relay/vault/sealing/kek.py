"""Wrapping the outer key: what a key-encryption key must be able to do, and the kind that is a file.

A KEK wraps the 64 bytes ``O | H``: the outer key of one message together with the hash of its header. The
result is an opaque blob of at most 1,024 bytes, so that files, PKCS#11 tokens, Vault and cloud KMS all serve;
because H is inside and compared after unwrapping, none of them needs associated data.
"""

import secrets
from typing import Protocol

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import (
    ID_LENGTH,
    TAG_LENGTH,
    WRAP,
    kdf,
    open_once,
    require_id,
    require_key,
    seal_once,
)

SECRET_LENGTH = 64  # O 32 | H 32
MAX_WRAPPED = 1024  # room for what a cloud KMS returns; an upper bound for rows and bundles
NO_KEK = bytes(ID_LENGTH)  # in a bundle: there is no wrapped outer key
_SALT_LENGTH = 32  # a fresh AES key per wrapping, so that one KEK never meets GCM's limit on random nonces
FILE_WRAPPED_LENGTH = _SALT_LENGTH + SECRET_LENGTH + TAG_LENGTH  # 112


class KekProvider(Protocol):
    """A key-encryption key of the server, wherever it lives. ``kek_id`` is 16 bytes and never all zero."""

    @property
    def kek_id(self) -> bytes:
        """Return the identifier that stands in the message row."""

    def wrap(self, secret: bytes) -> bytes:
        """Return an authenticated wrapping of 64 bytes, at most 1,024 bytes long."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the 64 bytes, or raise SealingError (outer key) when the blob was not made by this key.

        A provider that cannot answer just now (network, token) raises an error of its own kind, not this one.
        """


class FileKek:
    """A KEK of 32 bytes that was read from a file: HKDF with a fresh salt, then AES-256-GCM."""

    def __init__(self, kek_id: bytes, key: bytes) -> None:
        if require_id(kek_id, Layer.KEK) == NO_KEK:
            raise SealingError(Layer.KEK, "an identifier of zeros stands for no server key")
        self._kek_id = kek_id
        self._key = require_key(key)

    def __repr__(self) -> str:
        return f"FileKek({self._kek_id.hex()})"

    @property
    def kek_id(self) -> bytes:
        """Return the identifier of this key, 16 bytes."""
        return self._kek_id

    def wrap(self, secret: bytes) -> bytes:
        """Return ``salt 32 | AES-256-GCM(KDF(KEK, salt, lab "wrap" | kek id), nonce 0, secret) 80``."""
        if len(secret) != SECRET_LENGTH:
            raise ValueError("a KEK wraps 64 bytes")
        salt = secrets.token_bytes(_SALT_LENGTH)
        return salt + seal_once(self._derive(salt), secret, b"")

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the 64 bytes of ``wrapped``; SealingError (outer key) for anything this key did not wrap."""
        if len(wrapped) != FILE_WRAPPED_LENGTH:
            raise SealingError(Layer.OUTER_KEY, "a key wrapped by a file key has 112 bytes")
        salt, sealed = wrapped[:_SALT_LENGTH], wrapped[_SALT_LENGTH:]
        return open_once(
            self._derive(salt),
            sealed,
            b"",
            layer=Layer.OUTER_KEY,
            sentence="it was not wrapped by this server key",
        )

    def _derive(self, salt: bytes) -> bytes:
        return kdf(self._key, salt, WRAP + self._kek_id)
