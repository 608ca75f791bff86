"""Sealing a message: the relay's side of the vault.

``seal`` does the work outside any transaction: ciphers, and large parts into the blob store, durable when it returns.
``insert`` writes the rows in the one transaction that also accepts the message. Nothing of it is readable before
somebody brings a link, and nothing refers to a blob that is not on disk.

Here a conversation begins; ``relay.vault.correspondence`` seals what is written into it later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Table

from relay.clock import new_id
from relay.message.parts import Reading
from relay.store.batch import insert_later
from relay.store.tables import Part
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault.blobs import BlobStore
from relay.vault.growth import CONVERSATION, SEALED, STANZA, Growth, TableRows, stanza_rows
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.packing import Packed, Packer
from relay.vault.participants import Participants, PickupLink
from relay.vault.sealing.header import Author
from relay.vault.sealing.message import MessageKey, OuterKey, begin_message, new_outer_key, seal_recovery, seal_stanzas
from relay.vault.sealing.stanza import Stanza, StanzaKey
from relay.vault.threads import THREAD, thread_hash

__all__ = ["PickupLink", "SealedDraft", "Vault"]

_PART: Table = cast("Any", Part).__table__


@dataclass(frozen=True, slots=True)
class SealedDraft:
    """A sealed message that is not yet in the database.

    ``links`` has one link for each reader's address who is to be sent one, ``secrets`` a fresh S, 20 bytes, for each
    sender who gets a mail about it, by participant id: the secret part of that mail's reply address. ``missing`` names,
    by address, the older messages of the conversation that a new link or S could not be given (oldest first).
    ``audit_facts`` belong to the event *sealed*: H and the digest of the sealed manifest, by which recovery proves
    origin. ``growth`` is what else changes in a conversation that was there before.
    """

    message_id: bytes
    conversation_id: bytes
    sealed_at: datetime
    expires_at: datetime
    links: dict[str, PickupLink]
    secrets: Mapping[bytes, bytes] = field(repr=False)
    audit_facts: dict[str, str | int | bool | list[str]]
    rows: TableRows = field(repr=False)
    blobs: dict[bytes, int] = field(repr=False)
    missing: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    growth: Growth | None = None

    @property
    def sender_participant_id(self) -> bytes | None:
        """Return the (first) sender who has a fresh S, None where nobody has."""
        return next(iter(self.secrets), None)

    @property
    def sender_secret(self) -> bytes:
        """Return the S of that sender, empty where there is none."""
        return next(iter(self.secrets.values()), b"")


class Vault:
    """Seals messages. Parts go into the row while all of a message's together stay within ``inline_limit`` octets."""

    def __init__(self, keyring: Keyring, blobs: BlobStore, store: Store, *, inline_limit: int = 128 << 10) -> None:
        self._keyring = keyring
        self._packer = Packer(blobs, store, inline_limit)

    def seal(
        self,
        *,
        message_id: bytes,
        reading: Reading,
        original: bytes,
        sender: str,
        readers: Sequence[str],
        now: datetime,
        expires_at: datetime,
        blind: Sequence[str] = (),
        colleagues: Sequence[str] = (),
        notify_read: bool = False,
    ) -> SealedDraft:
        """Seal a message for ``readers``, a link each, and for its sender (empty: none).

        ``blind`` are those of the readers who stand in no header; nobody else is ever told of them. ``colleagues`` are
        people inside who got the same message and take part in the conversation, without a key so far. ``notify_read``
        notes that the sender asked to be told when it is read.

        ``original`` is kept as the part ``original`` exactly as given: ``Bcc`` must have been removed. To and Cc of the
        manifest are those of the header, so a blind copy is named nowhere. Blocking: ciphers, and for large parts one
        commit and their fsync. StoreFullError and StoreError when the blob store cannot take them.
        """
        conversation_id = new_id()
        people = Participants(self._keyring, conversation_id, now, expires_at)
        for address in readers:
            people.add_reader(address, blind=address in blind)
        if sender:
            people.add_sender(sender)
        inside = {self._keyring.address_hash(one): one for one in (*colleagues, sender) if one}
        for address in inside.values():
            if address != sender:
                people.add_colleague(address)
        key = begin_message(conversation_id, message_id, int(now.timestamp()), Author.STAFF)
        packed = self._packer.pack(key, reading, original, now)
        outer = new_outer_key(key.header, self._keyring.kek_for(expires_at))
        root = thread_hash(self._keyring, reading.message_id) if reading.message_id else None
        row = sealed_row(key, outer, packed, now, expires_at) | {
            "author_id": next(iter(people.secrets), None),
            "to_all": True,
            "notify_read": notify_read,
        }
        return SealedDraft(
            message_id,
            conversation_id,
            now,
            expires_at,
            people.links,
            people.secrets,
            audit_facts(key, packed, len(people.links), expires_at),
            (
                (CONVERSATION, [{"id": conversation_id, "created_at": now, "root_hash": root}]),
                (THREAD, [{"message_id_hash": root, "conversation_id": conversation_id}] if root else []),
                (PARTICIPANT, people.rows),
                (KEY, people.key_rows),
                (SEALED, [row]),
                (_PART, packed.rows),
                (STANZA, stanza_rows(stanzas_of(self._keyring, key, outer, people.keys))),
            ),
            packed.blobs,
        )

    def insert(self, connection: Connection, draft: SealedDraft) -> None:
        """Write a sealed message in the transaction that accepts it.

        StoreError when its blobs were swept meanwhile; OvertakenError when the conversation that it goes into is not
        any more what it was: then nothing may be committed, and the message is sealed anew.
        """
        if draft.growth is not None:
            draft.growth.write(connection)
        journal.stored(connection, draft.blobs, draft.sealed_at)
        for table, rows in draft.rows:
            if draft.growth is None:
                insert_later(connection, table, rows)
            elif rows:
                connection.execute(table.insert(), rows)  # the conversation's next change must see them


def sealed_row(key: MessageKey, outer: OuterKey, packed: Packed, now: datetime, expires_at: datetime) -> dict[str, Any]:
    """Return the row of a message that is live as soon as it is committed."""
    return {
        "id": key.header.message_id,
        "conversation_id": key.header.conversation_id,
        "header": key.header.encode(),
        "kek_id": outer.kek_id,
        "wrapped": outer.wrapped,
        "manifest_part": packed.manifest_part,
        "state": SealedState.LIVE.value,
        "created_at": now,
        "expires_at": expires_at,
    }


def stanzas_of(keyring: Keyring, key: MessageKey, outer: OuterKey, to: Sequence[StanzaKey]) -> tuple[Stanza, ...]:
    """Return the stanzas of a new message: one for each key, and one for the organisation's recovery key."""
    stanzas = seal_stanzas(key, outer, to)
    return stanzas if keyring.recovery is None else (*stanzas, seal_recovery(key, keyring.recovery))


def audit_facts(
    key: MessageKey, packed: Packed, readers: int, expires_at: datetime
) -> dict[str, str | int | bool | list[str]]:
    """Return the facts of the event *sealed*."""
    return {
        "header": key.header.digest.hex(),
        "manifest": packed.digest.hex(),
        "readers": readers,
        "parts": len(packed.rows) - 1,
        "until": expires_at.isoformat(timespec="seconds"),
    }
