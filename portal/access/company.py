"""To whom a reader may write: the senders, and those readers whom the messages on the page name (R42).

The rows are not trusted with it: an address is shown only where a verified manifest shows it, and the relay checks
every row again before it seals or mails anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from relay.store.tables import Participant
from relay.store.tables.sealed import ReaderState
from relay.vault.opener import Link, OpenedMessage
from relay.vault.people import BLIND, Role

_PARTICIPANT = Participant.__table__  # type: ignore[attr-defined]
_LONGEST = 320  # characters of an address that is looked up


@dataclass(frozen=True, slots=True)
class Fellow:
    """One participant, as a message shows them; ``name`` may be empty."""

    participant_id: bytes
    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Company:
    """Who is in a conversation, seen by one reader: ``senders`` get every answer, ``readers`` may be chosen."""

    senders: tuple[Fellow, ...]
    readers: tuple[Fellow, ...]
    blind: bool  # this reader is named to nobody, and writes to the sender only

    def chosen(self, ids: Sequence[str], text_of: Callable[[bytes], str]) -> tuple[Fellow, ...]:
        """Return the readers whose ids stand in ``ids`` as ``text_of`` writes them; anything else is nobody."""
        return tuple(fellow for fellow in self.readers if text_of(fellow.participant_id) in ids)


def company(
    conn: Connection, address_hash: Callable[[str], bytes], link: Link, messages: Sequence[OpenedMessage]
) -> Company:
    """Return the company of the link's reader, who was shown these messages. ``address_hash`` is the keyring's."""
    shown = _shown(address_hash, messages)
    rows = conn.execute(
        select(_PARTICIPANT).where(
            _PARTICIPANT.c.conversation_id == link.conversation_id,
            _PARTICIPANT.c.address_hash.in_(shown) | (_PARTICIPANT.c.id == link.participant_id),
        )
    ).all()
    blind = any(row.flags & BLIND for row in rows if row.id == link.participant_id)
    senders, readers = [], []
    order = list(shown)
    for row in sorted(
        (row for row in rows if row.address_hash in shown), key=lambda row: order.index(row.address_hash)
    ):
        name, address = shown[row.address_hash]
        fellow = Fellow(row.id, address, name)
        if row.role == Role.SENDER:
            senders.append(fellow)
        elif not blind and row.id != link.participant_id and _reads(row):
            readers.append(fellow)
    return Company(tuple(senders), tuple(readers), blind)


def is_own(conn: Connection, address_hash: Callable[[str], bytes], link: Link) -> Callable[[OpenedMessage], bool]:
    """Return what says whether a reader's message is this reader's own, by the address in its manifest."""
    own = conn.execute(select(_PARTICIPANT.c.address_hash).where(_PARTICIPANT.c.id == link.participant_id)).scalar_one()
    return lambda message: address_hash(named(message.manifest.sender)[1][:_LONGEST]) == own


def named(author: str) -> tuple[str, str]:
    """Return name and address of ``Name <address>``, in which the name holds no ``<``; no name for anything else."""
    name, found, address = author.partition(" <")
    return (name, address[:-1]) if found and author.endswith(">") else ("", author)


def _reads(row: Row[Any]) -> bool:
    """Say whether a reader is named to others and still lets something be read."""
    return not row.flags & BLIND and row.recalled_at is None and row.state != ReaderState.REMOVED.value


def _shown(address_hash: Callable[[str], bytes], messages: Sequence[OpenedMessage]) -> dict[bytes, tuple[str, str]]:
    """Return name and address of everybody whom the messages name, by the address's hash, in order of appearance."""
    found: dict[bytes, tuple[str, str]] = {}
    for message in messages:
        manifest = message.manifest
        for person in (manifest.sender, *manifest.to, *manifest.cc):
            name, address = named(person)
            if address and len(address) <= _LONGEST:
                key = address_hash(address)
                if not found.get(key, ("", ""))[0]:
                    found[key] = (name, address)
    return found
