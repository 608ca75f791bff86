"""Keys and store for one command, beside a gateway that may be running."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import Connection, select, union

from relay.cli.session import Session
from relay.clock import id_from_text
from relay.config import Configuration
from relay.errors import RefusedError
from relay.store.audit import Audit
from relay.store.tables import Conversation, Entry, QueuedMessage, Sealed
from relay.store.writer import Store, open_store
from relay.vault.keyring import Keyring

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_CONVERSATION = Conversation.__table__  # type: ignore[attr-defined]
WRITER = "cli"  # the name of the command line's own audit chain


@dataclass(frozen=True, slots=True)
class Opened:
    """Configuration, keys, store and audit, opened for one command."""

    configuration: Configuration
    keyring: Keyring
    store: Store
    audit: Audit


@contextmanager
def opened(session: Session) -> Iterator[Opened]:
    """Open what a command needs; ConfigurationError, KeyringError or StoreError say what is missing."""
    configuration = session.configuration()
    keyring = Keyring.open(configuration.keys.folder, role="cli")
    store = open_store(configuration.storage.database)
    try:
        yield Opened(configuration, keyring, store, Audit(keyring, writer=WRITER))
    finally:
        store.close()


def identifier(text: str, shown_by: str = "queue list") -> bytes:
    """Return the id that a person typed; RefusedError when it is none, with the command that shows ids."""
    try:
        return id_from_text(text.strip().lower())
    except ValueError:
        raise RefusedError(
            f'"{text}" is no id: it has 26 letters and digits, and "letterlock {shown_by}" shows it'
        ) from None


def messages_named(conn: Connection, one: Opened, text: str) -> Sequence[bytes]:
    """Return the messages that a person means: by the id of the 250 reply, or by Message-ID with or without <>.

    The id of one entry, as lists of the queue show it, means its message. An id is returned whether it is known or
    not. Of a Message-ID there may be several, oldest first; a sealed message is found after its queue row was swept,
    too.
    """
    with suppress(ValueError):
        named = id_from_text(text.strip().lower())
        of_entry = conn.execute(select(_ENTRY.c.message_id).where(_ENTRY.c.id == named)).scalar_one_or_none()
        return (of_entry or named,)
    bare = text.strip().removeprefix("<").removesuffix(">")
    if not bare:
        return ()
    sought = one.keyring.text_hash("message-id", f"<{bare}>")
    queued = select(_MESSAGE.c.id, _MESSAGE.c.accepted_at.label("at")).where(_MESSAGE.c.message_id_hash == sought)
    sealed = (
        select(_SEALED.c.id, _SEALED.c.created_at.label("at"))
        .join(_CONVERSATION, _CONVERSATION.c.id == _SEALED.c.conversation_id)
        .where(_CONVERSATION.c.root_hash == sought)
    )
    found = sorted(conn.execute(union(queued, sealed)).all(), key=lambda row: (row.at, row.id))
    return tuple(dict.fromkeys(row.id for row in found))
