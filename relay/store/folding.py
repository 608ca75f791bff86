"""Counting what was observed: the folder, and what it writes (relay/store/history.py says why it runs apart).

weight = sum over messages of 2^(-age / 60 days), as of ``last_at``

Who has not been heard of for years is a stranger again: `faded` finds those counters, `forget` removes them.

Weights, moments and the counts of senders are read by nobody yet. They are what unfamiliar recipients will be scored
by, and a history that was not counted cannot be had back.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Integer, Table, bindparam, literal, select, text

from relay.store.history import ORGANISATION, SENT, UNFOLDED, hashes
from relay.store.prepared import Prepared, PreparedForKeys, insertion
from relay.store.tables import Observation, Pair, SenderCount

_OBSERVATION: Table = cast("Any", Observation).__table__
_PAIR: Table = cast("Any", Pair).__table__
_SENDER: Table = cast("Any", SenderCount).__table__
COUNTERS = (_PAIR, _SENDER)
_HALF_LIFE = timedelta(days=60)
_FOLDER_LOCK = 0x4C4C4D32

_WAITS = Prepared(select(_OBSERVATION.c.seq).where(UNFOLDED).limit(1))
_ALONE = Prepared(text("SELECT pg_try_advisory_xact_lock(:lock)"))
_IN_TURN = Prepared(text("SELECT pg_advisory_xact_lock(:lock)"))
_OLDEST = Prepared(
    select(_OBSERVATION.c.seq, _OBSERVATION.c.at, _OBSERVATION.c.kind, _OBSERVATION.c.sender, _OBSERVATION.c.data)
    .where(UNFOLDED)
    .order_by(_OBSERVATION.c.seq)
    .limit(bindparam("most", type_=Integer))
)
_MARK = Prepared(_OBSERVATION.update().where(_OBSERVATION.c.seq == bindparam("number")).values(folded=literal(True)))
_PAIRS = PreparedForKeys(
    lambda others: select(*_PAIR.columns).where(_PAIR.c.sender == bindparam("party"), _PAIR.c.recipient.in_(others))
)
_INSERT_PAIR = insertion(_PAIR, tuple(column.name for column in _PAIR.columns))
_UPDATE_PAIR = Prepared(
    _PAIR.update()
    .where(_PAIR.c.sender == bindparam("of_sender"), _PAIR.c.recipient == bindparam("of_recipient"))
    .values({name: bindparam(f"new_{name}") for name in ("sent", "received", "weight", "first_at", "last_at")})
)
_SENDERS = PreparedForKeys(lambda senders: select(*_SENDER.columns).where(_SENDER.c.sender.in_(senders)))
_INSERT_SENDER = insertion(_SENDER, tuple(column.name for column in _SENDER.columns))
_UPDATE_SENDER = Prepared(
    _SENDER.update()
    .where(_SENDER.c.sender == bindparam("of_sender"))
    .values({name: bindparam(f"new_{name}") for name in ("messages", "contacts", "last_at")})
)


class _Pair(NamedTuple):
    """A row of the table."""

    sender: bytes
    recipient: bytes
    sent: float
    received: float
    weight: float
    first_at: datetime
    last_at: datetime


class _Sender(NamedTuple):
    """A row of the table."""

    sender: bytes
    messages: int
    contacts: int
    last_at: datetime


@dataclass(slots=True)
class _Tally:
    """What a batch adds to one pair."""

    sent: int = 0
    received: int = 0
    times: list[datetime] = field(default_factory=list)  # of what was sent: these make the weight
    seen: list[datetime] = field(default_factory=list)

    def count(self, kind: int, at: datetime) -> None:
        """Add one message."""
        self.seen.append(at)
        if kind == SENT:
            self.sent += 1
            self.times.append(at)
        else:
            self.received += 1


def waits_to_be_folded(connection: Connection) -> bool:
    """Tell whether there is anything to count."""
    return bool(_WAITS.rows(connection, {}))


def fold(connection: Connection, limit: int = 1000, organisation: bytes = ORGANISATION) -> int:
    """Count up to ``limit`` observations, each exactly once; return how many. Call it under a duty of its own.

    Counting and the mark that it is done are one transaction. Order does not matter: a weight is a sum.
    """
    # SQLite has one writer anyhow. On PostgreSQL a second folder, whose lease lapsed while it was at work, stands back.
    if connection.dialect.name == "postgresql" and _ALONE.rows(connection, {"lock": _FOLDER_LOCK}) != [(True,)]:
        return 0
    rows = _OLDEST.rows(connection, {"most": limit})
    if not rows:
        return 0
    pairs: dict[tuple[bytes, bytes], _Tally] = defaultdict(_Tally)
    senders: dict[bytes, list[datetime]] = defaultdict(list)
    for _, at, kind, sender, data in rows:
        if kind == SENT:
            senders[sender].append(at)
        for one in hashes(data):
            inside, outside = (sender, one) if kind == SENT else (one, sender)
            for party in (inside, organisation):
                pairs[party, outside].count(kind, at)
    contacts = _write_pairs(connection, pairs)
    _write_senders(connection, senders, contacts)
    _MARK.many(connection, [{"number": row[0]} for row in rows])
    return len(rows)


def faded(connection: Connection, counters: Table, before: datetime, most: int) -> list[tuple[bytes, ...]]:
    """Return the keys of up to ``most`` rows of one of ``COUNTERS`` to which nothing was added since that moment.

    No index leads there, because every message would have to keep it: this reads the table from end to end.
    """
    found = select(*counters.primary_key).where(counters.c.last_at < before).limit(most)
    return [tuple(row) for row in connection.execute(found)]


def forget(connection: Connection, counters: Table, keys: Sequence[tuple[bytes, ...]], before: datetime) -> int:
    """Remove those of the rows to which nothing was added meanwhile either; return how many ``keys`` there were."""
    if connection.dialect.name == "postgresql":
        # The folder changes rows that it has read before: were one gone then, a message would not be counted.
        _IN_TURN.rows(connection, {"lock": _FOLDER_LOCK})
    names = [f"of_{column.name}" for column in counters.primary_key]
    this_one = [column == bindparam(name) for column, name in zip(counters.primary_key, names, strict=True)]
    connection.execute(
        counters.delete().where(*this_one, counters.c.last_at < before),
        [dict(zip(names, key, strict=True)) for key in keys],
    )
    return len(keys)


def decayed(weight: float, since: timedelta) -> float:
    """Return what a weight is worth after a time: half after 60 days (Gmail's and our measure of recency)."""
    return float(weight * 2.0 ** (-(since / _HALF_LIFE)))


def _write_pairs(connection: Connection, tallies: dict[tuple[bytes, bytes], _Tally]) -> dict[bytes, int]:
    """Add the tallies to the counters; return how many new contacts each sender got."""
    new_contacts: dict[bytes, int] = defaultdict(int)
    keys = sorted(tallies)  # always the same order, so that two transactions never lock each other's rows
    before = _pairs(connection, keys)
    inserts, updates = [], []
    for key in keys:
        old = before.get(key)
        row = _added(key, tallies[key], old)
        if tallies[key].sent and not (old and old.sent):
            new_contacts[key[0]] += 1
        if old is None:
            inserts.append(row._asdict())
        else:
            updates.append(_changed(row, 2))
    _INSERT_PAIR.many(connection, inserts)
    _UPDATE_PAIR.many(connection, updates)
    return new_contacts


def _pairs(connection: Connection, keys: Iterable[tuple[bytes, bytes]]) -> dict[tuple[bytes, bytes], _Pair]:
    # Party by party: SQLite reads the whole table for (sender, recipient) IN (...).
    others: dict[bytes, list[bytes]] = defaultdict(list)
    for party, other in keys:
        others[party].append(other)
    found = (row for party, some in others.items() for row in _PAIRS.rows(connection, some, {"party": party}))
    return {(row[0], row[1]): _Pair(*row) for row in found}


def _added(key: tuple[bytes, bytes], tally: _Tally, old: _Pair | None) -> _Pair:
    first, last = min(tally.seen), max(tally.seen)
    if old is None:
        old = _Pair(*key, 0.0, 0.0, 0.0, first, last)
    first, last = min(first, old.first_at), max(last, old.last_at)
    weight = sum(decayed(1.0, last - at) for at in tally.times) + decayed(old.weight, last - old.last_at)
    return _Pair(*key, old.sent + tally.sent, old.received + tally.received, weight, first, last)


def _write_senders(connection: Connection, senders: dict[bytes, list[datetime]], contacts: dict[bytes, int]) -> None:
    keys = sorted(senders)
    before = {row[0]: _Sender(*row) for row in _SENDERS.rows(connection, keys)}
    inserts, updates = [], []
    for sender in keys:
        last = max(senders[sender])
        old = before.get(sender, _Sender(sender, 0, 0, last))
        messages, more = old.messages + len(senders[sender]), contacts.get(sender, 0)
        row = _Sender(sender, messages, old.contacts + more, max(last, old.last_at))
        if sender in before:
            updates.append(_changed(row, 1))
        else:
            inserts.append(row._asdict())
    _INSERT_SENDER.many(connection, inserts)
    _UPDATE_SENDER.many(connection, updates)


def _changed(row: _Pair | _Sender, keys: int) -> dict[str, Any]:
    """Return the values of an update: the first columns of a row say which it is, the others are new."""
    named = list(row._asdict().items())
    return {f"of_{name}": value for name, value in named[:keys]} | {
        f"new_{name}": value for name, value in named[keys:]
    }
