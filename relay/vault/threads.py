"""How an answer is recognised: by the Message-IDs of what was written in a conversation, kept as keyed hashes.

A header proves nothing: it says which conversation an answer may belong to, never who may take part in it.
"""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from relay.store.prepared import Prepared
from relay.store.tables import Conversation, Sealed, Thread
from relay.vault.keyring import Keyring

THREAD: Table = cast("Any", Thread).__table__
_CONVERSATION: Table = cast("Any", Conversation).__table__
_SEALED: Table = cast("Any", Sealed).__table__
_COLUMNS = ("message_id_hash", "conversation_id")
_REMEMBER_SQLITE = Prepared(sqlite.insert(THREAD).on_conflict_do_nothing(), columns=_COLUMNS)
_REMEMBER_POSTGRESQL = Prepared(postgresql.insert(THREAD).on_conflict_do_nothing(), columns=_COLUMNS)
_MOST = 100  # Message-IDs of one answer that are looked up: the last, which are the nearest in the thread


def thread_hash(keyring: Keyring, message_id: str) -> bytes:
    """Return the keyed hash of a Message-ID (RFC 5322 section 3.6.4), written with its angle brackets."""
    return keyring.text_hash("message-id", message_id)


def remember(connection: Connection, keyring: Keyring, conversation_id: bytes, message_id: str) -> None:
    """Note that a mail with this Message-ID belongs to the conversation; nothing for an empty one or one known."""
    if message_id:
        remember_hash(connection, conversation_id, thread_hash(keyring, message_id))


def remember_hash(connection: Connection, conversation_id: bytes, message_id_hash: bytes) -> None:
    """Note what ``thread_hash`` returned; nothing when it is known."""
    statement = _REMEMBER_POSTGRESQL if connection.dialect.name == "postgresql" else _REMEMBER_SQLITE
    statement.run(connection, {"message_id_hash": message_id_hash, "conversation_id": conversation_id})


def by_thread(connection: Connection, keyring: Keyring, message_ids: Sequence[str]) -> bytes | None:
    """Return the conversation that an answer with these Message-IDs belongs to, None when there is none.

    Give References and then In-Reply-To, as they come: the last one known is what was answered (RFC 5322 section
    3.6.4); of more than 100 the last count. Where several conversations know it, the oldest counts: who writes a
    Message-ID again, by mistake or to draw a colleague's answer to himself, comes later.
    """
    hashes = [thread_hash(keyring, one) for one in message_ids[-_MOST:] if one]
    if not hashes:
        return None
    found = (
        select(THREAD.c.message_id_hash, _CONVERSATION.c.id)
        .join(_CONVERSATION, THREAD.c.conversation_id == _CONVERSATION.c.id)
        .where(THREAD.c.message_id_hash.in_(hashes))
        .order_by(_CONVERSATION.c.created_at.desc(), _CONVERSATION.c.id)
    )
    oldest: dict[bytes, bytes] = {row.message_id_hash: row.id for row in connection.execute(found)}
    return next((oldest[one] for one in reversed(hashes) if one in oldest), None)


def conversation_of(connection: Connection, message_id: bytes) -> bytes | None:
    """Return the conversation of a sealed message, None when nothing is sealed under this id (or it is swept)."""
    return connection.execute(select(_SEALED.c.conversation_id).where(_SEALED.c.id == message_id)).scalar_one_or_none()
