"""What is written when a conversation grows, and the check that it is still as it was when that was worked out.

Working out who gets what takes ciphers and is done before the transaction, from a snapshot. By the time it is written
somebody may have been removed, a link revoked, a message sealed: then nothing is written, and it is worked out anew.
All changes of one conversation wait for each other at its row (on SQLite at the database).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, select, update

from relay.errors import OvertakenError
from relay.store.tables import Conversation, Sealed, Stanza
from relay.store.tables.sealed import ReaderState, SealedState
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.sealing.stanza import Stanza as SealedStanza
from relay.vault.threads import remember_hash

CONVERSATION: Table = cast("Any", Conversation).__table__
SEALED: Table = cast("Any", Sealed).__table__
STANZA: Table = cast("Any", Stanza).__table__

TableRows = tuple[tuple[Table, list[dict[str, Any]]], ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """What a growth was worked out from, as far as it depends on it.

    ``wrapped``      the wrapped outer key of each live message: none came, none went, none was extended
    ``keys``         the keys not revoked of each participant concerned: none was removed, given or denied a key
    ``absent``       keyed hashes of addresses to be entered as readers: nobody else entered them
    """

    conversation_id: bytes
    wrapped: Mapping[bytes, bytes] = field(repr=False)
    keys: Mapping[bytes, frozenset[bytes]]
    absent: frozenset[bytes] = frozenset()

    def require(self, connection: Connection) -> None:
        """Wait for the conversation and compare; OvertakenError when something differs. Inside the transaction."""
        if not lock(connection, self.conversation_id):
            raise OvertakenError("this conversation has ended")
        if wrapped_keys(connection, self.conversation_id) != self.wrapped:
            raise OvertakenError("a message was sealed, extended or destroyed meanwhile")
        if standing_keys(connection, self.conversation_id, self.keys) != self.keys:
            raise OvertakenError("somebody was removed or was given another link meanwhile")
        if self.absent and self._entered(connection):
            raise OvertakenError("this reader was added meanwhile")

    def _entered(self, connection: Connection) -> bool:
        # All of the conversation are looked at here: SQLite would look at every conversation of who is to be entered.
        readers = select(PARTICIPANT.c.address_hash).where(
            PARTICIPANT.c.conversation_id == self.conversation_id, PARTICIPANT.c.state != ReaderState.REMOVED.value
        )
        return not self.absent.isdisjoint(connection.execute(readers).scalars())


@dataclass(frozen=True, slots=True)
class Growth:
    """What is to be written, once the basis still holds.

    ``revoked`` are links that a newer one makes needless; ``superseded`` the stanzas, by (message id, key id), that are
    needed no more; ``prolonged`` the keys that live at least until ``until`` because they open something new;
    ``thread`` the keyed hash of a Message-ID by which answers are recognised.
    """

    basis: Basis
    now: datetime
    rows: TableRows = field(repr=False)
    revoked: tuple[bytes, ...] = ()
    superseded: tuple[tuple[bytes, bytes], ...] = ()
    prolonged: tuple[bytes, ...] = ()
    until: datetime | None = None
    thread: bytes | None = None

    def write(self, connection: Connection) -> None:
        """Write everything; OvertakenError, with nothing written, when the basis does not hold any more.

        The rows are inserted at once and not left for the end of the batch: the next change must see them.
        """
        self.basis.require(connection)
        for message_id, key_id in self.superseded:
            connection.execute(delete(STANZA).where(STANZA.c.message_id == message_id, STANZA.c.key_id == key_id))
        for table, rows in self.rows:
            if rows:
                connection.execute(table.insert(), rows)
        if self.revoked:
            connection.execute(update(KEY).where(KEY.c.id.in_(self.revoked)).values(revoked_at=self.now))
        if self.prolonged and self.until is not None:
            short = and_(KEY.c.id.in_(self.prolonged), KEY.c.expires_at < self.until)
            connection.execute(update(KEY).where(short).values(expires_at=self.until))
        if self.thread is not None:
            remember_hash(connection, self.basis.conversation_id, self.thread)


def lock(connection: Connection, conversation_id: bytes) -> bool:
    """Make other changes of this conversation, and its expiry, wait until this transaction ends; False for none."""
    row = select(CONVERSATION.c.id).where(CONVERSATION.c.id == conversation_id).with_for_update()
    if connection.execute(row).first() is None:
        return False
    # On PostgreSQL a sweep that is under way has expired some of them when this returns, or waits for us.
    connection.execute(select(SEALED.c.id).where(_live(conversation_id)).with_for_update()).all()
    return True


def wrapped_keys(connection: Connection, conversation_id: bytes) -> dict[bytes, bytes]:
    """Return the wrapped outer key of each live message; drafts do not count, they are their writer's alone."""
    rows = connection.execute(select(SEALED.c.id, SEALED.c.wrapped).where(_live(conversation_id)))
    return {row.id: row.wrapped for row in rows}


def standing_keys(
    connection: Connection, conversation_id: bytes, of: Mapping[bytes, object]
) -> dict[bytes, frozenset[bytes]]:
    """Return the keys that are not revoked, of those participants in ``of`` who are in the conversation still."""
    rows = connection.execute(
        select(PARTICIPANT.c.id, KEY.c.id.label("key_id"))
        .outerjoin(KEY, and_(KEY.c.participant_id == PARTICIPANT.c.id, KEY.c.revoked_at.is_(None)))
        .where(
            PARTICIPANT.c.conversation_id == conversation_id,
            PARTICIPANT.c.state != ReaderState.REMOVED.value,
            PARTICIPANT.c.id.in_(list(of)),
        )
    )
    found: dict[bytes, set[bytes]] = {}
    for row in rows:
        found.setdefault(row.id, set()).update({row.key_id} if row.key_id is not None else ())
    return {participant_id: frozenset(keys) for participant_id, keys in found.items()}


def stanza_rows(stanzas: Sequence[SealedStanza]) -> list[dict[str, Any]]:
    """Return the rows of stanzas."""
    return [
        {"message_id": one.message_id, "key_id": one.key_id, "type": int(one.type), "ct": one.ct} for one in stanzas
    ]


def _live(conversation_id: bytes) -> ColumnElement[bool]:
    return and_(SEALED.c.conversation_id == conversation_id, SEALED.c.state == SealedState.LIVE.value)
