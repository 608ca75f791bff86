"""Who can open what of a conversation now: its live messages, everybody's keys, and which key has a stanza for which.

A reader is *entitled* to a message when one of the reader's keys has a stanza for it whose outer layer opens
(docs/sealed-format.md, rules of use): that layer is made with the server's key alone, so whoever can only write the
database cannot make anybody entitled. A revoked link still proves what its reader was given; only removing a reader
takes the stanzas away.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Row, select

from relay.store.tables.sealed import SealedState
from relay.vault.growth import SEALED, STANZA, Basis
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, check_key_row
from relay.vault.people import Person, Role, people
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import Author, CoreHeader
from relay.vault.sealing.message import OuterKey, open_outer_key, outer_layer_opens
from relay.vault.sealing.stanza import Stanza, StanzaKey, StanzaType

_TYPES = {Role.READER: StanzaType.LINK, Role.SENDER: StanzaType.SENDER}


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """A message that can be opened now: its header bytes, its outer key, and until when."""

    id: bytes
    header: bytes
    author: Author
    outer: OuterKey = field(repr=False)
    created_at: datetime
    expires_at: datetime
    to_all: bool


@dataclass(frozen=True, eq=False)
class Holdings:
    """One conversation in one snapshot, at the moment ``now``.

    ``messages`` are those that can be opened, oldest first; ``wrapped`` the wrapped outer key of every live message.
    ``key_rows`` are those of each participant, newest first; ``stanzas`` those of each key, by message; ``drafts`` the
    unfinished answers written under each link.
    """

    conversation_id: bytes
    now: datetime
    people: tuple[Person, ...]
    messages: Mapping[bytes, LiveMessage]
    wrapped: Mapping[bytes, bytes] = field(repr=False)
    key_rows: Mapping[bytes, tuple[Row[Any], ...]] = field(repr=False)
    stanzas: Mapping[bytes, Mapping[bytes, Stanza]] = field(repr=False)
    drafts: Mapping[bytes, frozenset[bytes]] = field(repr=False)

    @classmethod
    def load(cls, connection: Connection, keyring: Keyring, conversation_id: bytes, now: datetime) -> "Holdings":
        """Read a conversation; every participant and key row is checked. Role relay.

        SealingError (row) when one was not written by the relay as it stands: then nothing may be sealed to anybody. A
        message that fails a check is not among the messages: nobody is entitled to it, and it hides no other.
        """
        everybody = people(connection, keyring, conversation_id)
        keys = _checked_keys(connection, keyring, conversation_id, everybody)
        rows = connection.execute(
            select(SEALED)
            .where(
                SEALED.c.conversation_id == conversation_id,
                SEALED.c.state.in_([SealedState.LIVE.value, SealedState.DRAFT.value]),
            )
            .order_by(SEALED.c.created_at, SEALED.c.id)
        ).all()
        wrapped = {row.id: row.wrapped for row in rows if row.state == SealedState.LIVE.value}
        drafts = {row.id for row in rows if row.state == SealedState.DRAFT.value and row.expires_at > now}
        stanzas: dict[bytes, dict[bytes, Stanza]] = {}
        for one in _stanzas(connection, conversation_id):
            stanzas.setdefault(one.key_id, {})[one.message_id] = one
        return cls(
            conversation_id,
            now,
            everybody,
            {row.id: live for row in rows if row.id in wrapped and (live := _live(keyring, row, now)) is not None},
            wrapped,
            keys,
            stanzas,
            {key_id: frozenset(drafts & own.keys()) for key_id, own in stanzas.items()},
        )

    def find(self, participant_id: bytes) -> Person | None:
        """Return a participant of this conversation, None when it is nobody's id here."""
        return next((one for one in self.people if one.participant_id == participant_id), None)

    def opens(self, key_id: bytes) -> frozenset[bytes]:
        """Return the messages that a key opens: those for which it has a stanza whose outer layer opens."""
        return frozenset(one for one in self.stanzas.get(key_id, {}) if self._opens(key_id, one))

    def entitled(self, one: Person) -> frozenset[bytes]:
        """Return the messages that somebody may be given again: those that any of their keys opens, revoked or not."""
        if one.removed:
            return frozenset()
        # The newest key mostly opens everything: the others are asked for what is left.
        keys = [row.id for row in self.key_rows.get(one.participant_id, ())]
        return frozenset(
            message_id for message_id in self.messages if any(self._opens(key, message_id) for key in keys)
        )

    def live_keys(self, one: Person) -> tuple[StanzaKey, ...]:
        """Return the keys that are neither revoked nor expired, newest first; all of them."""
        return tuple(
            StanzaKey(StanzaType(row.type), row.id, row.pk)
            for row in self.key_rows.get(one.participant_id, ())
            if row.revoked_at is None and row.expires_at > self.now and not one.removed
        )

    def revoked(self, one: Person) -> tuple[bytes, ...]:
        """Return somebody's keys that were revoked."""
        return tuple(row.id for row in self.key_rows.get(one.participant_id, ()) if row.revoked_at is not None)

    def stanzas_of(self, key_id: bytes) -> Mapping[bytes, Stanza]:
        """Return a key's stanzas by message, whether they open or not."""
        return self.stanzas.get(key_id, {})

    def stanzas_to_keep(self, message_id: bytes) -> tuple[Stanza, ...]:
        """Return the stanzas of a message that open, of everybody who is in the conversation still."""
        keys = (row.id for one in self.people if not one.removed for row in self.key_rows.get(one.participant_id, ()))
        return tuple(self.stanzas[key_id][message_id] for key_id in keys if message_id in self.opens(key_id))

    def drafts_of(self, key_id: bytes) -> frozenset[bytes]:
        """Return the unfinished answers that were written under a link and that only this link opens."""
        return self.drafts.get(key_id, frozenset())

    def oldest_first(self, ids: Collection[bytes]) -> tuple[bytes, ...]:
        """Return these messages in the order in which they were written."""
        return tuple(one for one in self.messages if one in ids)

    def latest(self, *others: datetime) -> datetime:
        """Return until when something of this conversation can be read; ``now`` when nothing can."""
        return max([self.now, *others, *(message.expires_at for message in self.messages.values())])

    def basis(self, concerned: Iterable[Person], absent: Iterable[bytes] = ()) -> Basis:
        """Return what must still hold when something is written for these people (see ``Basis``)."""
        keys = {
            one.participant_id: frozenset(
                row.id for row in self.key_rows.get(one.participant_id, ()) if row.revoked_at is None
            )
            for one in concerned
        }
        return Basis(self.conversation_id, self.wrapped, keys, frozenset(absent))

    def _opens(self, key_id: bytes, message_id: bytes) -> bool:
        if (known := self._known.get((key_id, message_id))) is None:
            stanza, message = self.stanzas.get(key_id, {}).get(message_id), self.messages.get(message_id)
            known = (
                stanza is not None and message is not None and outer_layer_opens(message.header, message.outer, stanza)
            )
            self._known[key_id, message_id] = known
        return known

    @cached_property
    def _known(self) -> dict[tuple[bytes, bytes], bool]:
        return {}


