"""What a reader may write with: a pen for one link, and the unfinished pieces that this link may change.

A pen opens nothing. The portal gives one to a running visit, and to a form with a ticket after the visit has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, cast

from sqlalchemy import Connection, Select, Table, select

from relay.store.tables import Part, Sealed
from relay.store.tables import Stanza as StanzaTable
from relay.store.tables.sealed import ReaderState, SealedState
from relay.vault.links import KEY, PARTICIPANT, LinkState, state_of
from relay.vault.opener import Link
from relay.vault.sealing.parts import smallest_size

SEALED: Table = cast("Any", Sealed).__table__
STANZA: Table = cast("Any", StanzaTable).__table__
PART: Table = cast("Any", Part).__table__


@dataclass(frozen=True, slots=True)
class Pen:
    """The right to write for one link: proved by its visit, or by a ticket of its visit (then ``link`` is None)."""

    link_id: bytes
    conversation_id: bytes
    participant_id: bytes
    public: bytes
    until: datetime
    link: Link | None = None

    @classmethod
    def of(cls, link: Link) -> Self | None:
        """Return the pen of a link; None when it is not live."""
        if link.state is not LinkState.LIVE:
            return None
        return cls(link.link_id, link.conversation_id, link.participant_id, link.public, link.expires_at, link)


def is_live(conn: Connection, pen: Pen, now: datetime) -> bool:
    """Say whether the link still opens its conversation: its key neither revoked nor expired, its reader let in."""
    row = conn.execute(
        select(KEY, PARTICIPANT.c.recalled_at, PARTICIPANT.c.state)
        .join(PARTICIPANT, PARTICIPANT.c.id == KEY.c.participant_id)
        .where(KEY.c.id == pen.link_id, KEY.c.pk == pen.public)
    ).one_or_none()
    return (
        row is not None
        and state_of(row, now) is LinkState.LIVE
        and row.recalled_at is None
        and row.state != ReaderState.REMOVED.value
    )


def own_pieces(conn: Connection, pen: Pen, ids: Sequence[bytes] | None = None, *, lock: bool = True) -> list[bytes]:
    """Return which of these pieces (None: all) this link may change: its own, not handed over.

    ``lock`` keeps them so until the transaction ends; False for one that only reads.
    """
    mine = _mine(pen).with_for_update(of=SEALED) if lock else _mine(pen)
    return list(conn.execute(mine if ids is None else mine.where(SEALED.c.id.in_(ids))).scalars())


def octets_kept(conn: Connection, pen: Pen) -> int:
    """Return the size of all these pieces without opening one; under 1 KiB too little for each, lengths being padded.

    SealingError (part) when a row has a length that no part has.
    """
    lengths = conn.execute(
        select(PART.c.length)
        .join(SEALED, SEALED.c.id == PART.c.message_id)
        .where(SEALED.c.id.in_(_mine(pen)), PART.c.id != SEALED.c.manifest_part)
    ).scalars()
    return sum(smallest_size(length) for length in lengths)


def _mine(pen: Pen) -> Select[Any]:
    return (
        select(SEALED.c.id)
        .join(STANZA, STANZA.c.message_id == SEALED.c.id)
        .where(
            STANZA.c.key_id == pen.link_id,
            SEALED.c.state == SealedState.DRAFT.value,
            SEALED.c.author_id == pen.participant_id,
            SEALED.c.answer_id.is_(None),
        )
    )
