"""The name that somebody typed before a message was shown, kept beside the moment of its first reading.

Several people may use one mailbox. The portal seals the name for the relay and cannot read it back; the relay tells it
to the sender who asks (``status``) and to nobody else.
"""

from relay.vault.keyring import Keyring
from relay.vault.requests import open_request, seal_request

LONGEST = 80  # characters
_KIND = 0x20  # beside the kinds of requests (relay/queue/requests.py), which count up from 1


def seal_name(keyring: Keyring, message_id: bytes, participant_id: bytes, name: str) -> bytes | None:
    """Return the name sealed for the row of this message and reader, None for no name. Roles portal and relay."""
    if not name:
        return None
    return seal_request(keyring, _KIND, _row_id(keyring, message_id, participant_id), name[:LONGEST].encode())


def open_name(keyring: Keyring, message_id: bytes, participant_id: bytes, sealed: bytes | None) -> str:
    """Return the name, empty for none. Role relay. SealingError (queue item) when it was made for another row."""
    if sealed is None:
        return ""
    return open_request(keyring, _KIND, _row_id(keyring, message_id, participant_id), sealed).decode()


def _row_id(keyring: Keyring, message_id: bytes, participant_id: bytes) -> bytes:
    return keyring.text_hash("reader name", message_id + participant_id)