def _checked_keys(
    connection: Connection, keyring: Keyring, conversation_id: bytes, everybody: tuple[Person, ...]
) -> dict[bytes, tuple[Row[Any], ...]]:
    """Return all key rows by participant, newest first; SealingError (row) when one is not right."""
    known = {one.participant_id: one for one in everybody}
    rows = connection.execute(
        select(KEY).where(KEY.c.conversation_id == conversation_id).order_by(KEY.c.created_at.desc(), KEY.c.id)
    ).all()
    found: dict[bytes, list[Row[Any]]] = {}
    for row in rows:
        check_key_row(keyring, row)
        owner = known.get(row.participant_id)
        if owner is None or row.type != _TYPES[owner.role]:
            raise SealingError(Layer.ROW, "this key and its participant do not belong together")
        found.setdefault(row.participant_id, []).append(row)
    return {participant_id: tuple(keys) for participant_id, keys in found.items()}


def _stanzas(connection: Connection, conversation_id: bytes) -> Iterator[Stanza]:
    rows = connection.execute(
        select(STANZA)
        .join(KEY, KEY.c.id == STANZA.c.key_id)
        .where(KEY.c.conversation_id == conversation_id, STANZA.c.type != int(StanzaType.RECOVERY))
    )
    for row in rows:
        yield Stanza(row.type, row.key_id, row.message_id, row.ct)


def _live(keyring: Keyring, row: Row[Any], now: datetime) -> LiveMessage | None:
    """Return the message of a row that can be opened, None for one that expired or fails a check."""
    if row.expires_at <= now:
        return None
    try:
        header = CoreHeader.decode(row.header)
        header.require_row(conversation_id=row.conversation_id, message_id=row.id)
        outer = open_outer_key(row.header, row.kek_id, row.wrapped, keyring.keks)
    except SealingError:
        return None
    if header.author is Author.DRAFT:
        return None
    return LiveMessage(row.id, row.header, header.author, outer, row.created_at, row.expires_at, row.to_all)
