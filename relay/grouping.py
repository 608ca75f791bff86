"""Which sealed messages belong together: what is sealed begins a conversation, or joins one that is there.

Usual mail begins a conversation, with a link for each reader.

More of the same message joins its conversation: Exchange splits one mail into several transactions, and the readers of
each get a sealed message and a link of their own.

A machine's flagged mail joins the conversation of the day, for each sender and recipient: the first of the day brings a
notice, later ones are found with the same link.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from relay.clock import new_queue_id
from relay.errors import OvertakenError
from relay.message.parts import Reading
from relay.plan import Change
from relay.store.tables import MachineThread, QueuedMessage, Sealed
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store, claim
from relay.vault.correspondence import Author, Correspondence
from relay.vault.keyring import Keyring
from relay.vault.people import Person, Role, people
from relay.vault.vault import SealedDraft, Vault

_SEALED: Table = cast("Any", Sealed).__table__
_MESSAGE: Table = cast("Any", QueuedMessage).__table__
_MACHINE: Table = cast("Any", MachineThread).__table__


@dataclass(frozen=True, slots=True)
class Reader:
    """One address to seal for; ``visible`` when To or Cc name it."""

    address: str
    visible: bool


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sealed.

    ``message_id`` is the id of the message as it came; a second sealed message of it has an id of its own.
    ``original`` is kept exactly as given: without ``Bcc``. ``colleagues`` got the same message inside.
    """

    message_id: bytes
    reading: Reading
    original: bytes
    sender: str
    readers: Sequence[Reader]
    now: datetime
    colleagues: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Grouped:
    """What came of one letter. ``changes`` belong into the same commit."""

    sealed: tuple[SealedDraft, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def until(self) -> datetime | None:
        """Return until when it can be read, None where nothing was sealed."""
        return self.sealed[0].expires_at if self.sealed else None


class Grouping:
    """Seals letters into the right conversation. ``expiry`` is how long they can be read."""

    def __init__(
        self, keyring: Keyring, store: Store, vault: Vault, correspondence: Correspondence, expiry: timedelta
    ) -> None:
        self._keyring = keyring
        self._store = store
        self._vault = vault
        self._correspondence = correspondence
        self._expiry = expiry

    def seal(self, letter: Letter) -> Grouped:
        """Seal a letter into a conversation of its own. Blocking: sealed blobs are durable when this returns.

        Errors of this and of the two below: those of `relay.vault.vault.Vault.seal` and
        `relay.vault.correspondence.Correspondence.seal_into`.
        """
        return Grouped((self._begin(letter, letter.message_id),))

    def seal_more(self, letter: Letter, earlier: Sequence[bytes]) -> Grouped:
        """Seal a letter for further readers of a message; ``earlier`` are the ids under which it came before.

        Without anything sealed of it that can still be read, it begins a conversation. The sealed message has the
        letter's id, or one of its own where an earlier one has taken that.
        """
        with self._store.read() as connection:
            conversation_id = _conversation_of(connection, earlier)
            taken = (
                connection.execute(select(_SEALED.c.id).where(_SEALED.c.id == letter.message_id)).first() is not None
            )
        message_id = new_queue_id() if taken else letter.message_id
        if conversation_id is None:
            return Grouped((self._begin(letter, message_id),))
        return Grouped((self._join(letter, message_id, conversation_id, letter.readers, ()),))

    def seal_of_machine(self, letter: Letter) -> Grouped:
        """Seal a machine's letter into the conversations of the day."""
        day = letter.now.date().isoformat()
        sender_hash = self._keyring.address_hash(letter.sender)
        standing, ended = self._standing(letter, sender_hash, day)
        sealed: list[SealedDraft] = []
        ids = iter([letter.message_id])
        for conversation_id, persons in standing.items():
            sealed.append(self._join(letter, next(ids, None) or new_queue_id(), conversation_id, (), persons))
        met = {self._keyring.address_hash(one.address) for persons in standing.values() for one in persons}
        fresh = {self._keyring.address_hash(one.address): one for one in letter.readers}
        fresh = {recipient_hash: one for recipient_hash, one in fresh.items() if recipient_hash not in met}
        changes: tuple[Change, ...] = ()
        if fresh:
            draft = self._begin(letter, next(ids, None) or new_queue_id(), tuple(fresh.values()))
            sealed.append(draft)
            changes = tuple(
                partial(
                    _remember,
                    key={"sender_hash": sender_hash, "recipient_hash": recipient_hash, "day": day},
                    conversation_id=draft.conversation_id,
                    instead_of=ended.get(recipient_hash),
                )
                for recipient_hash in fresh
            )
        return Grouped(tuple(sealed), changes)

    def _begin(self, letter: Letter, message_id: bytes, readers: Sequence[Reader] | None = None) -> SealedDraft:
        chosen = letter.readers if readers is None else readers
        return self._vault.seal(
            message_id=message_id,
            reading=letter.reading,
            original=letter.original,
            sender=letter.sender,
            readers=[one.address for one in chosen],
            blind=[one.address for one in chosen if not one.visible],
            colleagues=letter.colleagues,
            notify_read=letter.reading.read_receipt,
            now=letter.now,
            expires_at=letter.now + self._expiry,
        )

    def _join(
        self,
        letter: Letter,
        message_id: bytes,
        conversation_id: bytes,
        readers: Sequence[Reader],
        persons: Sequence[Person],
    ) -> SealedDraft:
        author = self._sender_in(conversation_id, letter.sender)
        return self._correspondence.seal_into(
            capability=None,
            conversation_id=conversation_id,
            message_id=message_id,
            reading=letter.reading,
            original=letter.original,
            author=Author.STAFF,
            author_id=author.participant_id if author else None,
            to=persons,
            add=[one.address for one in readers if one.visible],
            blind=[one.address for one in readers if not one.visible],
            notify_read=letter.reading.read_receipt,
            # A machine hears nothing of it: it needs no secret, and would push older ones out.
            secrets_for=None if readers else (),
            now=letter.now,
            expires_at=letter.now + self._expiry,
        )

    def _sender_in(self, conversation_id: bytes, address: str) -> Person | None:
        wanted = self._keyring.address_hash(address)
        with self._store.read() as connection:
            found = people(connection, self._keyring, conversation_id)
        senders = [one for one in found if one.role is Role.SENDER and not one.removed]
        return next((one for one in senders if self._keyring.address_hash(one.address) == wanted), None)

    def _standing(
        self, letter: Letter, sender_hash: bytes, day: str
    ) -> tuple[Mapping[bytes, list[Person]], Mapping[bytes, bytes]]:
        """Return the day's conversations with those of the readers who can read in them, and what has ended.

        The latter is keyed by the reader's address hash: the conversation expired, or the reader was taken out of it.
        """
        hashes = [self._keyring.address_hash(one.address) for one in letter.readers]
        standing: dict[bytes, list[Person]] = {}
        ended: dict[bytes, bytes] = {}
        noted = select(_MACHINE.c.recipient_hash, _MACHINE.c.conversation_id).where(
            _MACHINE.c.sender_hash == sender_hash, _MACHINE.c.day == day, _MACHINE.c.recipient_hash.in_(hashes)
        )
        with self._store.read() as connection:
            for row in connection.execute(noted).all():
                reader = self._reader(connection, row.conversation_id, row.recipient_hash)
                if reader is None:
                    ended[row.recipient_hash] = row.conversation_id
                else:
                    standing.setdefault(row.conversation_id, []).append(reader)
        return standing, ended

    def _reader(self, connection: Connection, conversation_id: bytes, address_hash: bytes) -> Person | None:
        live = (_SEALED.c.conversation_id == conversation_id, _SEALED.c.state == SealedState.LIVE.value)
        if connection.execute(select(_SEALED.c.id).where(*live).limit(1)).first() is None:
            return None
        reading = (
            one
            for one in people(connection, self._keyring, conversation_id)
            if one.reads and one.recalled_at is None and self._keyring.address_hash(one.address) == address_hash
        )
        return next(reading, None)


def _conversation_of(connection: Connection, earlier: Sequence[bytes]) -> bytes | None:
    """Return the conversation of what was sealed of these messages first and can still be read."""
    # Two questions: in one, with an outer join, SQLite reads all that was ever sealed.
    caused = connection.execute(select(_MESSAGE.c.id).where(_MESSAGE.c.parent.in_(earlier))).scalars()
    first = (
        select(_SEALED.c.conversation_id)
        .where(_SEALED.c.id.in_([*earlier, *caused]), _SEALED.c.state == SealedState.LIVE.value)
        .order_by(_SEALED.c.created_at)
        .limit(1)
    )
    return connection.execute(first).scalar_one_or_none()


def _remember(
    connection: Connection, *, key: Mapping[str, bytes | str], conversation_id: bytes, instead_of: bytes | None
) -> None:
    """Note which conversation the day's further mail joins; OvertakenError when another was noted meanwhile."""
    if not claim(connection, ("machine", *key.values())):
        raise OvertakenError("another message of this machine was first")
    if instead_of is not None:
        same = [_MACHINE.c[name] == value for name, value in key.items()]
        connection.execute(delete(_MACHINE).where(*same, _MACHINE.c.conversation_id == instead_of))
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(_MACHINE)
    noted = insert.values(**key, conversation_id=conversation_id).on_conflict_do_nothing()
    # A count of rows is not to be had from every driver here.
    if connection.execute(noted.returning(_MACHINE.c.conversation_id)).first() is None:
        raise OvertakenError("another message of this machine was first")
