"""What somebody brought opens: the sender's secret S out of a reply address, or the keys that a visit opened.

A capability is the keys of messages, in memory, for as long as one command or answer takes. It says what can be given;
what a reader may be given is what the reader is entitled to (``relay.vault.holdings``), so that each gets both or none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from relay.errors import NotFoundError, RefusedError
from relay.store.tables.sealed import SealedState
from relay.vault.growth import SEALED, STANZA
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, LinkState, check_key_row, state_of
from relay.vault.people import Person, Role, person
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import Author, CoreHeader
from relay.vault.sealing.links import SENDER_SECRET_LENGTH, same_key, sender_pair
from relay.vault.sealing.message import MessageKey, message_key, open_outer_key, open_stanza
from relay.vault.sealing.stanza import Stanza, StanzaType

__all__ = ["Capability", "MessageKey", "SealingError", "by_sender_secret", "by_visit"]


@dataclass(frozen=True, slots=True)
class Capability:
    """Whose it is, and the messages that it opens. ``messages`` are by id; drafts are never among them."""

    conversation_id: bytes
    holder: Person
    messages: Mapping[bytes, MessageKey] = field(repr=False)


def by_sender_secret(
    connection: Connection, keyring: Keyring, conversation_id: bytes, secret: bytes, now: datetime
) -> Capability | None:
    """Return what S opens of this conversation, None when S is no live secret of it. Role relay.

    S of another conversation, of another length, revoked or expired is None; so is S of a reader's address once its
    sender is gone. A message that fails a check is left out and hides no other. SealingError (row) when the row of the
    sender, or of the key, was changed: then nobody is obeyed. Knowing S is not enough to be obeyed: the caller has
    compared who brings it.
    """
    if len(secret) != SENDER_SECRET_LENGTH:
        return None
    pair = sender_pair(secret, conversation_id)
    row = connection.execute(
        select(KEY).where(
            KEY.c.pk == pair.public,
            KEY.c.conversation_id == conversation_id,
            KEY.c.type == int(StanzaType.SENDER),
        )
    ).one_or_none()
    if row is None or not same_key(pair, row.pk) or state_of(row, now) is not LinkState.LIVE:
        return None
    check_key_row(keyring, row)
    holder = person(connection, keyring, row.participant_id)
    if holder is None or (holder.conversation_id, holder.role) != (conversation_id, Role.SENDER):
        raise SealingError(Layer.ROW, "this key and its participant do not belong together")
    if holder.removed:
        return None
    found = connection.execute(
        select(SEALED, STANZA.c.type, STANZA.c.key_id, STANZA.c.ct)
        .join(STANZA, STANZA.c.message_id == SEALED.c.id)
        .where(
            STANZA.c.key_id == row.id,
            SEALED.c.conversation_id == conversation_id,
            SEALED.c.state == SealedState.LIVE.value,
            SEALED.c.expires_at > now,
        )
        .order_by(SEALED.c.created_at, SEALED.c.id)
    ).all()
    messages = {}
    for one in found:
        try:
            header = CoreHeader.decode(one.header)
            header.require_row(conversation_id=conversation_id, message_id=one.id)
            outer = open_outer_key(one.header, one.kek_id, one.wrapped, keyring.keks)
            key = open_stanza(one.header, outer, Stanza(one.type, one.key_id, one.id, one.ct), pair)
        except SealingError:
            continue
        if header.author is not Author.DRAFT:
            messages[one.id] = key
    return Capability(conversation_id, holder, messages)


def by_visit(
    connection: Connection, keyring: Keyring, participant_id: bytes, deks: Mapping[bytes, bytes], now: datetime
) -> Capability:
    """Return the capability of a reader's visit: ``deks`` are what it opened, by message id. Role relay.

    A message that expired since is left out. NotFoundError when there is no such participant; RefusedError when they
    are no reader of their conversation (any more); SealingError: *row* when their row was changed, *header* for a
    message of another conversation or a draft, *commitment* for a key that is not the message's: then nothing of the
    request is to be believed.
    """
    holder = person(connection, keyring, participant_id)
    if holder is None:
        raise NotFoundError("this reader is not known here")
    if not holder.reads:
        raise RefusedError("this reader was removed from the conversation")
    rows = connection.execute(select(SEALED).where(SEALED.c.id.in_(list(deks)))).all()
    messages = {}
    for row in sorted(rows, key=lambda row: (row.created_at, row.id)):
        if row.state != SealedState.DRAFT.value and (row.state != SealedState.LIVE.value or row.expires_at <= now):
            continue
        key = message_key(row.header, deks[row.id])
        key.header.require_row(conversation_id=holder.conversation_id, message_id=row.id)
        if key.header.author is Author.DRAFT:
            raise SealingError(Layer.HEADER, "a draft is no message")
        messages[row.id] = key
    return Capability(holder.conversation_id, holder, messages)
