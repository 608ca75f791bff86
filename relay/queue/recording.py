"""Writing outcomes down, many at a time, and letting go of what nobody needs any more.

Everything happens in the caller's transaction: states, the reader's state, the audit, the report to the
sender, and the end of the spooled bytes with the last entry of their message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, literal, select, update

from relay.fail_points import reached
from relay.queue.entries import Damaged
from relay.queue.items import REPLY
from relay.queue.outcomes import Delivered
from relay.queue.settling import TO_READERS, Report, Settled
from relay.queue.spooling import Draft, insert_message
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.prepared import Prepared, PreparedForKeys
from relay.store.tables import Entry, Participant, Spool
from relay.store.tables.queue import OPEN, EntryState, Kind
from relay.store.tables.sealed import ReaderState
from relay.vault import blobs as journal
from relay.vault.keyring import Keyring

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_SPOOL = Spool.__table__  # type: ignore[attr-defined]
_READER = Participant.__table__  # type: ignore[attr-defined]

_RECORD = Prepared(
    update(_ENTRY)
    .where(
        _ENTRY.c.id == bindparam("of_id"),
        _ENTRY.c.lease_epoch == bindparam("of_epoch"),
        _ENTRY.c.state == EntryState.LEASED.value,
    )
    .values(
        state=bindparam("new_state"),
        attempts=bindparam("new_attempts"),
        due_at=bindparam("new_due_at"),
        finished_at=bindparam("new_finished_at"),
        last_code=bindparam("new_code"),
        last_reply=bindparam("new_reply"),
        lease_owner=None,
        lease_until=None,
    )
)
_WARNED = update(_ENTRY).where(_ENTRY.c.id == bindparam("of_id")).values(warned_at=bindparam("at"))
_UNFINISHED = select(1).where(
    _ENTRY.c.message_id == _SPOOL.c.message_id, _ENTRY.c.state.in_([literal(state.value) for state in OPEN])
)
_ONE_AT_A_TIME = PreparedForKeys(
    # Always in the same order, so that two relays never wait for each other.
    lambda ids: (
        select(_SPOOL.c.message_id).where(_SPOOL.c.message_id.in_(ids)).order_by(_SPOOL.c.message_id).with_for_update()
    )
)
_RELEASE = PreparedForKeys(
    lambda ids: delete(_SPOOL).where(_SPOOL.c.message_id.in_(ids), ~exists(_UNFINISHED)).returning(_SPOOL.c.blob_id)
)
_NOTIFIED = Prepared(
    update(_READER)
    .where(
        _READER.c.id == bindparam("of_id"),
        _READER.c.state.in_([literal(ReaderState.WAITING.value), literal(ReaderState.UNDELIVERABLE.value)]),
    )
    .values(state=ReaderState.NOTIFIED.value, notified_at=bindparam("at"), bounced_at=None)
)
_UNREACHED = (
    update(_READER)
    .where(
        _READER.c.id == bindparam("of_id"),
        _READER.c.state.in_((ReaderState.WAITING.value, ReaderState.NOTIFIED.value)),
    )
    .values(state=ReaderState.UNDELIVERABLE.value)
)
_BOUNCED = (
    update(_READER)
    .where(_READER.c.id == bindparam("of_id"), _READER.c.bounced_at.is_(None))
    .values(bounced_at=bindparam("at"))
)
_EVENTS = {
    EntryState.DONE: Event.DELIVERED,
    EntryState.DUE: Event.DEFERRED,
    EntryState.BOUNCED: Event.BOUNCED,
}


@dataclass(frozen=True, slots=True)
class ReportDraft:
    """A drafted report about some of the outcomes: written only when at least one of them was still ours."""

    entry_ids: frozenset[bytes]
    draft: Draft


def record(
    conn: Connection, keyring: Keyring, audit: Audit, settled: Sequence[Settled], reports: Sequence[ReportDraft] = ()
) -> None:
    """Write outcomes and reports. An outcome whose lease was lost changes nothing but the audit.

    May run again after a commit whose fate was unknown: entries that are no longer leased under their epoch
    stay as they are, and nothing is reported twice.
    """
    written = _write(conn, keyring, settled)
    reached("outcome: states written")
    for report in reports:
        if report.entry_ids & written:
            insert_message(conn, report.draft)
    for one in settled:
        _audit(conn, audit, one)
    finished = {one.consignment.message_id for one in settled if one.state is not EntryState.DUE}
    if finished:
        let_go(conn, finished, settled[0].at)


def _write(conn: Connection, keyring: Keyring, settled: Sequence[Settled]) -> set[bytes]:
    """Write entries and readers' states; return the ids of those written that may be reported."""
    quick = [one for one in settled if not _one_by_one(one)]
    written: set[bytes] = set()
    if quick:
        _RECORD.many(conn, [_row(one, keyring) for one in quick])
        notified = [_notified(one) for one in quick if _reached(one)]
        if notified:
            _NOTIFIED.many(conn, notified)
            reached("outcome: reader notified")
    for one in filter(_one_by_one, settled):
        if not _RECORD.run(conn, _row(one, keyring)):
            continue
        if _reached(one):
            _NOTIFIED.run(conn, _notified(one))
        if one.report is Report.DELAYED:
            conn.execute(_WARNED, {"of_id": one.entry.id, "at": one.at})
        if not _lost(one) or unreached(conn, one.entry.kind, one.entry.participant_id, one.at):
            written.add(one.entry.id)
    return written


