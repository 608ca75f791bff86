"""How far the duty about silence (`relay.conversation.silence`) has come: it looks at each message a single time."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, update

from relay.store.remembered import remember, remembered
from relay.store.tables import Meta

_NAME = "silence looked at"
_META = Meta.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Place:
    """The moment and the id of the last message that was looked at."""

    at: datetime
    id: bytes


def place_of(conn: Connection) -> Place | None:
    """Return how far it has come, None before its first look."""
    value = remembered(conn, _NAME)
    if value is None:
        return None
    at, identifier = json.loads(value)
    return Place(datetime.fromisoformat(at).astimezone(UTC), bytes.fromhex(identifier))


def move(conn: Connection, before: Place | None, after: Place) -> bool:
    """Move the place on; False when it is not where it was any more."""
    if before is None:
        if place_of(conn) is None:
            remember(conn, _NAME, _written(after))
        return True
    moved = update(_META).where(_META.c.name == _NAME, _META.c.value == _written(before)).values(value=_written(after))
    return conn.execute(moved).rowcount == 1


def skip_until(conn: Connection, moment: datetime) -> None:
    """Look at no message that was accepted before this moment: whether its readers were silent is not known."""
    remember(conn, _NAME, _written(Place(moment, b"")))


def _written(place: Place) -> str:
    return json.dumps([place.at.isoformat(), place.id.hex()])
