"""What the portal asks of the relay, sealed so that only the relay can read it (docs/sealed-format.md, queue item)."""

from relay.vault.keyring import Keyring
from relay.vault.sealing.queue_item import open_queue_item, seal_queue_item


def seal_request(keyring: Keyring, kind: int, request_id: bytes, payload: bytes) -> bytes:
    """Return the item for a request row of this kind (u8) and id (16 bytes). Roles portal and relay.

    SealingError (queue item) for a payload over 1 MiB.
    """
    return seal_queue_item(keyring.queue_public, keyring.enqueue_key, kind, request_id, payload)


def open_request(keyring: Keyring, kind: int, request_id: bytes, item: bytes) -> bytes:
    """Return the payload of a request. Role relay.

    SealingError (queue item) for whatever no holder of the enqueue key made for this kind and id.
    """
    return open_queue_item(keyring.queue_private, keyring.enqueue_key, kind, request_id, item)
