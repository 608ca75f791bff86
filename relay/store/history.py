"""Who wrote to whom. A message's commit appends one observation; a folder counts them later, in batches.

Counting (relay/store/folding.py) inside the message's own commit costs several times as much and makes all workers
wait for the rows of busy senders (measured). Judging therefore reads the counters and adds the observations of this
sender that are not yet counted. The organisation's sums lag by the folder's pause, about a second.

    data = recipients' keyed hashes, 16 bytes each
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, select, text

from policies.model import Acquaintance
from relay.store.batch import insert_later
from relay.store.prepared import PreparedForKeys
from relay.store.tables import Observation, Pair
from relay.store.types import Bytes

_OBSERVATION: Table = cast("Any", Observation).__table__
_PAIR: Table = cast("Any", Pair).__table__
ORGANISATION = bytes(16)  # the party that stands for everybody inside; no keyed hash is all zero
HASH = 16
SENT, RECEIVED = 1, 2
UNFOLDED = text("NOT folded")  # spelt as in the partial indices, so that SQLite uses them
_MANY = 256  # keys in one statement
_AUTHOR, _ALL = bindparam("author", type_=Bytes), bindparam("organisation", type_=Bytes)
_COUNTS = PreparedForKeys(
    lambda people: select(_PAIR.c.sender, _PAIR.c.recipient, _PAIR.c.sent, _PAIR.c.received).where(
        _PAIR.c.sender.in_([_AUTHOR, _ALL]), _PAIR.c.recipient.in_(people)
    )
)
_TAIL = PreparedForKeys(
    lambda people: select(_OBSERVATION.c.kind, _OBSERVATION.c.sender, _OBSERVATION.c.data).where(
        UNFOLDED, _OBSERVATION.c.sender.in_([_AUTHOR, *people])
    ),
    most=_MANY,
)


def observe_sent(connection: Connection, at: datetime, sender: bytes, recipients: Sequence[bytes]) -> None:
    """Note that ``sender`` (inside) wrote to ``recipients``; keyed hashes of 16 bytes. One row."""
    _observe(connection, at, SENT, sender, recipients)


def observe_received(connection: Connection, at: datetime, sender: bytes, recipients: Sequence[bytes]) -> None:
    """Note that ``sender`` (outside) wrote to ``recipients`` (inside)."""
    _observe(connection, at, RECEIVED, sender, recipients)


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
            _add_uncounted(known, kind, writer, list(hashes(others)), sender=sender, asked=asked)
    return {recipient: Acquaintance(*counts) for recipient, counts in known.items()}


def _observe(connection: Connection, at: datetime, kind: int, sender: bytes, recipients: Sequence[bytes]) -> None:
    if recipients:
        row = {"at": at, "kind": kind, "sender": sender, "data": b"".join(recipients), "folded": False}
        insert_later(connection, _OBSERVATION, [row])


def hashes(data: bytes) -> Iterable[bytes]:
    """Return the keyed hashes that an observation holds, one after the other."""
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
    if kind == SENT and writer == sender:
        for one in asked.intersection(others):
            _add(known, one, 1, 0, 1)
    elif kind == RECEIVED and writer in asked:
        _add(known, writer, 0, sender in others, len(others))
