"""How a conversation stands: what its sender is told who asks ``status``.

*Link opened* and *read* are different facts; reading is known message by message, with the name that was typed where
several people use one mailbox. A copy that left directly is not known here: its opening cannot be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, select

from relay.store.tables import MessageRead
from relay.store.tables.sealed import SealedState
from relay.vault.growth import SEALED
from relay.vault.holdings import Holdings
from relay.vault.keyring import Keyring
from relay.vault.people import Person, Role
from relay.vault.reader_names import open_name
from relay.vault.sealing.errors import SealingError
from relay.vault.sealing.header import Author, CoreHeader

__all__ = ["Author", "ConversationStatus", "FirstRead", "MessageStatus", "status"]

_READ: Table = cast("Any", MessageRead).__table__


@dataclass(frozen=True, slots=True)
class FirstRead:
    """When a reader was shown a message for the first time, and the name typed before (empty where none was)."""

    at: datetime
    name: str


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """One message. ``readable`` until ``expires_at``, by the participants in ``readers``; ``read`` is by participant.

    ``author`` is None when the header of the row was damaged.
    """

    id: bytes
    author: Author | None
    author_id: bytes | None
    created_at: datetime
    expires_at: datetime
    readable: bool
    to_all: bool
    notify_read: bool
    readers: frozenset[bytes]
    read: Mapping[bytes, FirstRead]


@dataclass(frozen=True, slots=True)
class ConversationStatus:
    """A conversation as its sender sees it. Removed readers are among ``readers``: their state says so.

    ``expires_at`` is until when anything of it can be read, None when nothing can any more. ``messages`` are oldest
    first, expired ones included until they are swept; unfinished answers are never among them.
    """

    conversation_id: bytes
    expires_at: datetime | None
    senders: tuple[Person, ...]
    readers: tuple[Person, ...]
    messages: tuple[MessageStatus, ...]

    def unread(self, reader: Person) -> tuple[MessageStatus, ...]:
        """Return the messages that a reader can read and was never shown; their own do not count."""
        one = reader.participant_id
        return tuple(
            message
            for message in self.messages
            if message.readable and one in message.readers and one not in message.read and message.author_id != one
        )


def status(connection: Connection, keyring: Keyring, conversation_id: bytes, now: datetime) -> ConversationStatus:
    """Return how a conversation stands at ``now``; without people and messages when there is none. Role relay.

    SealingError (row) when a participant or key was changed; a name that was not sealed for its row is left empty.
    """
    holdings = Holdings.load(connection, keyring, conversation_id, now)
    entitled = {one.participant_id: holdings.entitled(one) for one in holdings.people if one.role is Role.READER}
    rows = connection.execute(
        select(SEALED)
        .where(SEALED.c.conversation_id == conversation_id, SEALED.c.state != SealedState.DRAFT.value)
        .order_by(SEALED.c.created_at, SEALED.c.id)
    ).all()
    reads = _reads(connection, keyring, conversation_id)
    messages = []
    for row in rows:
        author = _author(row.header)
        if author is Author.DRAFT:
            continue
        messages.append(
            MessageStatus(
                row.id,
                author,
                row.author_id,
                row.created_at,
                row.expires_at,
                row.id in holdings.messages,
                row.to_all,
                row.notify_read,
                frozenset(one for one, ids in entitled.items() if row.id in ids),
                reads.get(row.id, {}),
            )
        )
    return ConversationStatus(
        conversation_id,
        holdings.latest() if holdings.messages else None,
        tuple(one for one in holdings.people if one.role is Role.SENDER),
        tuple(one for one in holdings.people if one.role is Role.READER),
        tuple(messages),
    )


def _reads(connection: Connection, keyring: Keyring, conversation_id: bytes) -> dict[bytes, dict[bytes, FirstRead]]:
    rows = connection.execute(
        select(_READ)
        .join(SEALED, SEALED.c.id == _READ.c.message_id)
        .where(SEALED.c.conversation_id == conversation_id)
        .order_by(_READ.c.at)
    )
    found: dict[bytes, dict[bytes, FirstRead]] = {}
    for row in rows:
        try:
            name = open_name(keyring, row.message_id, row.participant_id, row.name)
        except SealingError:
            name = ""
        found.setdefault(row.message_id, {})[row.participant_id] = FirstRead(row.at, name)
    return found


def _author(header: bytes) -> Author | None:
    try:
        return CoreHeader.decode(header).author
    except SealingError:
        return None
