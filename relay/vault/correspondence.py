"""Sealing one more message into a conversation: an answer by staff, a reader's answer, or a late copy.

It goes to every live link of each reader it is for (the eight newest), to the live secrets of everybody inside, and to
the recovery key. Whoever gets a mail about it gets a fresh link, and the sender a fresh S, which also open older
messages as far as their holder is entitled to them and the capability at hand opens them.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table

from relay.errors import OvertakenError
from relay.message.parts import Reading
from relay.store.tables import Part
from relay.store.writer import Store
from relay.vault.blobs import BlobStore
from relay.vault.capability import Capability
from relay.vault.growth import SEALED, STANZA, stanza_rows
from relay.vault.handout import Handout
from relay.vault.holdings import Holdings
from relay.vault.issuing import each_once, reader_at, reader_in
from relay.vault.keyring import Keyring
from relay.vault.links import LIVE_KEYS
from relay.vault.packing import Packer
from relay.vault.people import Person, Role
from relay.vault.sealing.header import Author
from relay.vault.sealing.message import begin_message, new_outer_key
from relay.vault.sealing.stanza import StanzaKey
from relay.vault.threads import thread_hash
from relay.vault.vault import SealedDraft, audit_facts, sealed_row, stanzas_of

__all__ = ["Author", "Correspondence"]

_PART: Table = cast("Any", Part).__table__


class Correspondence:
    """Seals into conversations that exist. ``Vault.insert`` writes what it returns."""

    def __init__(self, keyring: Keyring, blobs: BlobStore, store: Store, *, inline_limit: int = 128 << 10) -> None:
        self._keyring = keyring
        self._store = store
        self._packer = Packer(blobs, store, inline_limit)

    def seal_into(
        self,
        *,
        capability: Capability | None,
        conversation_id: bytes,
        message_id: bytes,
        reading: Reading,
        original: bytes,
        author: Author,
        author_id: bytes | None,
        to: Sequence[Person],
        now: datetime,
        expires_at: datetime,
        add: Sequence[str] = (),
        blind: Sequence[str] = (),
        fresh_links: bool | Collection[bytes] = False,
        to_all: bool = False,
        notify_read: bool = False,
        secrets_for: Collection[bytes] | None = None,
    ) -> SealedDraft:
        """Seal a message for the readers ``to``, and for readers who are new: ``add``, and unseen by others ``blind``.

        ``fresh_links`` says which of ``to`` get a fresh link: all, none, or these participants; a new reader always
        does. Somebody in ``add`` or ``blind`` who is a reader already counts as one of ``to`` with a fresh link. A new
        reader is given this message and nothing older. ``to_all`` notes that it goes to every reader there is.

        ``secrets_for`` are the senders who get a mail about it, a fresh S each; by default the author when that is a
        sender, else the conversation's first. Draw none for nobody: only the eight newest of each are sealed to.

        ``original`` and ``reading`` are as for ``Vault.seal``, with the addresses that hold secrets replaced. Blocking;
        no snapshot is open while parts are written. OvertakenError when somebody named is not in the conversation any
        more; RefusedError for a reader who was removed; SealingError (row) when any row of the conversation was
        changed: nothing is sealed to anybody then; StoreFullError and StoreError as for ``Vault.seal``. ValueError for
        a capability of another conversation.
        """
        with self._store.read() as connection:
            holdings = Holdings.load(connection, self._keyring, conversation_id, now)
        handout = Handout(self._keyring, holdings, capability, holdings.latest(expires_at))
        readers, fresh = self._readers(holdings, to, fresh_links, (*add, *blind))
        writer = _author(holdings, author_id)
        senders = tuple(one for one in holdings.people if one.role is Role.SENDER and not one.removed)
        keys = self._reader_keys(handout, readers, fresh)
        keys += [handout.new_reader(one, blind=one not in add) for one in self._new(holdings, (*add, *blind))]
        keys += _sender_keys(handout, senders, _holders(senders, secrets_for, writer))
        key = begin_message(conversation_id, message_id, int(now.timestamp()), author)
        packed = self._packer.pack(key, reading, original, now)
        outer = new_outer_key(key.header, self._keyring.kek_for(expires_at))
        links = handout.entered.links
        row = sealed_row(key, outer, packed, now, expires_at) | {
            "author_id": author_id,
            "to_all": to_all,
            "notify_read": notify_read,
        }
        concerned = {one.participant_id: one for one in (*readers, *senders, *([writer] if writer else []))}
        thread = thread_hash(self._keyring, reading.message_id) if reading.message_id else None
        return SealedDraft(
            message_id,
            conversation_id,
            now,
            expires_at,
            links,
            handout.entered.secrets,
            audit_facts(key, packed, len(readers) + len(handout.absent), expires_at),
            (
                (SEALED, [row]),
                (_PART, packed.rows),
                (STANZA, stanza_rows(stanzas_of(self._keyring, key, outer, keys))),
            ),
            packed.blobs,
            handout.missing,
            handout.growth(tuple(concerned.values()), prolonged=tuple(one.key_id for one in keys), thread=thread),
        )

    def _readers(
        self,
        holdings: Holdings,
        to: Sequence[Person],
        fresh_links: bool | Collection[bytes],
        more: Sequence[str],
    ) -> tuple[tuple[Person, ...], frozenset[bytes]]:
        """Return the readers who are in the conversation already, and who of them gets a fresh link."""
        known = {one.participant_id: reader_in(holdings, one) for one in to}
        fresh = set(known) if fresh_links is True else set(fresh_links or ()) & known.keys()
        for address in more:
            if (one := reader_at(self._keyring, holdings, address)) is not None:
                known[one.participant_id] = one
                fresh.add(one.participant_id)
        return tuple(known.values()), frozenset(fresh)

    def _new(self, holdings: Holdings, addresses: Sequence[str]) -> list[str]:
        once = each_once(self._keyring, addresses)
        return [one for one in once if reader_at(self._keyring, holdings, one) is None]

    @staticmethod
    def _reader_keys(handout: Handout, readers: Sequence[Person], fresh: frozenset[bytes]) -> list[StanzaKey]:
        keys: list[StanzaKey] = []
        for one in readers:
            drawn = [handout.link(one)] if one.participant_id in fresh else []
            standing = [key for key in handout.holdings.live_keys(one) if key.key_id not in handout.revoked]
            keys += (drawn + standing)[:LIVE_KEYS]
        return keys


def _author(holdings: Holdings, author_id: bytes | None) -> Person | None:
    if author_id is None:
        return None
    found = holdings.find(author_id)
    if found is None or found.removed:
        raise OvertakenError("the author of this message is not in the conversation any more")
    return found


def _holders(
    senders: Sequence[Person], secrets_for: Collection[bytes] | None, writer: Person | None
) -> tuple[Person, ...]:
    """Return who inside gets a fresh S; nobody where there is nobody inside."""
    if secrets_for is None:
        return (writer,) if writer in senders and writer is not None else tuple(senders[:1])
    found = tuple(one for one in senders if one.participant_id in secrets_for)
    if len(found) != len(set(secrets_for)):
        raise OvertakenError("somebody inside is not in the conversation any more")
    return found


def _sender_keys(handout: Handout, senders: Sequence[Person], holders: Sequence[Person]) -> list[StanzaKey]:
    keys: list[StanzaKey] = []
    for one in senders:
        drawn = [handout.secret(one)] if one in holders else []
        keys += (drawn + list(handout.holdings.live_keys(one)))[:LIVE_KEYS]
    return keys
