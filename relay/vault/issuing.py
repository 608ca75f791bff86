"""New links and new sender secrets in a conversation: what the commands ``resend`` and ``add`` hand out.

Working out is done from a snapshot, before the transaction; ``insert_links``, ``insert_sender`` and
``insert_resealed`` write the result and raise OvertakenError, with nothing written, when the conversation has changed
since. In one transaction they come before ``relay.vault.control.extend``, which changes every message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from relay.errors import OvertakenError, RefusedError
from relay.vault.capability import Capability
from relay.vault.growth import Growth
from relay.vault.handout import Handout
from relay.vault.holdings import Holdings
from relay.vault.keyring import Keyring
from relay.vault.participants import PickupLink
from relay.vault.people import Person, Role

_ALL_EXPIRED = "everything in this conversation has expired: write a new message"


@dataclass(frozen=True, slots=True)
class NewLinks:
    """Fresh links by address, and by address the messages that they could not be given, oldest first.

    ``revoked`` are the links that stop working with this, by link id.
    """

    links: Mapping[str, PickupLink]
    missing: Mapping[str, tuple[bytes, ...]]
    growth: Growth = field(repr=False)

    @property
    def revoked(self) -> tuple[bytes, ...]:
        """Return the ids of links that stop working with this."""
        return self.growth.revoked


@dataclass(frozen=True, slots=True)
class NewSender:
    """A fresh S, 20 bytes, for the reply address of one mail to this sender; ``missing`` as in ``NewLinks``."""

    participant_id: bytes
    secret: bytes = field(repr=False)
    missing: tuple[bytes, ...]
    growth: Growth = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resealed:
    """The messages, oldest first, that a reader's other live links are given; empty when they lack none."""

    messages: tuple[bytes, ...]
    growth: Growth = field(repr=False)


def links_for(
    connection: Connection,
    keyring: Keyring,
    capability: Capability | None,
    persons: Sequence[Person],
    now: datetime,
    *,
    revoke: bool = False,
) -> NewLinks:
    """Draw a fresh link for each of these readers of one conversation (``resend``). Role relay.

    It opens what its reader is entitled to and the capability opens, and lives as long as the longest-lived message.
    The reader's older links are revoked when they open nothing that it does not (unfinished answers included) and
    nothing is missing; with ``revoke`` in any case. RefusedError for somebody who is no reader (any more), or when
    everything has expired; SealingError (row) when a row was changed; ValueError for readers of several conversations.
    """
    (conversation_id,) = {one.conversation_id for one in persons}
    holdings = Holdings.load(connection, keyring, conversation_id, now)
    _require_something(holdings)
    readers = tuple(reader_in(holdings, one) for one in {one.participant_id: one for one in persons}.values())
    handout = Handout(keyring, holdings, capability, holdings.latest())
    for reader in readers:
        fresh = handout.link(reader)
        if revoke or (reader.address not in handout.missing and handout.needless(reader, fresh)):
            handout.revoke_links(reader, fresh)
    return NewLinks(handout.entered.links, handout.missing, handout.growth(readers))


def add_readers(
    connection: Connection,
    keyring: Keyring,
    capability: Capability,
    addresses: Sequence[str],
    *,
    answered: bytes | None,
    now: datetime,
) -> NewLinks:
    """Enter readers, a link each (``add``). Role relay.

    They get the message ``answered`` (a sealed message's id; None for none) and those that went to all readers: that
    are noted as such, and that every reader who is not blind is entitled to now. Somebody who is a reader already gets
    these besides what is theirs, and a link; who was removed is entered anew. Errors as ``links_for``.
    """
    holdings = Holdings.load(connection, keyring, capability.conversation_id, now)
    _require_something(holdings)
    handout = Handout(keyring, holdings, capability, holdings.latest())
    granted = to_everybody(holdings) | ({answered} if answered is not None else frozenset())
    concerned = []
    for address in each_once(keyring, addresses):
        known = reader_at(keyring, holdings, address)
        if known is None:
            handout.new_reader(address, also=granted)
        else:
            handout.link(known, also=granted)
            concerned.append(known)
    return NewLinks(handout.entered.links, handout.missing, handout.growth(tuple(concerned)))


