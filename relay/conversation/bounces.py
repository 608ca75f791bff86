"""The desk for bounce addresses: a mail of ours that the next hop had taken comes back, and somebody has to know.

Only a report of delivery (RFC 3464) that says "failed" counts. What else arrives here is dropped and recorded, never
answered: out-of-office texts, delays, read receipts, people who answer the wrong address. A report about a mail that
speaks to a reader becomes one report to the member of staff whose message it speaks of, in the same words as when the
next hop refuses at once; a second report about the same mail changes nothing.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Row, exists, or_, select, update

from relay.conversation.reception import Addressed
from relay.errors import OvertakenError
from relay.message.delivery_status import (
    ReportedDelivery,
    reported_deliveries,
    returned_message,
    returned_message_id,
)
from relay.plan import Arrival, Part, Told
from relay.queue.outcomes import Answer, local_answer, one_line, remote_answer
from relay.queue.own_mail import about, returned_mail
from relay.queue.recording import unreached
from relay.queue.reports import Reports, Unreached
from relay.queue.return_path import ReturnPaths
from relay.queue.routes import REPLIES
from relay.queue.settling import TO_READERS
from relay.queue.spooling import Draft
from relay.smtp import replies
from relay.smtp.values import Reply
from relay.store.events import Event
from relay.store.tables import Entry, MessageRead
from relay.store.tables.queue import EntryState, Kind
from relay.store.writer import Store
from relay.vault.authors import author_inside
from relay.vault.keyring import Keyring
from relay.vault.people import Person, person

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_READ = MessageRead.__table__  # type: ignore[attr-defined]
_WAITING = frozenset({EntryState.DUE.value, EntryState.LEASED.value, EntryState.PAUSED.value})
RECORDED_WITHIN = 1.0  # seconds; what became of a delivery waits for a commit to share (`relay.queue.recorder`)
_LOOK_EVERY = 0.02
_CODE = re.compile(r"([45]\d\d)[ -]+", re.ASCII)
_LATER = Reply(451, "4.3.0", "The mail that this reports about is still being sent: try again later")
_NO_REASON = "the mail server gave no reason"


class LostReplies(Protocol):
    """What becomes of a reader's answer that came back."""

    def returned(
        self, conn: Connection, queued_id: bytes, answer: Answer, at: datetime, mail: bytes | None = None
    ) -> Part:
        """Return what is to be written besides the end of the entry; called while planning.

        ``mail`` is the answer as the report brought it back, None where it did not.
        """
        ...


@dataclass(frozen=True, slots=True)
class Bounces:
    """The desk. ``lost_replies`` takes care of readers' answers that came back."""

    store: Store
    keyring: Keyring
    returns: ReturnPaths
    reports: Reports
    lost_replies: LostReplies | None = None

    def take(self, arrival: Arrival, addressed: Sequence[Addressed]) -> Part | Reply:
        """Return what one message at bounce addresses changes, or its refusal. StoreError, SealingError. Blocking.

        Some servers report while our own record of the delivery is not written yet: that is waited for.
        """
        if not all(self.returns.genuine(one.address) for one in addressed):
            return replies.NO_SUCH_ADDRESS
        reported = reported_deliveries(arrival.content)
        parts: list[Part] = []
        named = [one.address.id for one in addressed]
        self._await_records(named)
        message_id = returned_message_id(arrival.content)
        with self.store.read() as conn:
            mails = [returned_mail(conn, one, message_id, self.returns.domain) for one in named]
            for queued_id in dict.fromkeys(mails):
                outcome = self._report(conn, arrival, queued_id, reported)
                if isinstance(outcome, Reply):
                    return outcome
                parts += outcome
        return Part.joined(parts)

    def _await_records(self, named: Sequence[bytes]) -> None:
        under_way = select(_ENTRY.c.id).where(
            or_(_ENTRY.c.message_id.in_(named), _ENTRY.c.participant_id.in_(named)),
            _ENTRY.c.state == EntryState.LEASED.value,
        )
        end = time.monotonic() + RECORDED_WITHIN
        while time.monotonic() < end:
            with self.store.read() as conn:
                if conn.execute(under_way.limit(1)).first() is None:
                    return
            time.sleep(_LOOK_EVERY)

    def _report(
        self, conn: Connection, arrival: Arrival, queued_id: bytes, reported: Sequence[ReportedDelivery]
    ) -> list[Part] | Reply:
        failures = [one for one in reported if one.failed]
        if not failures:
            return [_dropped(queued_id, "it reports no failure" if reported else _what(arrival))]
        entries = conn.execute(select(_ENTRY).where(_ENTRY.c.message_id == queued_id)).all()
        matched = self._matched(entries, failures)
        if not matched:
            return [_dropped(queued_id, "it names nobody to whom this mail went")]
        if any(row.state in _WAITING for row, _ in matched):
            return _LATER
        return [self._failure(conn, arrival, row, failure) for row, failure in matched]

    def _matched(
        self, entries: Sequence[Row[Any]], failures: Sequence[ReportedDelivery]
    ) -> list[tuple[Row[Any], ReportedDelivery]]:
        """Return the entries that were reported, once each.

        Nearly all of our mail goes to one person; then the report is about that one, whatever address it names: mail is
        forwarded, and the server behind knows another address.
        """
        if len(entries) == 1:
            return [(entries[0], failures[0])]
        named = {
            self.keyring.address_hash(address): one
            for one in failures
            for address in (one.original, one.recipient)
            if "@" in address
        }
        return [(row, named[row.recipient_hash]) for row in entries if row.recipient_hash in named]

    def _failure(self, conn: Connection, arrival: Arrival, row: Row[Any], failure: ReportedDelivery) -> Part:
        at = arrival.at
        if row.state != EntryState.DONE.value:
            return _dropped(row.message_id, "it was known before")
        answer = answer_of(failure)
        kind = Kind(row.kind)
        reader = person(conn, self.keyring, row.participant_id) if row.participant_id and kind in TO_READERS else None
        told = _came_back(row, answer, reader.address if reader else failure.recipient)
        # What the organisation's own mailbox sends back has nowhere else to go: once more would be once more for ever.
        if kind is Kind.REPLY and self.lost_replies and row.route == REPLIES:
            more = self.lost_replies.returned(conn, row.message_id, answer, at, returned_message(arrival.content))
            return Part.joined([Part(told=(told,), changes=(_End(row.id, at),)), more])
        if reader is None:
            return Part(told=(told,), changes=(_End(row.id, at),))
        return self._unreached(conn, at, row, reader, answer, told)

    def _unreached(  # noqa: PLR0917  # one page of facts
        self, conn: Connection, at: datetime, row: Row[Any], reader: Person, answer: Answer, told: Told
    ) -> Part:
        kind = Kind(row.kind)
        found = about(conn, row.message_id, reader.participant_id)
        if _has_read(conn, reader, row.created_at, found.message_id if found else None):
            return Part(told=(told,), changes=(_End(row.id, at),))
        sender = author_inside(conn, self.keyring, reader.conversation_id, found.message_id if found else None)
        first = kind is Kind.NOTICE or reader.bounced_at is None
        drafts: tuple[Draft, ...] = ()
        if sender is not None and first and not reader.removed:
            lost = Unreached(row.message_id, kind, reader.participant_id, reader.address, sender.address, answer, at)
            drafts = (self.reports.draft_unreached(conn, lost),)
        return Part(told=(told,), drafts=drafts, changes=(_End(row.id, at, kind, reader.participant_id, first),))


