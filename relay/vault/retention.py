"""Expiry: what opens a message goes first and at once, its bytes next, the server key of its month at last.

One sweep, in small transactions that leave the writer to the mail in between:

    live -> expired      stanzas and wrapped key are deleted: nobody can open the message any more
    expired -> destroyed parts are deleted, blobs doomed; then their files go
    draft -> gone        a reader's unfinished answer, in one step: nobody was ever shown it
    KEK buckets          destroyed one grace period after the last moment at which a message of the month can expire
    epoch keys           destroyed when neither they nor older ones are in use
    orphans, old rows    blobs that were never finished; codes, visits, counters, finished queue rows, acquaintances

Backups: a database of an older day still holds stanzas. They are worth nothing once the bucket's key is destroyed
here and gone from the backups of the keys; see docs/sealed-format.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Table, and_, delete, exists, select, union, update

from relay.fail_points import reached
from relay.store.audit import Audit, forget_until
from relay.store.events import Event
from relay.store.tables import Hold, MessageRead, Part, PortalRequest, ReceiptPart, Sealed, Spool, Stanza
from relay.store.tables.queue import HoldState
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault import sweeping
from relay.vault.blobs import BlobStore
from relay.vault.keks import end_of_bucket
from relay.vault.keyring import Keyring
from relay.vault.pieces import remove_pieces
from relay.vault.steady import doubt
from relay.vault.sweeping import BATCH, purge, sweep_counters, sweep_orphans

_SEALED: Table = cast("Any", Sealed).__table__
_STANZA: Table = cast("Any", Stanza).__table__
_PART: Table = cast("Any", Part).__table__
_SPOOL: Table = cast("Any", Spool).__table__
_HOLD: Table = cast("Any", Hold).__table__
_RECEIPT: Table = cast("Any", ReceiptPart).__table__
_REQUEST: Table = cast("Any", PortalRequest).__table__
_READ: Table = cast("Any", MessageRead).__table__
_OPENED_BY_KEK = (SealedState.LIVE.value, SealedState.DRAFT.value)


@dataclass(frozen=True, slots=True)
class Periods:
    """How long things are kept after they ended."""

    bucket_grace: timedelta = timedelta(days=7)
    orphans: timedelta = timedelta(hours=24)
    drafts: timedelta = timedelta(hours=1)  # so that none goes while it is being handed over
    codes: timedelta = timedelta(days=1)
    visits: timedelta = timedelta(days=30)
    requests: timedelta = timedelta(days=7)
    finished_mail: timedelta = timedelta(days=30)
    machine_threads: timedelta = timedelta(days=2)  # each is for one day
    decisions: timedelta = timedelta(days=365)
    conversations: timedelta = timedelta(days=365)  # so that an old link can still say that it expired
    observations: timedelta = timedelta(days=730)
    acquaintances: timedelta = timedelta(days=1095)  # without any mail; of the weight of the last is 1 / 300,000 left
    personal_facts: timedelta = timedelta(days=365)


_PERIODS = Periods()


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did; ``doubt`` is a sentence when it did nothing because the clock is not to be believed."""

    expired: int = 0
    destroyed: int = 0
    keks: int = 0
    epochs: int = 0
    blobs: int = 0
    drafts: int = 0
    rows: int = 0
    doubt: str = ""


def sweep(store: Store, blobs: BlobStore, keyring: Keyring, audit: Audit, now: datetime) -> Swept:
    """Do everything that is due at ``now``. One process at a time should (relay/store/duties.py); two do no harm.

    Blocking; StoreError when the store does not answer: what was done stays done, the next sweep goes on.
    """
    reason = store.run(partial(doubt, now=now))
    if reason:
        return Swept(doubt=reason)
    expired = _repeat(store, partial(_expire, audit=audit, now=now))
    destroyed = _repeat(store, partial(_destroy, audit=audit, now=now))
    drafts = _repeat(store, partial(_end_drafts, before=now - _PERIODS.drafts, now=now))
    removed = purge(store, blobs) + sweep_orphans(store, blobs, now - _PERIODS.orphans, now)
    return Swept(
        expired,
        destroyed,
        _destroy_keks(store, keyring, audit, now),
        _destroy_epochs(store, keyring, now),
        removed,
        drafts,
        _sweep_rows(store, now) + sweep_counters(store, now - _PERIODS.acquaintances, now),
    )


