"""Who wrote to whom. A message's commit appends one observation; a folder counts them later, in batches.

Counting inside the message's own commit costs several times as much and makes all workers wait for the rows of busy
senders (measured). Judging therefore reads the counters and adds the observations of this sender that are not yet
counted. The organisation's sums lag by the folder's pause, about a second.

    data   = recipients' keyed hashes, 16 bytes each
    weight = sum over messages of 2^(-age / 60 days), as of ``last_at``
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, and_, bindparam, column, select, text, values

from policies.model import Acquaintance
from relay.store.batch import insert_later
from relay.store.prepared import PreparedForKeys
from relay.store.tables import Observation, Pair, SenderCount
from relay.store.types import Bytes

_OBSERVATION: Table = cast("Any", Observation).__table__
_PAIR: Table = cast("Any", Pair).__table__
_SENDER: Table = cast("Any", SenderCount).__table__
ORGANISATION = bytes(16)  # the party that stands for everybody inside; no keyed hash is all zero
HASH = 16
_SENT, _RECEIVED = 1, 2
_HALF_LIFE = timedelta(days=60)
_UNFOLDED = text("NOT folded")  # spelt as in the partial indices, so that SQLite uses them
_MANY = 256  # keys in one statement
_AUTHOR, _ALL = bindparam("author", type_=Bytes), bindparam("organisation", type_=Bytes)
_COUNTS = PreparedForKeys(
    lambda people: select(_PAIR.c.sender, _PAIR.c.recipient, _PAIR.c.sent, _PAIR.c.received).where(
        _PAIR.c.sender.in_([_AUTHOR, _ALL]), _PAIR.c.recipient.in_(people)
    )
)
_TAIL = PreparedForKeys(
    lambda people: select(_OBSERVATION.c.kind, _OBSERVATION.c.sender, _OBSERVATION.c.data).where(
        _UNFOLDED, _OBSERVATION.c.sender.in_([_AUTHOR, *people])
    ),
    most=_MANY,
)
_FOLDER_LOCK = 0x4C4C4D32


@dataclass(frozen=True, slots=True)
class SenderHistory:
    """How much a sender has written: too little is nothing to judge by."""

    messages: int
    contacts: int


@dataclass(slots=True)
class _Tally:
    """What a batch adds to one pair."""

    sent: int = 0
    received: int = 0
    times: list[datetime] = field(default_factory=list)  # of what was sent: these make the weight
    seen: list[datetime] = field(default_factory=list)


def observe_sent(connection: Connection, at: datetime, sender: bytes, recipients: Sequence[bytes]) -> None:
    """Note that ``sender`` (inside) wrote to ``recipients``; keyed hashes of 16 bytes. One row."""
    _observe(connection, at, _SENT, sender, recipients)


def observe_received(connection: Connection, at: datetime, sender: bytes, recipients: Sequence[bytes]) -> None:
    """Note that ``sender`` (outside) wrote to ``recipients`` (inside)."""
    _observe(connection, at, _RECEIVED, sender, recipients)


def acquaintances(
    connection: Connection,
    sender: bytes,
    recipients: Sequence[bytes],
    organisation: bytes = ORGANISATION,
    *,
    exact: bool = True,
) -> dict[bytes, Acquaintance]:
    """Return what is known between ``sender`` and each of ``recipients``; those without any history are left out.

    Indexed look-ups, whatever the size of the history: the counters, and what is not yet counted of this sender and
    from these recipients. Unless ``exact``, that tail is only read for those whom the counters do not show as familiar
    with the sender: for others it would change how often, not whether, and a busy sender has hundreds of rows there.
    """
    known: dict[bytes, list[float]] = {}
    wanted = tuple(dict.fromkeys(recipients))
    parties = {"author": sender, "organisation": organisation}
    for party, other, sent, received in _COUNTS.rows(connection, wanted, parties):
        if party == sender:
            _add(known, other, sent, received, 0)
        else:
            _add(known, other, 0, 0, sent + received)
    if not exact:
        wanted = tuple(one for one in wanted if one not in known or not any(known[one][:2]))
    for start in range(0, len(wanted), _MANY):
        some = wanted[start : start + _MANY]
        asked = set(some)
        for kind, writer, others in _TAIL.rows(connection, some, {"author": sender}):
            _add_uncounted(known, kind, writer, list(_hashes(others)), sender=sender, asked=asked)
    return {recipient: Acquaintance(*counts) for recipient, counts in known.items()}


def sender_history(connection: Connection, sender: bytes) -> SenderHistory:
    """Return how much ``sender`` has written so far, without what is not yet counted."""
    row = connection.execute(select(_SENDER.c.messages, _SENDER.c.contacts).where(_SENDER.c.sender == sender)).first()
    return SenderHistory(0, 0) if row is None else SenderHistory(row.messages, row.contacts)


def waits_to_be_folded(connection: Connection) -> bool:
    """Tell whether there is anything to count."""
    return connection.execute(select(_OBSERVATION.c.seq).where(_UNFOLDED).limit(1)).first() is not None


def fold(connection: Connection, limit: int = 1000, organisation: bytes = ORGANISATION) -> int:
    """Count up to ``limit`` observations, each exactly once; return how many. Call it under a duty of its own.

    Counting and the mark that it is done are one transaction. Order does not matter: a weight is a sum.
    """
    if connection.dialect.name == "postgresql":
        # SQLite has one writer anyhow. Here a second folder, whose lease lapsed while it was at work, stands back.
        alone = connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _FOLDER_LOCK})
        if not alone.scalar_one():
            return 0
    rows = connection.execute(
        select(_OBSERVATION.c.seq, _OBSERVATION.c.at, _OBSERVATION.c.kind, _OBSERVATION.c.sender, _OBSERVATION.c.data)
        .where(_UNFOLDED)
        .order_by(_OBSERVATION.c.seq)
        .limit(limit)
    ).all()
    if not rows:
        return 0
    pairs: dict[tuple[bytes, bytes], _Tally] = defaultdict(_Tally)
    senders: dict[bytes, list[datetime]] = defaultdict(list)
    for row in rows:
        if row.kind == _SENT:
            senders[row.sender].append(row.at)
        for one in _hashes(row.data):
            inside, outside = (row.sender, one) if row.kind == _SENT else (one, row.sender)
            for party in (inside, organisation):
                _count(pairs[party, outside], row.kind, row.at)
    contacts = _write_pairs(connection, pairs)
    _write_senders(connection, senders, contacts)
    connection.execute(
        _OBSERVATION.update().where(_OBSERVATION.c.seq == bindparam("number")).values(folded=True),
        [{"number": row.seq} for row in rows],
    )
    return len(rows)


def decayed(weight: float, since: timedelta) -> float:
    """Return what a weight is worth after a time: half after 60 days (Gmail's and our measure of recency)."""
    return float(weight * 2.0 ** (-(since / _HALF_LIFE)))


def _observe(connection: Connection, at: datetime, kind: int, sender: bytes, recipients: Sequence[bytes]) -> None:
    if recipients:
        row = {"at": at, "kind": kind, "sender": sender, "data": b"".join(recipients), "folded": False}
        insert_later(connection, _OBSERVATION, [row])


def _hashes(data: bytes) -> Iterable[bytes]:
    return (data[place : place + HASH] for place in range(0, len(data), HASH))


def _add(known: dict[bytes, list[float]], recipient: bytes, sent: float, received: float, organisation: float) -> None:
    counts = known.setdefault(recipient, [0.0, 0.0, 0.0])
    counts[0] += sent
    counts[1] += received
    counts[2] += organisation


def _add_uncounted(
    known: dict[bytes, list[float]], kind: int, writer: bytes, others: list[bytes], *, sender: bytes, asked: set[bytes]
) -> None:
    """Add one observation: what ``sender`` sent to somebody asked for, or what one of those sent to people inside."""
    if kind == _SENT and writer == sender:
        for one in asked.intersection(others):
            _add(known, one, 1, 0, 1)
    elif kind == _RECEIVED and writer in asked:
        _add(known, writer, 0, sender in others, len(others))


def _count(tally: _Tally, kind: int, at: datetime) -> None:
    tally.seen.append(at)
    if kind == _SENT:
        tally.sent += 1
        tally.times.append(at)
    else:
        tally.received += 1


def _write_pairs(connection: Connection, tallies: dict[tuple[bytes, bytes], _Tally]) -> dict[bytes, int]:
    """Add the tallies to the counters; return how many new contacts each sender got."""
    new_contacts: dict[bytes, int] = defaultdict(int)
    keys = sorted(tallies)  # always the same order, so that two transactions never lock each other's rows
    before = {(row.sender, row.recipient): row for row in _find_pairs(connection, keys)}
    inserts: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    for key in keys:
        tally, old = tallies[key], before.get(key)
        last = max(*tally.seen, old.last_at) if old else max(tally.seen)
        first = min(*tally.seen, old.first_at) if old else min(tally.seen)
        weight = sum(decayed(1.0, last - at) for at in tally.times)
        weight += decayed(old.weight, last - old.last_at) if old else 0.0
        sent, received = (old.sent, old.received) if old else (0.0, 0.0)
        if tally.sent and not sent:
            new_contacts[key[0]] += 1
        (updates if old else inserts).append(
            {
                "party": key[0],
                "other": key[1],
                "sent": sent + tally.sent,
                "received": received + tally.received,
                "weight": weight,
                "first_at": first,
                "last_at": last,
            }
        )
    if inserts:
        connection.execute(
            _PAIR.insert(),
            [{**row, "sender": row.pop("party"), "recipient": row.pop("other")} for row in inserts],
        )
    if updates:
        connection.execute(
            _PAIR.update()
            .where(_PAIR.c.sender == bindparam("party"), _PAIR.c.recipient == bindparam("other"))
            .values({name: bindparam(name) for name in ("sent", "received", "weight", "first_at", "last_at")}),
            updates,
        )
    return new_contacts


def _find_pairs(connection: Connection, keys: list[tuple[bytes, bytes]]) -> Iterable[Row[Any]]:
    # A join, because SQLite reads the whole table for (sender, recipient) IN (...).
    for start in range(0, len(keys), _MANY):
        wanted = (
            values(column("party", Bytes), column("other", Bytes), name="wanted")
            .data(keys[start : start + _MANY])
            .cte()
        )
        yield from connection.execute(
            select(_PAIR).join(wanted, and_(_PAIR.c.sender == wanted.c.party, _PAIR.c.recipient == wanted.c.other))
        ).all()


def _write_senders(connection: Connection, senders: dict[bytes, list[datetime]], contacts: dict[bytes, int]) -> None:
    keys = sorted(senders)
    before = {}
    for start in range(0, len(keys), _MANY):
        found = connection.execute(select(_SENDER).where(_SENDER.c.sender.in_(keys[start : start + _MANY])))
        before.update({row.sender: row for row in found.all()})
    inserts, updates = [], []
    for sender in keys:
        old = before.get(sender)
        row = {
            "messages": (old.messages if old else 0) + len(senders[sender]),
            "contacts": (old.contacts if old else 0) + contacts.get(sender, 0),
            "last_at": max([*senders[sender], *([old.last_at] if old else [])]),
        }
        if old is None:
            inserts.append({"sender": sender, **row})
        else:
            updates.append({"party": sender, **row})
    if inserts:
        connection.execute(_SENDER.insert(), inserts)
    if updates:
        changed: dict[str, Any] = {name: bindparam(name) for name in ("messages", "contacts", "last_at")}
        connection.execute(_SENDER.update().where(_SENDER.c.sender == bindparam("party")).values(changed), updates)
