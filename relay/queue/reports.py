"""From outcomes to reports: which DSNs one group of outcomes calls for, composed and drafted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from relay.clock import new_queue_id
from relay.errors import LetterlockError
from relay.queue.content import header_section
from relay.queue.dsn import ReportedRecipient, Reporter
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.lost_replies import LostReplies
from relay.queue.outcomes import Answer
from relay.queue.own_mail import about, about_message, own_message_id
from relay.queue.recording import ReportDraft
from relay.queue.routes import Routes
from relay.queue.settling import Report, Settled
from relay.queue.spooling import Draft, NewEntry, Spooler
from relay.store.tables.queue import Kind
from relay.store.writer import Store


@dataclass(frozen=True, slots=True)
class Unreached:
    """A mail of ours that did not reach its reader: which, what the server said, and whom we tell (``to``)."""

    queued_id: bytes
    kind: Kind
    participant_id: bytes | None
    address: str
    to: str
    answer: Answer
    at: datetime


class Reports:
    """Drafts the reports to senders. Blocking where an original lies in the blob store: call it in a thread."""

    def __init__(  # noqa: PLR0917  # the services that it uses
        self,
        store: Store,
        reporter: Reporter,
        spooler: Spooler,
        routes: Routes,
        give_up_after: timedelta,
        lost_replies: LostReplies | None = None,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._spooler = spooler
        self._routes = routes
        self._give_up_after = give_up_after
        self._lost_replies = lost_replies

    def draft(self, settled: Sequence[Settled]) -> list[ReportDraft]:
        """Return one report per message and kind of event, naming every recipient it speaks of; StoreError."""
        groups: dict[tuple[bytes, Report], list[Settled]] = {}
        for one in settled:
            if one.report is not None:
                groups.setdefault((one.consignment.message_id, one.report), []).append(one)
        return [ReportDraft(frozenset(one.entry.id for one in group), self._report(group)) for group in groups.values()]

    def draft_unreached(self, conn: Connection, lost: Unreached) -> Draft:
        """Return the one report that a reader could not be reached, in the thread of the receipt where there is one.

        Whether the next hop refused the mail at once or sent it back a day later, the sender reads the same.
        """
        found = about(conn, lost.queued_id, lost.participant_id)
        report_id = new_queue_id()
        content = self._reporter.compose(
            to=lost.to,
            recipients=[ReportedRecipient(lost.address, Report.FAILED, lost.answer, lost.at, kind=lost.kind)],
            headers=b"",  # of a mail that the sender never wrote
            arrival=found.accepted_at if found else lost.at,
            now=lost.at,
            message_id=own_message_id(report_id, self._reporter.domain),
            thread=found.thread(self._reporter.domain) if found else (),
        )
        return self._draft(report_id, lost.to, content, lost.at, lost.queued_id)

    def _report(self, group: Sequence[Settled]) -> Draft:
        first = group[0]
        envelope, entry = first.consignment.envelope, first.entry
        if entry.kind is Kind.REPLY and self._lost_replies is not None:
            return self._lost_replies.draft(first)
        to = envelope.reports_go_to(entry.kind)
        if entry.kind is not Kind.MAIL:  # what we write to readers has one recipient each
            address = entry.envelope.recipient
            lost = Unreached(
                first.consignment.message_id, entry.kind, entry.participant_id, address, to, first.answer, first.at
            )
            with self._store.read() as conn:
                return self.draft_unreached(conn, lost)
        report_id = new_queue_id()
        with self._store.read() as conn:
            accepted = about_message(conn, first.consignment.message_id)
        content = self._reporter.compose(
            to=to,
            recipients=[self._recipient(one) for one in group],
            headers=_headers(first),
            arrival=accepted.accepted_at if accepted else entry.created_at,  # the latter changes with a hold or pause
            now=first.at,
            envid=envelope.envid,
            message_id=own_message_id(report_id, self._reporter.domain),
        )
        return self._draft(report_id, to, content, first.at, first.consignment.message_id)

    def _draft(self, report_id: bytes, to: str, content: bytes, now: datetime, parent: bytes) -> Draft:
        # RFC 3461 section 6.1: a report is never reported about.
        new = NewEntry(Kind.DSN, self._routes.name_for(to), EntryEnvelope(to, notify=("NEVER",)))
        return self._spooler.draft(
            QueuedEnvelope("", smtputf8=not to.isascii()),
            [new],
            content,
            now=now,
            message_id=report_id,
            parent=parent,
        )

    def _recipient(self, one: Settled) -> ReportedRecipient:
        assert one.report is not None  # noqa: S101  # `draft` groups by it
        return ReportedRecipient(
            address=one.entry.envelope.recipient,
            action=one.report,
            answer=one.answer,
            at=one.at,
            orcpt=one.entry.envelope.orcpt,
            until=one.entry.created_at + self._give_up_after,
        )


def _headers(one: Settled) -> bytes:
    try:
        return header_section(one.consignment.content.pieces())
    except (LetterlockError, OSError):
        return b""  # a report without the original's headers is better than none