def renew_sender(
    connection: Connection,
    keyring: Keyring,
    capability: Capability | None,
    now: datetime,
    *,
    sender: Person | None = None,
) -> NewSender:
    """Draw a fresh S for a mail that we write to ``sender`` (default: the capability's holder). Role relay.

    It opens what the sender is entitled to and the capability opens, and every later message. RefusedError for somebody
    who is no sender; SealingError (row) when a row was changed; ValueError when neither sender nor capability is given.
    """
    holder = sender or (capability.holder if capability is not None else None)
    if holder is None:
        raise ValueError("whose secret?")
    holdings = Holdings.load(connection, keyring, holder.conversation_id, now)
    known = holdings.find(holder.participant_id)
    if known is None or known.role is not Role.SENDER or known.removed:
        raise RefusedError("only who writes from inside has a reply address")
    handout = Handout(keyring, holdings, capability, holdings.latest())
    handout.secret(known)
    missing = handout.missing.get(known.address, ())
    return NewSender(
        known.participant_id, handout.entered.secrets[known.participant_id], missing, handout.growth((known,))
    )


def reseal(connection: Connection, keyring: Keyring, capability: Capability, now: datetime) -> Resealed:
    """Give a reader's other live links the messages that a visit with one of them opened. Role relay.

    ``capability`` comes from ``by_visit``. RefusedError when its holder is no reader any more; SealingError (row) when
    a row was changed.
    """
    holdings = Holdings.load(connection, keyring, capability.conversation_id, now)
    reader = reader_in(holdings, capability.holder)
    handout = Handout(keyring, holdings, capability, holdings.latest())
    return Resealed(handout.again(reader), handout.growth((reader,)))


def insert_links(connection: Connection, new: NewLinks) -> None:
    """Write new links; OvertakenError when the conversation changed since they were drawn."""
    new.growth.write(connection)


def insert_sender(connection: Connection, new: NewSender) -> None:
    """Write a new S; OvertakenError when the conversation changed since it was drawn."""
    new.growth.write(connection)


def insert_resealed(connection: Connection, resealed: Resealed) -> None:
    """Write what other links are given; OvertakenError when the conversation changed since it was worked out."""
    if resealed.messages:
        resealed.growth.write(connection)


def to_everybody(holdings: Holdings) -> frozenset[bytes]:
    """Return the messages that went to all readers.

    The note in the row says so, and nobody vouches for it; so every reader who is not blind must be entitled as well.
    """
    readers = [one for one in holdings.people if one.reads and not one.blind]
    noted = frozenset(one.id for one in holdings.messages.values() if one.to_all)
    return noted.intersection(*(holdings.entitled(one) for one in readers))


def reader_at(keyring: Keyring, holdings: Holdings, address: str) -> Person | None:
    """Return who reads at an address now; spelling variants are one address."""
    wanted = keyring.address_hash(address)
    found = (one for one in holdings.people if one.reads and keyring.address_hash(one.address) == wanted)
    return next(found, None)


def each_once(keyring: Keyring, addresses: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses, each only once however it is spelled; the first spelling stays."""
    first: dict[bytes, str] = {}
    for one in addresses:
        first.setdefault(keyring.address_hash(one), one)
    return tuple(first.values())


def reader_in(holdings: Holdings, one: Person) -> Person:
    """Return a reader as this snapshot has them; OvertakenError when they are not there, RefusedError when removed."""
    known = holdings.find(one.participant_id)
    if known is None:
        raise OvertakenError("this reader is not in the conversation any more")
    if not known.reads:
        raise RefusedError(f"{known.address} is no reader of this conversation any more: add them again")
    return known


def _require_something(holdings: Holdings) -> None:
    if not holdings.messages:
        raise RefusedError(_ALL_EXPIRED)