def unreached(conn: Connection, kind: Kind, participant_id: bytes | None, at: datetime) -> bool:
    """Note that mail of ours did not reach a reader, and return whether the sender has to be told.

    Each notice that fails is told: it speaks of another message, or of a link that the sender asked for. Of codes and
    reminders the first is enough, however often the reader asks for another.
    """
    if participant_id is None:
        return True
    conn.execute(_UNREACHED, {"of_id": participant_id})
    first = conn.execute(_BOUNCED, {"of_id": participant_id, "at": at}).rowcount > 0
    return first or kind is Kind.NOTICE


def record_plainly(conn: Connection, settled: Sequence[Settled]) -> None:
    """Write states and nothing else: the way out when a defect keeps `record` from working."""
    _RECORD.many(conn, [_row(one, None) for one in settled])


def record_damaged(conn: Connection, damaged: Iterable[Damaged], due_at: datetime) -> None:
    """Put entries that could not be read aside until ``due_at``: they are kept for a person to look at."""
    for one in damaged:
        conn.execute(
            update(_ENTRY)
            .where(
                _ENTRY.c.id == one.entry_id,
                _ENTRY.c.lease_epoch == one.epoch,
                _ENTRY.c.state == EntryState.LEASED.value,
            )
            .values(
                state=EntryState.DUE.value,
                attempts=one.attempts + 1,
                due_at=due_at,
                lease_owner=None,
                lease_until=None,
            )
        )


def let_go(conn: Connection, message_ids: Iterable[bytes], now: datetime) -> None:
    """Delete the spooled bytes of messages that have no unfinished entry left; their blobs are doomed with them."""
    ids = sorted(message_ids)
    if conn.dialect.name == "postgresql":
        # Two relays may finish the last two entries at once, and neither sees what the other has not committed: who
        # comes second waits here, and then looks. SQLite has one writer.
        _ONE_AT_A_TIME.rows(conn, ids)
    gone = _RELEASE.rows(conn, ids)
    reached("outcome: octets let go")
    if doomed := [blob_id for (blob_id,) in gone if blob_id is not None]:
        journal.doom(conn, doomed, now)


def _row(one: Settled, keyring: Keyring | None) -> dict[str, Any]:
    finished = one.state is not EntryState.DUE
    reply = None
    if keyring is not None and not isinstance(one.outcome, Delivered):
        # What a next hop says may name people. After delivery the audit alone remembers it.
        reply = keyring.spool_seal(REPLY, one.entry.id, _words(one), at=one.at)
    return {
        "of_id": one.entry.id,
        "of_epoch": one.entry.epoch,
        "new_state": one.state.value,
        "new_attempts": one.attempts,
        "new_due_at": one.due_at or one.at,
        "new_finished_at": one.at if finished else None,
        "new_code": one.answer.code or None,
        "new_reply": reply,
    }


def _words(one: Settled) -> bytes:
    answer = one.answer
    return f"{answer.said} ({answer.next_hop})".encode()


def _one_by_one(one: Settled) -> bool:
    """Tell whether what else is written depends on the outcome having been ours to record."""
    return one.report is not None or _lost(one)


def _reached(one: Settled) -> bool:
    entry = one.entry
    return entry.kind is Kind.NOTICE and entry.participant_id is not None and one.state is EntryState.DONE


def _lost(one: Settled) -> bool:
    """Tell whether a reader will not get what was written to them; a code that only came too late is no loss."""
    if one.entry.participant_id is None or one.state is not EntryState.BOUNCED or one.entry.kind not in TO_READERS:
        return False
    return one.entry.kind is Kind.NOTICE or one.report is Report.FAILED


def _notified(one: Settled) -> dict[str, Any]:
    return {"of_id": one.entry.participant_id, "at": one.at}


def _audit(conn: Connection, audit: Audit, one: Settled) -> None:
    answer = one.answer
    facts: dict[str, str | int] = {
        "entry": one.entry.id.hex(),
        "kind": one.entry.kind.value,
        "attempt": one.attempts,
        "next_hop": answer.next_hop,
        "tls": answer.tls,
        "code": answer.code,
        "status": answer.enhanced,
    }
    if one.due_at is not None:
        facts["due_at"] = one.due_at.isoformat(timespec="seconds")
    audit.append(
        conn,
        _EVENTS[one.state],
        one.consignment.message_id,
        facts,
        {"recipient": one.entry.envelope.recipient, "reply": answer.text},
        at=one.at,
    )
