"""A database that came back from a backup takes over: its queue is kept back, and what is lost is named (R49).

What the backup holds of the queue may have left since, and nobody here can know: so every entry is paused, and an
operator lets go on what is still to be sent. Whatever else would write to somebody by itself for a reason of that time
is ended: receipts that waited, codes and answers that the portal had handed over, reminders about what was unread.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Table, delete, func, select, update

from relay.conversation.silence_place import skip_until
from relay.errors import KeyringError, StoreError
from relay.queue.pauses import pause_everything
from relay.queue.recording import let_go
from relay.queue.requests import RequestKind
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import Entry, Hold, Key, Part, Participant, PortalRequest, ReceiptPart, Sealed, Spool
from relay.store.tables.queue import EntryState, HoldState
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault import progress
from relay.vault.blobs import BlobStore
from relay.vault.keks import bucket_of
from relay.vault.keyring import Keyring
from relay.vault.unfinished import give_back

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_SPOOL = Spool.__table__  # type: ignore[attr-defined]
_HOLD = Hold.__table__  # type: ignore[attr-defined]
_RECEIPT = ReceiptPart.__table__  # type: ignore[attr-defined]
_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_PART = Part.__table__  # type: ignore[attr-defined]
_READER = Participant.__table__  # type: ignore[attr-defined]
_KEY = Key.__table__  # type: ignore[attr-defined]
_AT_ONCE = 500  # messages
_WRITES = (RequestKind.CODE, RequestKind.REPLY, RequestKind.LOST_LINK)  # requests that become mail


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What there is: sealed messages that are live, entries kept back, and how many of those no key here opens.

    ``questions`` wait about held copies; ``answers`` of readers became drafts again.
    """

    messages: int
    kept_back: int
    unreadable: int
    questions: int
    answers: int


def take_over(store: Store, keyring: Keyring, audit: Audit, now: datetime) -> TakenOver:
    """Let a restored database be this installation's. Blocking; StoreError, KeyringError.

    No gateway may run on it. Calling it again does no harm, but pauses what has become due meanwhile.
    """

    def transaction(conn: Connection) -> tuple[TakenOver, int]:
        kept_back = pause_everything(conn, now)
        conn.execute(delete(_RECEIPT))
        found = TakenOver(
            _count(conn, _SEALED, SealedState.LIVE.value),
            kept_back,
            len(_unreadable(conn, keyring)),
            _count(conn, _HOLD, HoldState.WAITING.value),
            _end_requests(conn),
        )
        skip_until(conn, now)
        audit.append(conn, Event.RESTORED, facts={"kept_back": kept_back}, at=now)
        return found, progress.begin_anew(conn)

    found, number = store.run(transaction)
    progress.settle(keyring.folder, number)
    return found


def drop_unreadable(store: Store, keyring: Keyring, audit: Audit, now: datetime) -> int:
    """Take out of the queue what is paused and no key here opens; return how many entries. Nobody can be told."""

    def transaction(conn: Connection) -> int:
        rows = _unreadable(conn, keyring)
        for start in range(0, len(rows), _AT_ONCE):
            ids, messages = zip(*rows[start : start + _AT_ONCE], strict=True)
            values = {"state": EntryState.DROPPED.value, "finished_at": now, "lease_epoch": _ENTRY.c.lease_epoch + 1}
            conn.execute(update(_ENTRY).where(_ENTRY.c.id.in_(ids)).values(**values))
            for entry, message in zip(ids, messages, strict=True):
                audit.append(conn, Event.DROPPED, message, {"entry": entry.hex()}, at=now)
            let_go(conn, set(messages), now)
        return len(rows)

    return store.run(transaction)


def lost(store: Store, keyring: Keyring, blobs: BlobStore, now: datetime) -> Iterator[str]:
    """Yield a sentence for each key that something needs and that is not there, and for files of messages.

    Blocking; it asks for every file of every message that has not expired.
    """
    living = (_SEALED.c.state == SealedState.LIVE.value, _SEALED.c.expires_at > now)
    with store.read() as conn:
        keks = conn.execute(
            select(_SEALED.c.kek_id, func.count(), func.min(_SEALED.c.expires_at))
            .where(*living)
            .group_by(_SEALED.c.kek_id)
        ).all()
        versions = {
            version
            for table in (_READER, _KEY)
            for version in conn.execute(select(table.c.mac_version).distinct()).scalars()
        }
        parts = conn.execute(
            select(_PART.c.message_id, _PART.c.blob_id)
            .join(_SEALED, _SEALED.c.id == _PART.c.message_id)
            .where(*living, _PART.c.blob_id.is_not(None))
        ).all()
    for kek_id, count, expires_at in keks:
        if kek_id not in keyring.keks:
            yield f"the server key of {bucket_of(expires_at)} (id {kek_id.hex()[:12]}): {_cannot_be_opened(count)}"
    for version in sorted(versions):
        try:
            keyring.row_key(version)
        except KeyringError as error:
            yield str(error)
    without = {message for message, blob_id in parts if not _is_there(blobs, blob_id)}
    if without:
        yield f"files below storage.blobs: {_cannot_be_opened(len(without))}"


def _count(conn: Connection, table: Table, state: str) -> int:
    return conn.execute(select(func.count()).select_from(table).where(table.c.state == state)).scalar_one()


def _unreadable(conn: Connection, keyring: Keyring) -> list[tuple[bytes, bytes]]:
    """Return the paused entries, each with its message, whose spooled bytes no key here opens."""
    epochs = conn.execute(select(_SPOOL.c.epoch_id).distinct()).scalars()
    gone = [one for one in epochs if not keyring.opens_epoch(one)]
    rows = conn.execute(
        select(_ENTRY.c.id, _ENTRY.c.message_id)
        .join(_SPOOL, _SPOOL.c.message_id == _ENTRY.c.message_id)
        .where(_ENTRY.c.state == EntryState.PAUSED.value, _SPOOL.c.epoch_id.in_(gone))
    )
    return [(row.id, row.message_id) for row in rows]


def _end_requests(conn: Connection) -> int:
    """Remove requests that would become mail; return how many answers went back to their readers as drafts."""
    kinds = [kind.value for kind in _WRITES]
    rows = conn.execute(delete(_REQUEST).where(_REQUEST.c.kind.in_(kinds)).returning(_REQUEST.c.id, _REQUEST.c.kind))
    answers = [row.id for row in rows if row.kind == RequestKind.REPLY.value]
    for answer in answers:
        give_back(conn, answer)
    return len(answers)


def _is_there(blobs: BlobStore, blob_id: bytes) -> bool:
    try:
        blobs.length(blob_id)
    except StoreError:
        return False
    return True


def _cannot_be_opened(messages: int) -> str:
    return f"without it {messages} sealed {'message' if messages == 1 else 'messages'} cannot be opened"
