"""Visits: the private key of a link, kept for minutes so that only the visitor's cookie opens it.

The cookie carries V, 32 random bytes; the row keeps 48 bytes. V is drawn here for one row and handed out
once, so that its key encrypts once and the nonce may be zero.
"""

import secrets

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.links import KeyPair, pair_from_private
from relay.vault.sealing.primitives import (
    KEY_LENGTH,
    TAG_LENGTH,
    VISIT,
    kdf,
    open_once,
    require_id,
    seal_once,
)

VISIT_LENGTH = KEY_LENGTH + TAG_LENGTH  # 48


def seal_visit(visit_id: bytes, link_id: bytes, pair: KeyPair) -> tuple[bytes, bytes]:
    """Return V for the cookie (32 bytes) and the link key for the row (48 bytes)."""
    secret = secrets.token_bytes(KEY_LENGTH)
    key = kdf(secret, require_id(visit_id, Layer.VISIT), VISIT)
    return secret, seal_once(key, pair.private_bytes(), require_id(link_id, Layer.VISIT))


def open_visit(secret: bytes, visit_id: bytes, link_id: bytes, sealed: bytes) -> KeyPair:
    """Return the link's key pair; SealingError (visit) when V, ids and row do not belong together."""
    if len(secret) != KEY_LENGTH or len(sealed) != VISIT_LENGTH:
        raise SealingError(Layer.VISIT, "no visit has these lengths")
    key = kdf(secret, require_id(visit_id, Layer.VISIT), VISIT)
    private = open_once(
        key, sealed, require_id(link_id, Layer.VISIT), layer=Layer.VISIT, sentence="it was not opened by this browser"
    )
    return pair_from_private(private)