def _expire(connection: Connection, audit: Audit, now: datetime) -> int:
    ids = list(
        connection.execute(
            select(_SEALED.c.id)
            .where(_SEALED.c.state == SealedState.LIVE.value, _SEALED.c.expires_at <= now)
            .order_by(_SEALED.c.expires_at)
            .limit(BATCH)
            .with_for_update()  # one that is being extended is looked at again when that has been written
        ).scalars()
    )
    if ids:
        connection.execute(delete(_STANZA).where(_STANZA.c.message_id.in_(ids)))
        reached("retention: stanzas deleted")
        connection.execute(
            update(_SEALED).where(_SEALED.c.id.in_(ids)).values(state=SealedState.EXPIRED.value, wrapped=b"")
        )
    for message_id in ids:
        audit.append(connection, Event.EXPIRED, message_id, at=now)
    return len(ids)


def _destroy(connection: Connection, audit: Audit, now: datetime) -> int:
    ids = list(
        connection.execute(
            select(_SEALED.c.id).where(_SEALED.c.state == SealedState.EXPIRED.value).limit(BATCH)
        ).scalars()
    )
    if ids:
        of_these = _PART.c.message_id.in_(ids)
        in_blobs = connection.execute(select(_PART.c.blob_id).where(of_these, _PART.c.blob_id.is_not(None))).scalars()
        journal.doom(connection, list(in_blobs), now)
        connection.execute(delete(_PART).where(of_these))
        reached("retention: parts deleted")
        # Nobody will read what nobody has read: its sender does not wait for that any more (the index of who does).
        was_read = exists().where(_READ.c.message_id == _SEALED.c.id)
        ended = {"state": SealedState.DESTROYED.value, "notify_read": and_(_SEALED.c.notify_read, was_read)}
        connection.execute(update(_SEALED).where(_SEALED.c.id.in_(ids)).values(ended))
    for message_id in ids:
        audit.append(connection, Event.DESTROYED, message_id, at=now)
    return len(ids)


def _end_drafts(connection: Connection, before: datetime, now: datetime) -> int:
    """Remove drafts whose time ended before that moment; what was handed over stays while the relay has its request."""
    requested = exists().where(_REQUEST.c.id == _SEALED.c.answer_id)
    ended = (_SEALED.c.state == SealedState.DRAFT.value, _SEALED.c.expires_at <= before, ~requested)
    ids = connection.execute(select(_SEALED.c.id).where(*ended).order_by(_SEALED.c.expires_at).limit(BATCH)).scalars()
    return remove_pieces(connection, list(ids), now)


def _destroy_keks(store: Store, keyring: Keyring, audit: Audit, now: datetime) -> int:
    destroyed = 0
    for kek in keyring.keks.files():
        if end_of_bucket(kek.bucket) + _PERIODS.bucket_grace > now:
            continue
        with store.read() as connection:
            needed = connection.execute(
                select(_SEALED.c.id).where(_SEALED.c.kek_id == kek.id, _SEALED.c.state.in_(_OPENED_BY_KEK)).limit(1)
            ).first()
        if needed is None:
            keyring.keks.destroy(kek)
            reached("retention: server key destroyed")
            facts = {"key": kek.name, "bucket": kek.bucket}
            store.run(partial(audit.append, event=Event.KEY_DESTROYED, facts=facts, at=now))
            destroyed += 1
    return destroyed


def _destroy_epochs(store: Store, keyring: Keyring, now: datetime) -> int:
    """Destroy epoch keys that nothing needs: no spooled mail, no question that waits, no receipt that is due."""
    named = (
        select(_SPOOL.c.epoch_id),
        select(_HOLD.c.epoch_id).where(_HOLD.c.state == HoldState.WAITING.value),
        select(_RECEIPT.c.epoch_id),
    )
    with store.read() as connection:
        in_use = frozenset(connection.execute(union(*named)).scalars())
    return keyring.destroy_unused_epochs(in_use, now)


def _sweep_rows(store: Store, now: datetime) -> int:
    duties: tuple[tuple[Callable[..., int], timedelta], ...] = (
        (sweeping.old_codes, _PERIODS.codes),
        (sweeping.old_visits, _PERIODS.visits),
        (sweeping.old_throttles, timedelta(0)),
        (sweeping.old_requests, _PERIODS.requests),
        (sweeping.old_messages, _PERIODS.finished_mail),
        (sweeping.old_machine_threads, _PERIODS.machine_threads),
        (sweeping.old_decisions, _PERIODS.decisions),
        (sweeping.old_conversations, _PERIODS.conversations),
        (sweeping.old_observations, _PERIODS.observations),
        (forget_until, _PERIODS.personal_facts),
    )
    return sum(_repeat(store, partial(work, before=now - period)) for work, period in duties)


def _repeat(store: Store, work: Callable[..., int]) -> int:
    """Run ``work`` in transactions of its own until it has nothing more to do."""
    total = 0
    while done := store.run(work):
        total += done
    return total
