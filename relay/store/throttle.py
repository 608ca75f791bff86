"""How often something may happen, counted in the database for all processes and machines together (R16, R34).

Two ways of counting, in the one table ``throttle``, under keyed hashes of what is limited. `Throttles.take` counts in
fixed windows: cheap for large limits. `Throttles.note` gives each event a row for as long as it counts, so that no
moment sees more than the limit: for small ones. A restart forgets nothing. A row whose end lies further ahead than its
window is long was written under a clock that was wrong, and is over. The sweep deletes rows that have ended
(relay/vault/sweeping.py).
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, not_, select
from sqlalchemy.dialects import postgresql, sqlite

from relay.errors import RefusedError
from relay.store.tables import Throttle

_TABLE = Throttle.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` in each ``window``; ``name`` keeps the counters of different limits apart."""

    name: str
    count: int
    window: timedelta


class ThrottledError(RefusedError):
    """A limit is reached. ``until`` is when its window ends. Raised inside a transaction, it undoes the counting."""

    def __init__(self, limit: Limit, until: datetime) -> None:
        super().__init__(f"The limit {limit.name} is reached until {until:%H:%M} UTC.")
        self.limit = limit
        self.until = until


@dataclass(frozen=True, slots=True)
class Throttles:
    """Counts. ``keyed_hash`` turns a label and a text into 16 bytes that say nothing without the key."""

    keyed_hash: Callable[[str, str], bytes]

    def take(self, conn: Connection, uses: Sequence[tuple[Limit, str]], now: datetime) -> None:
        """Count one use against each limit of each subject; raise ThrottledError when one of them is over.

        Call it inside a transaction that the error rolls back: refused uses do not count.
        """
        # Always in one order: two portals that count the same rows must not wait for each other.
        for limit, subject in sorted(uses, key=lambda use: use[0].name):
            count, until = self._count(conn, limit, subject, now)
            if count > limit.count:
                raise ThrottledError(limit, until)

    def forget(self, conn: Connection, limit: Limit, subject: str) -> None:
        """Begin the window of one limit anew for a subject."""
        conn.execute(delete(_TABLE).where(_TABLE.c.bucket == self._bucket(limit, subject)))

    def note(self, conn: Connection, limit: Limit, subject: str, now: datetime) -> int | None:
        """Note one event, which counts for exactly one window from now. Writes; call it in a transaction.

        Returns how many more fit. None, and nothing is noted, when as many as the limit allows count already.
        """
        buckets = self._places(limit, subject)
        taken = set(conn.scalars(select(_TABLE.c.bucket).where(_TABLE.c.bucket.in_(buckets), _runs(limit, now))))
        for number, bucket in enumerate([one for one in buckets if one not in taken], len(taken) + 1):
            statement = _insert(conn, bucket, now + limit.window)
            # Somebody else may have taken this place since we looked.
            mine = statement.on_conflict_do_update(
                index_elements=["bucket"],
                set_={"count": 1, "until": statement.excluded.until},
                where=not_(_runs(limit, now)),
            ).returning(_TABLE.c.bucket)
            if conn.execute(mine).first() is not None:
                return limit.count - number
        return None

    def reached(self, conn: Connection, limit: Limit, subject: str, now: datetime) -> bool:
        """Say whether as many events as the limit allows were noted within the last window. Only reads."""
        noted = and_(_TABLE.c.bucket.in_(self._places(limit, subject)), _runs(limit, now))
        return conn.execute(select(func.count()).where(noted)).scalar_one() >= limit.count

    def _bucket(self, limit: Limit, subject: str) -> bytes:
        return self.keyed_hash(f"throttle {limit.name}", subject)

    def _places(self, limit: Limit, subject: str) -> list[bytes]:
        return [self.keyed_hash(f"throttle {limit.name} {number}", subject) for number in range(limit.count)]

    def _count(self, conn: Connection, limit: Limit, subject: str, now: datetime) -> tuple[int, datetime]:
        statement = _insert(conn, self._bucket(limit, subject), now + limit.window)
        running = _runs(limit, now)
        counted = statement.on_conflict_do_update(
            index_elements=["bucket"],
            set_={
                "count": case((running, _TABLE.c.count + 1), else_=1),
                "until": case((running, _TABLE.c.until), else_=statement.excluded.until),
            },
        ).returning(_TABLE.c.count, _TABLE.c.until)
        count, until = conn.execute(counted).one()
        return count, until


def _insert(conn: Connection, bucket: bytes, until: datetime) -> Any:
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    return dialect.insert(_TABLE).values(bucket=bucket, count=1, until=until)


def _runs(limit: Limit, now: datetime) -> ColumnElement[bool]:
    return and_(_TABLE.c.until > now, _TABLE.c.until <= now + limit.window)


def network_of(client: str) -> str:
    """Return what counts as one client: an IPv4 address, the /64 of an IPv6 address, or the text itself."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
