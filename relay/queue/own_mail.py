"""Names of mail that we write ourselves, and what such a mail was about.

The Message-ID of a mail of ours follows from the id under which it is queued. So a reminder can stand in the thread of
a receipt that was sent days before, although no Message-ID is kept anywhere in clear.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from relay.clock import id_from_text, id_text
from relay.message.secret_address import AddressKind, SecretAddress
from relay.notices.letterhead import thread_fields
from relay.queue.settling import TO_READERS
from relay.store.tables import Entry, Participant, QueuedMessage, Sealed
from relay.store.tables.queue import EntryState, Kind
from relay.vault.keyring import Keyring

_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_READER = Participant.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class About:
    """The message that a mail of ours speaks of: when we accepted it, and the receipt that its sender has got."""

    message_id: bytes
    accepted_at: datetime
    receipt: bytes | None

    def thread(self, domain: str) -> list[tuple[str, str]]:
        """Return the fields that put another mail to the sender into the thread of the receipt."""
        return thread_fields([own_message_id(self.receipt, domain)] if self.receipt else [])


def own_message_id(queued_id: bytes, domain: str) -> str:
    """Return the Message-ID of our mail that is queued under this id, with its angle brackets."""
    return f"<{id_text(queued_id)}@{domain}>"


def returned_mail(conn: Connection, named: bytes, message_id: str, domain: str) -> bytes:
    """Return the queued mail of ours that a report is about; ``named`` is what its bounce address names.

    That is a mail, or a reader (`relay.queue.return_path`): then it is the one whose Message-ID the report brings back,
    and where it brings none of ours, the newest that has left. Without any mail, ``named`` itself.
    """
    local, _, at = message_id.strip("<>").rpartition("@")
    mails = (
        select(_ENTRY.c.message_id)
        .where(_ENTRY.c.participant_id == named, _ENTRY.c.kind.in_(kind.value for kind in TO_READERS))
        .order_by(_ENTRY.c.created_at.desc(), _ENTRY.c.id.desc())
    )
    with suppress(ValueError):
        returned = id_from_text(local) if at == domain else b""
        if conn.execute(mails.where(_ENTRY.c.message_id == returned).limit(1)).first() is not None:
            return returned
    left = _ENTRY.c.state.in_((EntryState.LEASED.value, EntryState.DONE.value, EntryState.BOUNCED.value))
    newest = conn.execute(mails.where(left).limit(1)).scalar_one_or_none()
    return named if newest is None else bytes(newest)


def reader_thread(keyring: Keyring, participant_id: bytes, domain: str) -> str:
    """Return the Message-ID that all notices to one reader of a conversation refer to; no mail bears it."""
    return f"<{id_text(keyring.text_hash('reader thread', participant_id))}@{domain}>"


def about(conn: Connection, queued_id: bytes, participant_id: bytes | None) -> About | None:
    """Return what a queued mail of ours speaks of: its parent, or else the first message of the reader's conversation.

    None where that was swept.
    """
    parent = conn.execute(select(_MESSAGE.c.parent).where(_MESSAGE.c.id == queued_id)).scalar_one_or_none()
    if parent is None and participant_id is not None:
        parent = conn.execute(
            select(_SEALED.c.id)
            .join(_READER, _READER.c.conversation_id == _SEALED.c.conversation_id)
            .where(_READER.c.id == participant_id)
            .order_by(_SEALED.c.created_at)
            .limit(1)
        ).scalar_one_or_none()
    return None if parent is None else about_message(conn, parent)


def about_message(conn: Connection, message_id: bytes) -> About | None:
    """Return what is known of an accepted message, None where its record was swept."""
    accepted_at = conn.execute(select(_MESSAGE.c.accepted_at).where(_MESSAGE.c.id == message_id)).scalar_one_or_none()
    return None if accepted_at is None else About(message_id, accepted_at, receipt_of(conn, message_id))


def control_address(keyring: Keyring, item_id: bytes) -> SecretAddress:
    """Return the address that answers about a hold, or about a message of which nothing was sealed, go to.

    Where something was sealed the address carries S instead, which opens it.
    """
    return SecretAddress(AddressKind.CONTROL, item_id, keyring.address_tag("control", item_id))


def receipt_of(conn: Connection, message_id: bytes) -> bytes | None:
    """Return the queued id of the newest receipt about a message, None where none was written or it was swept."""
    return conn.execute(
        select(_MESSAGE.c.id)
        .join(_ENTRY, _ENTRY.c.message_id == _MESSAGE.c.id)
        .where(_MESSAGE.c.parent == message_id, _ENTRY.c.kind == Kind.RECEIPT.value)
        .order_by(_MESSAGE.c.accepted_at.desc())
        .limit(1)
    ).scalar_one_or_none()
