"""A reader's other links: what this link does not open and another one does, and the reverse.

A message that was sealed without the sender's secret opens with the new link only, and earlier ones with the old links
only (docs/sealed-format.md, *Entitled*). A visit with the old link puts it right: it asks the relay to seal what it
opened to the reader's other links.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from relay.store.tables import Key, Sealed, Stanza
from relay.store.tables.sealed import SealedState
from relay.vault.links import LIVE_KEYS
from relay.vault.opener import Link

_KEY = Key.__table__  # type: ignore[attr-defined]
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_STANZA = Stanza.__table__  # type: ignore[attr-defined]
_LINK = 1  # key.type


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Messages that only another link of the same reader opens; ``since`` is when that link was mailed."""

    count: int
    since: datetime


def elsewhere(conn: Connection, link: Link, now: datetime) -> Elsewhere | None:
    """Return what the reader's other live links open beyond this one; None when this link opens everything.

    ``since`` is of the newest of those links: the mail that is easiest to find.
    """
    here = select(_STANZA.c.message_id).where(_STANZA.c.key_id == link.link_id)
    found = conn.execute(
        select(func.count(_SEALED.c.id.distinct()), func.max(_KEY.c.created_at))
        .select_from(_STANZA)
        .join(_KEY, _KEY.c.id == _STANZA.c.key_id)
        .join(_SEALED, _SEALED.c.id == _STANZA.c.message_id)
        .where(
            _KEY.c.participant_id == link.participant_id,
            _KEY.c.type == _LINK,
            _KEY.c.revoked_at.is_(None),
            _KEY.c.expires_at > now,
            _SEALED.c.state == SealedState.LIVE.value,
            _SEALED.c.expires_at > now,
            _SEALED.c.id.not_in(here),
        )
    ).one()
    return Elsewhere(found[0], found[1]) if found[0] else None


def lacking(conn: Connection, link: Link, messages: Sequence[bytes], now: datetime) -> bool:
    """Say whether another live link of this reader lacks one of these messages, which this link opens."""
    others = conn.execute(
        select(_KEY.c.id)
        .where(
            _KEY.c.participant_id == link.participant_id,
            _KEY.c.type == _LINK,
            _KEY.c.revoked_at.is_(None),
            _KEY.c.expires_at > now,
        )
        .order_by(_KEY.c.created_at.desc(), _KEY.c.id)
        .limit(LIVE_KEYS)
    ).scalars()
    ids = [key_id for key_id in others if key_id != link.link_id]
    if not ids or not messages:
        return False
    there = conn.execute(
        select(func.count()).where(_STANZA.c.key_id.in_(ids), _STANZA.c.message_id.in_(messages))
    ).scalar_one()
    return bool(there < len(ids) * len(messages))