@dataclass(frozen=True, slots=True)
class _End:
    """Marks an entry as bounced; with a participant, the reader too. Overtaken when somebody else has done so."""

    entry_id: bytes
    at: datetime
    kind: Kind = Kind.MAIL
    participant_id: bytes | None = None
    first: bool = True

    def __call__(self, conn: Connection) -> None:
        ended = end_as_bounced(conn, self.entry_id, self.at)
        first = unreached(conn, self.kind, self.participant_id, self.at) if self.participant_id else True
        if not ended or first != self.first:
            raise OvertakenError("another report about the same mail was faster")


def end_as_bounced(conn: Connection, entry_id: bytes, at: datetime) -> bool:
    """Note that mail which was handed over came back; False when it was not handed over, or that was known."""
    done = (_ENTRY.c.id == entry_id, _ENTRY.c.state == EntryState.DONE.value)
    values = {"state": EntryState.BOUNCED.value, "finished_at": at}
    return conn.execute(update(_ENTRY).where(*done).values(**values)).rowcount > 0


def answer_of(failure: ReportedDelivery) -> Answer:
    """Return what a report says as an answer: reply code and text as far as its diagnostic shows them."""
    text = one_line(failure.diagnostic)
    match = _CODE.match(text)
    if match is None:
        return local_answer(failure.status or "5.0.0", text or _NO_REASON)
    answer = remote_answer(int(match[1]), text[match.end() :], "", "")
    return Answer(answer.code, failure.status or answer.enhanced, answer.text)


def _has_read(conn: Connection, reader: Person, since: datetime, message_id: bytes | None) -> bool:
    """Whether the reader has been there since: then a copy that was forwarded failed, not the mail to the reader."""
    if reader.read_at is not None and reader.read_at >= since:
        return True
    seen = exists().where(_READ.c.message_id == message_id, _READ.c.participant_id == reader.participant_id)
    return bool(message_id) and bool(conn.execute(select(seen)).scalar())


def _what(arrival: Arrival) -> str:
    return (
        "a machine wrote it, and it is no report of delivery" if arrival.reading.auto_submitted else "it is no report"
    )


def _dropped(queued_id: bytes, reason: str) -> Part:
    return Part(told=(Told(Event.REPORT_DROPPED, {"reason": reason}, message_id=queued_id),))


def _came_back(row: Row[Any], answer: Answer, address: str) -> Told:
    facts: dict[str, str | int] = {
        "entry": row.id.hex(),
        "kind": row.kind,
        "code": answer.code,
        "status": answer.enhanced,
    }
    return Told(Event.CAME_BACK, facts, {"recipient": address, "reply": answer.text}, row.message_id)
