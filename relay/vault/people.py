"""The people of a conversation: senders and readers, from rows that only the relay can have written.

Nobody is sealed to, mailed to or obeyed before the MAC of their row was compared (docs/sealed-format.md, rows). The
state and the moments beside it are not under the MAC: they say how far somebody has come, never who they are.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from relay.store.tables.sealed import ReaderState
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT, checked_address
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.rows import Role

__all__ = ["BLIND", "Person", "Role", "people", "person"]

BLIND = 1  # flag: a reader by Bcc; is never listed to others and writes to the sender only


@dataclass(frozen=True, slots=True)
class Person:
    """One participant, after the row's MAC was compared. ``address`` is as it was entered, byte for byte."""

    participant_id: bytes
    conversation_id: bytes
    role: Role
    address: str
    blind: bool
    state: ReaderState
    recalled_at: datetime | None
    reminded_at: datetime | None
    bounced_at: datetime | None
    notified_at: datetime | None
    opened_at: datetime | None
    read_at: datetime | None

    @property
    def removed(self) -> bool:
        """Tell whether this participant was taken out of the conversation for good."""
        return self.state is ReaderState.REMOVED

    @property
    def reads(self) -> bool:
        """Tell whether this is a reader who is still one."""
        return self.role is Role.READER and not self.removed


def people(connection: Connection, keyring: Keyring, conversation_id: bytes) -> tuple[Person, ...]:
    """Return everybody of a conversation in the order in which they came, removed readers included. Role relay.

    Empty when there is no such conversation. SealingError (row) when one row was not written by the relay as it
    stands: then nobody of the conversation may be sealed or mailed to.
    """
    rows = connection.execute(_select(PARTICIPANT.c.conversation_id == conversation_id)).all()
    return tuple(_checked(keyring, row) for row in rows)


def person(connection: Connection, keyring: Keyring, participant_id: bytes) -> Person | None:
    """Return one participant, None when there is none of this id; SealingError (row) as for ``people``."""
    row = connection.execute(_select(PARTICIPANT.c.id == participant_id)).one_or_none()
    return None if row is None else _checked(keyring, row)


def _select(which: ColumnElement[bool]) -> Select[Any]:
    # Whoever comes later gets a first key later; who came together is told apart by role and then at will.
    first = select(func.min(KEY.c.created_at)).where(KEY.c.participant_id == PARTICIPANT.c.id).scalar_subquery()
    return select(PARTICIPANT).where(which).order_by(first.nulls_last(), PARTICIPANT.c.role, PARTICIPANT.c.id)


def _checked(keyring: Keyring, row: Row[Any]) -> Person:
    address = checked_address(keyring, row)
    try:
        role, state = Role(row.role), ReaderState(row.state)
    except ValueError:
        raise SealingError(Layer.ROW, "this participant is of a kind that this version does not know") from None
    return Person(
        row.id,
        row.conversation_id,
        role,
        address,
        bool(row.flags & BLIND),
        state,
        row.recalled_at,
        row.reminded_at,
        row.bounced_at,
        row.notified_at,
        row.opened_at,
        row.read_at,
    )
