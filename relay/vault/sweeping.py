"""Sweeping what nobody needs any more: old rows, and files in the blob store that nothing refers to.

Each function removes one small batch in the transaction it is called in and returns how many rows went, so that a
sweep never holds the writer up.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, select

from relay.fail_points import reached
from relay.store.folding import COUNTERS, faded, forget
from relay.store.remembered import remember, remembered
from relay.store.tables import (
    Code,
    Conversation,
    Decision,
    Entry,
    Hold,
    Key,
    MachineThread,
    MessageRead,
    Observation,
    Participant,
    PortalRequest,
    QueuedMessage,
    Sealed,
    Spool,
    Thread,
    Throttle,
    Visit,
)
from relay.store.tables.queue import OPEN
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault.blobs import BlobStore

T = TypeVar("T")
BATCH = 200
_FADED = 5000  # counters found by one look
_WALKED, _COUNTERS_WALKED = "blobs walked", "counters walked"


def _table(model: Any) -> Table:
    return cast("Table", model.__table__)


_CODE, _VISIT, _THROTTLE, _REQUEST = map(_table, (Code, Visit, Throttle, PortalRequest))
_MESSAGE, _ENTRY, _SPOOL, _DECISION = map(_table, (QueuedMessage, Entry, Spool, Decision))
_SEALED, _CONVERSATION, _PARTICIPANT, _KEY = map(_table, (Sealed, Conversation, Participant, Key))
_READ, _THREAD, _MACHINE = map(_table, (MessageRead, Thread, MachineThread))
_OBSERVATION, _HOLD = map(_table, (Observation, Hold))


def old_codes(connection: Connection, before: datetime) -> int:
    """Remove codes that ended before that moment."""
    return _some(connection, _CODE, _CODE.c.id, _CODE.c.expires_at < before)


def old_visits(connection: Connection, before: datetime) -> int:
    """Remove visits that began before that moment."""
    return _some(connection, _VISIT, _VISIT.c.id, _VISIT.c.created_at < before)


def old_throttles(connection: Connection, before: datetime) -> int:
    """Remove counters whose window ended before that moment."""
    return _some(connection, _THROTTLE, _THROTTLE.c.bucket, _THROTTLE.c.until < before)


def old_requests(connection: Connection, before: datetime) -> int:
    """Remove requests of the portal that nobody carried out."""
    return _some(connection, _REQUEST, _REQUEST.c.id, _REQUEST.c.created_at < before)


def old_messages(connection: Connection, before: datetime) -> int:
    """Remove queue rows of messages accepted before that moment, all of whose copies have come to their end."""
    unfinished = exists().where(
        _ENTRY.c.message_id == _MESSAGE.c.id, _ENTRY.c.state.in_([state.value for state in OPEN])
    )
    kept = exists().where(_SPOOL.c.message_id == _MESSAGE.c.id)
    ids = list(
        connection.execute(
            select(_MESSAGE.c.id)
            .where(_MESSAGE.c.accepted_at < before, ~unfinished, ~kept)
            .order_by(_MESSAGE.c.accepted_at)
            .limit(BATCH)
        ).scalars()
    )
    if ids:
        for table in (_ENTRY, _HOLD):
            connection.execute(delete(table).where(table.c.message_id.in_(ids)))
        connection.execute(delete(_MESSAGE).where(_MESSAGE.c.id.in_(ids)))
    return len(ids)


def old_machine_threads(connection: Connection, before: datetime) -> int:
    """Remove, a day at a time, which conversations a machine's mail joined on days before that moment's."""
    oldest = select(func.min(_MACHINE.c.day)).where(_MACHINE.c.day < f"{before.astimezone(UTC):%Y-%m-%d}")
    return connection.execute(delete(_MACHINE).where(_MACHINE.c.day == oldest.scalar_subquery())).rowcount


def old_decisions(connection: Connection, before: datetime) -> int:
    """Remove what was decided before that moment; whole messages."""
    return _some(connection, _DECISION, _DECISION.c.message_id, _DECISION.c.at < before)


def old_observations(connection: Connection, before: datetime) -> int:
    """Remove counted observations from before that moment; the counters stay."""
    found = connection.execute(
        select(_OBSERVATION.c.seq, _OBSERVATION.c.at, _OBSERVATION.c.folded).order_by(_OBSERVATION.c.seq).limit(BATCH)
    ).all()
    seqs = [row.seq for row in found if row.folded and row.at < before]
    if seqs:
        connection.execute(delete(_OBSERVATION).where(_OBSERVATION.c.seq.in_(seqs)))
    return len(seqs)


def old_conversations(connection: Connection, before: datetime) -> int:
    """Remove what is left of conversations whose last message expired before that moment."""
    younger = _SEALED.alias()
    alive = exists().where(younger.c.conversation_id == _SEALED.c.conversation_id, younger.c.expires_at >= before)
    ids = list(
        connection.execute(
            select(_SEALED.c.conversation_id)
            .where(_SEALED.c.state == SealedState.DESTROYED.value, _SEALED.c.expires_at < before, ~alive)
            .distinct()
            .limit(BATCH // 4)  # each has a dozen rows, far apart in seven tables
        ).scalars()
    )
    if ids:
        of_these = select(_SEALED.c.id).where(_SEALED.c.conversation_id.in_(ids))
        connection.execute(delete(_READ).where(_READ.c.message_id.in_(of_these)))
        for table in (_SEALED, _KEY, _PARTICIPANT, _THREAD, _MACHINE):
            connection.execute(delete(table).where(table.c.conversation_id.in_(ids)))
        connection.execute(delete(_CONVERSATION).where(_CONVERSATION.c.id.in_(ids)))
    return len(ids)


def purge(store: Store, blobs: BlobStore) -> int:
    """Remove the files of doomed blobs and then their rows; return how many."""
    total = 0
    while ids := _read(store, lambda connection: journal.doomed(connection, BATCH)):
        for blob_id in ids:
            blobs.remove(blob_id)
        store.run(partial(journal.gone, blob_ids=ids))
        reached("retention: blobs purged")
        total += len(ids)
    return total


def sweep_orphans(store: Store, blobs: BlobStore, before: datetime, now: datetime) -> int:
    """Remove blobs that were begun before ``before`` and never finished, and once a day files without a row."""
    total = 0
    while ids := _read(store, lambda connection: journal.abandoned(connection, before, BATCH)):
        store.run(partial(journal.give_up, blob_ids=ids, now=now))
        total += purge(store, blobs)
    if store.run(partial(_walk_is_due, name=_WALKED, now=now)):
        found = blobs.older_than(before)
        while some := list(islice(found, BATCH)):
            for blob_id in _unknown(store, some):
                blobs.remove(blob_id)
                total += 1
    return total


def sweep_counters(store: Store, before: datetime, now: datetime) -> int:
    """Once a day, remove what was counted of people who have not exchanged mail since ``before``; return how many rows.

    Found by readers, who keep nobody from writing; removed in small transactions.
    """
    total = 0
    for table in COUNTERS if store.run(partial(_walk_is_due, name=_COUNTERS_WALKED, now=now)) else ():
        while keys := _read(store, partial(faded, counters=table, before=before, most=_FADED)):
            for start in range(0, len(keys), BATCH):
                some = keys[start : start + BATCH]
                total += store.run(partial(forget, counters=table, keys=some, before=before))
    return total


def _some(connection: Connection, table: Table, key: ColumnElement[Any], condition: ColumnElement[bool]) -> int:
    found = list(connection.execute(select(key).where(condition).limit(BATCH)).scalars())
    if found:
        connection.execute(delete(table).where(key.in_(found)))
    return len(found)


def _read(store: Store, query: Callable[[Connection], list[T]]) -> list[T]:
    with store.read() as connection:
        return query(connection)


def _unknown(store: Store, blob_ids: Sequence[bytes]) -> list[bytes]:
    return _read(store, lambda connection: journal.unknown(connection, blob_ids))


def _walk_is_due(connection: Connection, name: str, now: datetime) -> bool:
    row = remembered(connection, name)
    if row is not None and abs(now - datetime.fromisoformat(row)) < timedelta(days=1):
        return False
    remember(connection, name, now.isoformat())
    # A database that was only just made knows of no blob: whoever must restore the right one has a day for it.
    return row is not None
