"""Counters in fixed windows, kept in the table ``throttle`` under keyed hashes of what is limited (R34).

The sweep deletes windows that have ended (relay/vault/sweeping.py).
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete
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

    def _bucket(self, limit: Limit, subject: str) -> bytes:
        return self.keyed_hash(f"throttle {limit.name}", subject)

    def _count(self, conn: Connection, limit: Limit, subject: str, now: datetime) -> tuple[int, datetime]:
        dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
        row = {
            "bucket": self._bucket(limit, subject),
            "count": 1,
            "until": now + limit.window,
        }
        running = _TABLE.c.until > now
        statement = dialect.insert(_TABLE).values(row)
        counted = statement.on_conflict_do_update(
            index_elements=["bucket"],
            set_={
                "count": case((running, _TABLE.c.count + 1), else_=1),
                "until": case((running, _TABLE.c.until), else_=statement.excluded.until),
            },
        ).returning(_TABLE.c.count, _TABLE.c.until)
        count, until = conn.execute(counted).one()
        return count, until


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
