"""MACs over the rows that decide who may read: made under the row key, which only the relay has.

Both are checked before anything is sealed or mailed to a participant, and before a participant's command is
obeyed. Whoever can write the database but has no row key cannot slip in a reader or swap a public key.
"""

from enum import IntEnum

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import KEY_LENGTH, ROW_KEY, ROW_PARTICIPANT, mac, require_id, same
from relay.vault.sealing.stanza import StanzaType

MAX_ADDRESS = 65535  # u16; SMTP allows 254 octets (RFC 5321 section 4.5.3.1.3)
_MAX_BYTE = 255


class Role(IntEnum):
    """What a participant is in a conversation."""

    SENDER = 1
    READER = 2


def participant_mac(
    row_key: bytes, *, conversation_id: bytes, participant_id: bytes, role: int, flags: int, address: str
) -> bytes:
    """Return the MAC of a participant row, 32 bytes. ``role`` and ``flags`` are u8, the address is UTF-8.

    SealingError (row) when a value does not fit the row.
    """
    try:
        text = address.encode("utf-8")
    except UnicodeEncodeError:
        raise SealingError(Layer.ROW, "the address is not Unicode") from None
    if not (0 <= role <= _MAX_BYTE and 0 <= flags <= _MAX_BYTE and len(text) <= MAX_ADDRESS):
        raise SealingError(Layer.ROW, "a value does not fit a participant row")
    head = ROW_PARTICIPANT + require_id(conversation_id, Layer.ROW) + require_id(participant_id, Layer.ROW)
    return mac(row_key, head + bytes([role, flags]) + len(text).to_bytes(2, "big") + text)


def key_mac(
    row_key: bytes, *, kind: int, conversation_id: bytes, participant_id: bytes, key_id: bytes, public: bytes
) -> bytes:
    """Return the MAC of a key row, 32 bytes. ``kind`` is the type of its stanzas (1 link, 2 sender).

    SealingError (row) when a value does not fit the row.
    """
    if kind not in (StanzaType.LINK, StanzaType.SENDER) or len(public) != KEY_LENGTH:
        raise SealingError(Layer.ROW, "a value does not fit a key row")
    head = ROW_KEY + bytes([kind]) + require_id(conversation_id, Layer.ROW) + require_id(participant_id, Layer.ROW)
    return mac(row_key, head + require_id(key_id, Layer.ROW) + public)


def check_participant(
    row_key: bytes,
    tag: bytes,
    *,
    conversation_id: bytes,
    participant_id: bytes,
    role: int,
    flags: int,
    address: str,
) -> None:
    """Refuse (SealingError, row) a participant row that was not written by the relay as it stands."""
    expected = participant_mac(
        row_key,
        conversation_id=conversation_id,
        participant_id=participant_id,
        role=role,
        flags=flags,
        address=address,
    )
    if not same(tag, expected):
        raise SealingError(Layer.ROW, "this participant was changed, or not entered by the relay")


def check_key(
    row_key: bytes,
    tag: bytes,
    *,
    kind: int,
    conversation_id: bytes,
    participant_id: bytes,
    key_id: bytes,
    public: bytes,
) -> None:
    """Refuse (SealingError, row) a key row that was not written by the relay as it stands."""
    expected = key_mac(
        row_key,
        kind=kind,
        conversation_id=conversation_id,
        participant_id=participant_id,
        key_id=key_id,
        public=public,
    )
    if not same(tag, expected):
        raise SealingError(Layer.ROW, "this key was changed, or not entered by the relay")
