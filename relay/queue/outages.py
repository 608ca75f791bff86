"""Next hops that cannot be used: what the log says of one, and the routes by which nothing leaves any more.

A single mail that is put off is no trouble of the gateway. That none leaves is, however far off its next try stands.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, case, exists, func, or_, select

from relay.clock import monotonic
from relay.config.values import Endpoint
from relay.queue.exchangers import Hop
from relay.queue.outcomes import Answer
from relay.queue.session import CLOSING
from relay.store.tables import Entry, QueuedMessage
from relay.store.tables.queue import EntryState

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_TO_ALL = (CLOSING, 454)  # 454: no TLS at the moment (RFC 3207 section 4), or a relay that does not know us
_NEVER = 500  # what waits all the same was refused as a connection, not as a message
_FOR_ALL = or_(_ENTRY.c.last_code.is_(None), _ENTRY.c.last_code.in_(_TO_ALL), _ENTRY.c.last_code >= _NEVER)
_TRIED = (_ENTRY.c.attempts > 0, _ENTRY.c.last_reply.is_not(None))  # without words: its row could not be read
_MANY = 10  # entries that were put off, whatever for
_LATELY = timedelta(hours=1)
_SEVERAL = 3  # domains: one or two may be dead
_A_DAY = timedelta(days=1)
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
    """A route by which nothing leaves: how many entries were tried and wait, and for how long the oldest does."""

    route: str
    entries: int
    oldest: timedelta


def standstills(
    conn: Connection, routes: Sequence[str], by_mx: Sequence[str], now: datetime, after: timedelta
) -> tuple[Standstill, ...]:
    """Return those of the routes by which nothing leaves.

    Of ``routes``, with next hops of relay.toml: mail has waited for ``after`` whose last try ended without an answer,
    or with one that was meant for all mail, and nothing that was accepted within that time has left. Or many of the
    last hour have waited as long, and none left. Of ``by_mx``: so it is with mail of a day for several domains, and
    nothing that was accepted since has left.
    """
    waiting = (
        select(
            _ENTRY.c.route,
            func.count().label("entries"),
            func.min(_ENTRY.c.created_at).label("oldest"),
            func.min(case((_FOR_ALL, _ENTRY.c.created_at))).label("without_hop"),
            func.count(case((_ENTRY.c.created_at.between(now - _LATELY, now - after), 1))).label("of_late"),
        )
        .where(_ENTRY.c.state == EntryState.DUE.value, _ENTRY.c.route.in_([*routes, *by_mx]), *_TRIED)
        .group_by(_ENTRY.c.route)
        .order_by(_ENTRY.c.route)
    )
    found = []
    for row in conn.execute(waiting).all():
        if row.route in by_mx:
            stands = _no_domain_answers(conn, row.route, now, after)
        else:
            none_to_use = row.without_hop is not None and now - row.without_hop >= after
            stands = (none_to_use and not _leaves(conn, row.route, now - after)) or (
                row.of_late >= _MANY and not _leaves(conn, row.route, now - _LATELY)
            )
        if stands:
            found.append(Standstill(row.route, row.entries, now - row.oldest))
    return tuple(found)


def _no_domain_answers(conn: Connection, route: str, now: datetime, after: timedelta) -> bool:
    """Tell whether it is not this or that domain that cannot be reached: the way out is blocked, or no DNS answers."""
    newest = func.max(_ENTRY.c.created_at).label("newest")
    chosen = (_ENTRY.c.state == EntryState.DUE.value, _ENTRY.c.route == route, *_TRIED, _FOR_ALL)
    domains = (
        select(newest)
        .where(*chosen, _ENTRY.c.created_at.between(now - _A_DAY, now - after))
        .group_by(_ENTRY.c.domain)
        .order_by(newest.desc())
        .limit(_SEVERAL)
    )
    each = conn.execute(domains).scalars().all()
    return len(each) == _SEVERAL and not _leaves(conn, route, each[-1])


def _leaves(conn: Connection, route: str, since: datetime) -> bool:
    """Tell whether something accepted since a moment was handed over on a route."""
    # From the message to its entries, and not the other way: what was accepted of late is little.
    handed_over = exists().where(
        _ENTRY.c.message_id == _MESSAGE.c.id, _ENTRY.c.route == route, _ENTRY.c.state == EntryState.DONE.value
    )
    found = select(_MESSAGE.c.id).where(_MESSAGE.c.accepted_at > since, handed_over).limit(1)
    return conn.execute(found).first() is not None
