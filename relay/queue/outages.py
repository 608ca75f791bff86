"""Next hops that cannot be used: what the log says of one, and the routes by which nothing leaves any more.

A single mail that is put off is no trouble of the gateway. That none leaves is, however far off its next try stands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, func, or_, select

from relay.clock import monotonic
from relay.config.values import Endpoint
from relay.queue.exchangers import Hop
from relay.queue.outcomes import Answer
from relay.queue.session import CLOSING, NOT_SIGNED_IN
from relay.store.tables import Entry, QueuedMessage
from relay.store.tables.queue import EntryState

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_log = structlog.get_logger()


class Outages:
    """The next hops of relay.toml that one process cannot use: a line when it begins, and one when it is over.

    Those that the DNS names are the world's, and a dead one is nobody's trouble here.
    """

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._since: dict[Hop, float] = {}

    def begun(self, hop: Hop, answer: Answer) -> None:
        """Note that a next hop could not be used, with what it said."""
        if isinstance(hop, Endpoint) and hop not in self._since:
            self._since[hop] = self._seconds()
            _log.warning(
                "next hop cannot be used",
                next_hop=str(hop),
                code=answer.code,
                status=answer.enhanced,
                reason=answer.text if not answer.code else "",  # what a next hop says may name people
            )

    def over(self, hop: Hop) -> None:
        """Note that it answered a message."""
        if self._since and hop in self._since:
            seconds = round(self._seconds() - self._since.pop(hop))
            _log.warning("next hop can be used again", next_hop=str(hop), after_seconds=seconds)


@dataclass(frozen=True, slots=True)
class Standstill:
    """A route by which nothing leaves: how many entries wait for a next hop, and for how long the oldest does."""

    route: str
    entries: int
    oldest: timedelta


def standstills(conn: Connection, routes: Sequence[str], now: datetime, after: timedelta) -> tuple[Standstill, ...]:
    """Return those of the routes where mail has waited for ``after`` without a next hop that could be used.

    That is: the last try ended without an answer, or with one that was meant for all mail, and nothing that was
    accepted within that time has left.
    """
    no_hop = or_(_ENTRY.c.last_code.is_(None), _ENTRY.c.last_code.in_((CLOSING, NOT_SIGNED_IN)))
    tried = (_ENTRY.c.attempts > 0, _ENTRY.c.last_reply.is_not(None))  # without words: its row could not be read
    waiting = (
        select(_ENTRY.c.route, func.count(), func.min(_ENTRY.c.created_at))
        .where(_ENTRY.c.state == EntryState.DUE.value, _ENTRY.c.route.in_(routes), *tried, no_hop)
        .group_by(_ENTRY.c.route)
        .order_by(_ENTRY.c.route)
    )
    return tuple(
        Standstill(route, entries, now - oldest)
        for route, entries, oldest in conn.execute(waiting).all()
        if now - oldest >= after and not _leaves(conn, route, now - after)
    )


def _leaves(conn: Connection, route: str, since: datetime) -> bool:
    """Tell whether something accepted since a moment was handed over on a route."""
    handed_over = (_ENTRY.c.route == route, _ENTRY.c.state == EntryState.DONE.value)
    found = (
        select(_ENTRY.c.id)
        .join(_MESSAGE, _MESSAGE.c.id == _ENTRY.c.message_id)
        .where(_MESSAGE.c.accepted_at > since, *handed_over)
        .limit(1)
    )
    return conn.execute(found).first() is not None
