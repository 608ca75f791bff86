"""Who inside answers for a message of a conversation: whoever wrote it, else whoever began the conversation."""

from typing import Any, cast

from sqlalchemy import Connection, Table, select

from relay.store.tables import Sealed
from relay.vault.keyring import Keyring
from relay.vault.people import Person, Role, people

_SEALED: Table = cast("Any", Sealed).__table__


def author_inside(
    conn: Connection, keyring: Keyring, conversation_id: bytes, message_id: bytes | None = None
) -> Person | None:
    """Return the member of staff who is told what became of a message; None when nobody of them is known.

    That a message was written by a reader in the portal makes it the business of the first sender. SealingError (row)
    when a row of the conversation was not written by the relay: then nobody is mailed to.
    """
    senders = [one for one in people(conn, keyring, conversation_id) if one.role is Role.SENDER and not one.removed]
    author = conn.execute(select(_SEALED.c.author_id).where(_SEALED.c.id == message_id)).scalar_one_or_none()
    return next((one for one in senders if one.participant_id == author), senders[0] if senders else None)
