"""Participants and their keys as rows under a MAC that only the relay can make (docs/sealed-format.md, rows).

Whoever can write the database but has no row key can neither slip in a reader nor swap a public key: both rows are
checked here before anything is sealed or mailed to somebody.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, select

from relay.store.tables import Key, Participant
from relay.vault.keyring import Keyring
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.rows import Role, check_key, check_participant
from relay.vault.sealing.stanza import StanzaType

KEY: Table = cast("Any", Key).__table__
PARTICIPANT: Table = cast("Any", Participant).__table__
LIVE_KEYS = 8  # of one participant: the newest are sealed to


class LinkState(StrEnum):
    """What can be said of a pickup link whose secret is right."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"
    RECALLED = "recalled"  # the sender took the conversation back; it can be undone


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose link it is, after both rows were checked: safe to mail to."""

    link_id: bytes
    participant_id: bytes
    conversation_id: bytes
    address: str
    state: LinkState
    expires_at: datetime


def state_of(row: Row[Any], now: datetime, recalled_at: datetime | None = None) -> LinkState:
    """Return the state of a key row. The recall of its participant wins: no link of theirs, old or new, brings it back.

    Of the rest revoked wins over expired.
    """
    if recalled_at is not None:
        return LinkState.RECALLED
    if row.revoked_at is not None:
        return LinkState.REVOKED
    if row.expires_at <= now:
        return LinkState.EXPIRED
    return LinkState.LIVE


def reader_of(connection: Connection, keyring: Keyring, link_id: bytes, now: datetime) -> Reader | None:
    """Return whose link this is, None when there is no such link.

    SealingError (row) when a row was not written by the relay as it stands: then nothing may be mailed.
    """
    key = connection.execute(select(KEY).where(KEY.c.id == link_id, KEY.c.type == int(StanzaType.LINK))).one_or_none()
    if key is None:
        return None
    check_key_row(keyring, key)
    address, recalled_at = _checked_reader(connection, keyring, key)
    state = state_of(key, now, recalled_at)
    return Reader(key.id, key.participant_id, key.conversation_id, address, state, key.expires_at)


def check_key_row(keyring: Keyring, row: Row[Any]) -> None:
    """Refuse (SealingError, row) a key row that was not written by the relay as it stands. Role relay."""
    _, row_key = keyring.row_key(row.mac_version)
    check_key(
        row_key,
        row.mac,
        kind=row.type,
        conversation_id=row.conversation_id,
        participant_id=row.participant_id,
        key_id=row.id,
        public=row.pk,
    )


def checked_address(keyring: Keyring, row: Row[Any]) -> str:
    """Return the address in a participant row; SealingError (row) unless the relay wrote the row as it stands."""
    address = keyring.open_address(row.address)
    _, row_key = keyring.row_key(row.mac_version)
    check_participant(
        row_key,
        row.mac,
        conversation_id=row.conversation_id,
        participant_id=row.id,
        role=row.role,
        flags=row.flags,
        address=address,
    )
    return address


def _checked_reader(connection: Connection, keyring: Keyring, key: Row[Any]) -> tuple[str, datetime | None]:
    """Return the address of a link's reader, and since when they are recalled.

    SealingError (row) unless both rows belong together as they were written.
    """
    row = connection.execute(select(PARTICIPANT).where(PARTICIPANT.c.id == key.participant_id)).one_or_none()
    if row is None or row.conversation_id != key.conversation_id or row.role != Role.READER:
        raise SealingError(Layer.ROW, "this key and its participant do not belong together")
    return checked_address(keyring, row), row.recalled_at
