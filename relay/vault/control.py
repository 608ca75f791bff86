"""Taking back, giving again, removing, extending: what changes who may read, and until when.

Each is called inside the transaction, with what is in force there; all changes of one conversation wait for each other.
Whoever calls has made sure who asks: the right secret, from the right sender (``relay.vault.capability``).
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, delete, select, update

from relay.errors import NotFoundError, RefusedError
from relay.store.tables.sealed import ReaderState, SealedState
from relay.vault.growth import SEALED, STANZA, lock, stanza_rows
from relay.vault.holdings import Holdings, LiveMessage
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.people import Person, Role, person
from relay.vault.pieces import remove_pieces
from relay.vault.sealing.message import extend as extend_message
from relay.vault.sealing.stanza import Stanza, StanzaType


def recall(connection: Connection, participant_ids: Sequence[bytes], now: datetime) -> int:
    """Show these readers nothing of their conversation any more, their links included; return how many that is new for.

    It reaches every message, earlier and later ones, until ``restore``. Copies that left directly are out of reach.
    """
    return _set_recalled(connection, participant_ids, now)


def restore(connection: Connection, participant_ids: Sequence[bytes]) -> int:
    """Undo ``recall`` for these readers, for what has not expired by now; return how many were recalled."""
    return _set_recalled(connection, participant_ids, None)


def remove(connection: Connection, keyring: Keyring, one: Person, now: datetime) -> None:
    """Take a reader out of their conversation for good: links revoked, stanzas and unfinished answers gone. Role relay.

    What was written before cannot be opened again by anything that this database holds; a stanza in an old backup dies
    with its server key. Nothing happens to somebody who was removed already. NotFoundError when there is no such reader
    (any more); RefusedError for a sender; SealingError (row) when the row was changed.
    """
    lock(connection, one.conversation_id)
    known = person(connection, keyring, one.participant_id)
    if known is None or known.conversation_id != one.conversation_id:
        raise NotFoundError("this reader is not in the conversation any more")
    if known.role is not Role.READER:
        raise RefusedError("only readers can be removed")
    own = KEY.c.participant_id == known.participant_id
    connection.execute(update(KEY).where(own, KEY.c.revoked_at.is_(None)).values(revoked_at=now))
    connection.execute(delete(STANZA).where(STANZA.c.key_id.in_(select(KEY.c.id).where(own))))
    row = PARTICIPANT.c.id == known.participant_id
    connection.execute(update(PARTICIPANT).where(row).values(state=ReaderState.REMOVED.value))
    drafts = and_(SEALED.c.author_id == known.participant_id, SEALED.c.state == SealedState.DRAFT.value)
    written = connection.execute(select(SEALED.c.id).where(drafts)).scalars()
    remove_pieces(connection, list(written), now)


def extend(
    connection: Connection, keyring: Keyring, conversation_id: bytes, until: datetime, now: datetime
) -> datetime:
    """Let everything in a conversation be read until ``until`` at least; return until when it can be read then.

    Never shortens. Each message that would expire earlier gets a fresh outer key under the server key of the new month,
    and the stanzas of everybody who is in the conversation are redone. Any other stanza is left out, so that in an old
    backup too it dies with the key of the old month. Needs no link and no secret. Role relay.

    NotFoundError when there is no such conversation; RefusedError when everything has expired: that cannot be undone;
    SealingError (row) when a row was changed; KeyringError when a server key cannot be made.
    """
    if not lock(connection, conversation_id):
        raise NotFoundError("this conversation has ended")
    holdings = Holdings.load(connection, keyring, conversation_id, now)
    if not holdings.messages:
        raise RefusedError("everything in this conversation has expired, and that cannot be undone")
    for message in holdings.messages.values():
        if message.expires_at < until:
            _extend(connection, keyring, message, holdings.stanzas_to_keep(message.id), until)
    standing = and_(KEY.c.conversation_id == conversation_id, KEY.c.revoked_at.is_(None), KEY.c.expires_at < until)
    connection.execute(update(KEY).where(standing).values(expires_at=until))
    return max(until, holdings.latest())


def _extend(
    connection: Connection, keyring: Keyring, message: LiveMessage, kept: Sequence[Stanza], until: datetime
) -> None:
    outer, moved = extend_message(message.header, message.outer, kept, keyring.kek_for(until))
    own = SEALED.c.id == message.id
    connection.execute(update(SEALED).where(own).values(kek_id=outer.kek_id, wrapped=outer.wrapped, expires_at=until))
    old = and_(STANZA.c.message_id == message.id, STANZA.c.type != int(StanzaType.RECOVERY))
    connection.execute(delete(STANZA).where(old))
    if moved:
        connection.execute(STANZA.insert(), stanza_rows(moved))


def _set_recalled(connection: Connection, participant_ids: Sequence[bytes], at: datetime | None) -> int:
    standing = PARTICIPANT.c.recalled_at.is_(None) if at is not None else PARTICIPANT.c.recalled_at.is_not(None)
    these = and_(PARTICIPANT.c.id.in_(participant_ids), PARTICIPANT.c.role == int(Role.READER), standing)
    return connection.execute(update(PARTICIPANT).where(these).values(recalled_at=at)).rowcount
