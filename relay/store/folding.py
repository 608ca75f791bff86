"""Counting what was observed: the folder, and what it writes (relay/store/history.py says why it runs apart)."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Integer, Table, bindparam, literal, select, text

from relay.store.history import ORGANISATION, SENT, UNFOLDED, hashes
from relay.store.prepared import Prepared, PreparedForKeys, insertion
from relay.store.tables import Observation, Pair

_OBSERVATION: Table = cast("Any", Observation).__table__
_PAIR: Table = cast("Any", Pair).__table__
_FOLDER_LOCK = 0x4C4C4D32

_WAITS = Prepared(select(_OBSERVATION.c.seq).where(UNFOLDED).limit(1))
_ALONE = Prepared(text("SELECT pg_try_advisory_xact_lock(:lock)"))
_OLDEST = Prepared(
    select(_OBSERVATION.c.seq, _OBSERVATION.c.kind, _OBSERVATION.c.sender, _OBSERVATION.c.data)
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
    .values(sent=bindparam("new_sent"), received=bindparam("new_received"))
)


class _Pair(NamedTuple):
    """A row of the table."""

    sender: bytes
    recipient: bytes
    sent: float
    received: float


@dataclass(slots=True)
class _Tally:
    """What a batch adds to one pair."""

    sent: int = 0
    received: int = 0

    def count(self, kind: int) -> None:
        """Add one message."""
        if kind == SENT:
            self.sent += 1
        else:
            self.received += 1


def waits_to_be_folded(connection: Connection) -> bool:
    """Tell whether there is anything to count."""
    return bool(_WAITS.rows(connection, {}))


def fold(connection: Connection, limit: int = 1000) -> int:
    """Count up to ``limit`` observations, each exactly once; return how many. Call it under a duty of its own.

    Counting and the mark that it is done are one transaction. Order does not matter.
    """
    # SQLite has one writer anyhow. On PostgreSQL a second folder, whose lease lapsed while it was at work, stands back.
    if connection.dialect.name == "postgresql" and _ALONE.rows(connection, {"lock": _FOLDER_LOCK}) != [(True,)]:
        return 0
    rows = _OLDEST.rows(connection, {"most": limit})
    if not rows:
        return 0
    pairs: dict[tuple[bytes, bytes], _Tally] = defaultdict(_Tally)
    for _, kind, sender, data in rows:
        for one in hashes(data):
            inside, outside = (sender, one) if kind == SENT else (one, sender)
            for party in (inside, ORGANISATION):
                pairs[party, outside].count(kind)
    _write(connection, pairs)
    _MARK.many(connection, [{"number": row[0]} for row in rows])
    return len(rows)


def _write(connection: Connection, tallies: dict[tuple[bytes, bytes], _Tally]) -> None:
    """Add the tallies to the counters."""
    keys = sorted(tallies)  # always the same order, so that two transactions never lock each other's rows
    before = _pairs(connection, keys)
    inserts: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    for key in keys:
        old, tally = before.get(key), tallies[key]
        if old is None:
            inserts.append(_Pair(*key, tally.sent, tally.received)._asdict())
        else:
            sent, received = old.sent + tally.sent, old.received + tally.received
            updates.append({"of_sender": key[0], "of_recipient": key[1], "new_sent": sent, "new_received": received})
    _INSERT_PAIR.many(connection, inserts)
    _UPDATE_PAIR.many(connection, updates)


def _pairs(connection: Connection, keys: Iterable[tuple[bytes, bytes]]) -> dict[tuple[bytes, bytes], _Pair]:
    # Party by party: SQLite reads the whole table for (sender, recipient) IN (...).
    others: dict[bytes, list[bytes]] = defaultdict(list)
    for party, other in keys:
        others[party].append(other)
    found = (row for party, some in others.items() for row in _PAIRS.rows(connection, some, {"party": party}))
    return {(row[0], row[1]): _Pair(*row) for row in found}
