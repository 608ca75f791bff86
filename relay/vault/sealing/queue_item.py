"""Queue items: what the portal hands to the relay so that only the relay can read it.

``HPKE(queue public key, payload, info) | HMAC 32``; kind and entry id stand in the row beside it and are
bound by both. The portal can seal but not open; who has the database but not the enqueue key can do neither.
"""

import secrets

from relay.vault.sealing import hpke
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.links import pair_from_private
from relay.vault.sealing.primitives import KEY_LENGTH, MAC_LENGTH, QUEUE, QUEUE_ITEM, mac, require_id, same

MAX_PAYLOAD = 1 << 20  # 1 MiB: addresses, ids and keys; what is larger is a sealed part
_MAX_KIND = 255


def new_queue_private() -> bytes:
    """Draw the relay's queue private key, 32 bytes (X25519)."""
    return secrets.token_bytes(KEY_LENGTH)


def queue_public(private: bytes) -> bytes:
    """Return the queue public key, 32 bytes, which the portal holds; SealingError (key) for a bad length."""
    return pair_from_private(private).public


def _bound(kind: int, entry_id: bytes) -> bytes:
    if not 0 <= kind <= _MAX_KIND:
        raise SealingError(Layer.QUEUE_ITEM, "its kind is one byte")
    return bytes([kind]) + require_id(entry_id, Layer.QUEUE_ITEM)


def seal_queue_item(public: bytes, enqueue_key: bytes, kind: int, entry_id: bytes, payload: bytes) -> bytes:
    """Return the item for a row with this kind (u8) and id (16 bytes), 80 bytes longer than the payload.

    SealingError: *queue item* when the payload is over 1 MiB, *key* when the public key is none.
    """
    if len(payload) > MAX_PAYLOAD:
        raise SealingError(Layer.QUEUE_ITEM, "it is larger than 1 MiB")
    bound = _bound(kind, entry_id)
    sealed = hpke.seal(public, payload, QUEUE + bound)
    return sealed + mac(enqueue_key, QUEUE_ITEM + bound + sealed)


def open_queue_item(private: bytes, enqueue_key: bytes, kind: int, entry_id: bytes, item: bytes) -> bytes:
    """Return the payload of an item; the MAC is compared before anything is opened.

    SealingError (queue item) for whatever was not made by a holder of the enqueue key for this kind and id.
    It does not tell whether a row was put back after it was carried out: the caller remembers entry ids.
    """
    if not hpke.OVERHEAD + MAC_LENGTH <= len(item) <= MAX_PAYLOAD + hpke.OVERHEAD + MAC_LENGTH:
        raise SealingError(Layer.QUEUE_ITEM, "no item has this length")
    bound = _bound(kind, entry_id)
    sealed, tag = item[:-MAC_LENGTH], item[-MAC_LENGTH:]
    if not same(tag, mac(enqueue_key, QUEUE_ITEM + bound + sealed)):
        raise SealingError(Layer.QUEUE_ITEM, "it was not made by the portal, or was changed")
    pair = pair_from_private(private)
    sentence = "it was not sealed to this queue key"
    return hpke.open_sealed(pair, sealed, QUEUE + bound, layer=Layer.QUEUE_ITEM, sentence=sentence)
