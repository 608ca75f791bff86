"""From outcomes to reports: which DSNs one group of outcomes calls for, composed and drafted."""

from collections.abc import Sequence
from datetime import timedelta

from relay.errors import LetterlockError
from relay.queue.content import header_section
from relay.queue.dsn import ReportedRecipient, Reporter
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.recording import ReportDraft
from relay.queue.routes import Routes
from relay.queue.settling import Report, Settled
from relay.queue.spooling import NewEntry, Spooler
from relay.store.tables.queue import Kind


class Reports:
    """Drafts the reports to senders. Blocking where an original lies in the blob store: call it in a thread."""

    def __init__(self, reporter: Reporter, spooler: Spooler, routes: Routes, give_up_after: timedelta) -> None:
        self._reporter = reporter
        self._spooler = spooler
        self._routes = routes
        self._give_up_after = give_up_after

    def draft(self, settled: Sequence[Settled]) -> list[ReportDraft]:
        """Return one report per message and kind of event, naming every recipient it speaks of; StoreError."""
        groups: dict[tuple[bytes, Report], list[Settled]] = {}
        for one in settled:
            if one.report is not None:
                groups.setdefault((one.consignment.message_id, one.report), []).append(one)
        return [self._report(group) for group in groups.values()]

    def _report(self, group: Sequence[Settled]) -> ReportDraft:
        first = group[0]
        envelope = first.consignment.envelope
        to = envelope.reports_go_to
        content = self._reporter.compose(
            to=to,
            recipients=[self._recipient(one) for one in group],
            headers=_headers(first),
            arrival=first.entry.created_at,
            now=first.at,
            envid=envelope.envid,
        )
        # RFC 3461 section 6.1: a report is never reported about.
        new = NewEntry(Kind.DSN, self._routes.name_for(to), EntryEnvelope(to, notify=("NEVER",)))
        own = QueuedEnvelope("", smtputf8=not to.isascii())
        draft = self._spooler.draft(own, [new], content, now=first.at, parent=first.consignment.message_id)
        return ReportDraft(frozenset(one.entry.id for one in group), draft)

    def _recipient(self, one: Settled) -> ReportedRecipient:
        assert one.report is not None  # noqa: S101  # `draft` groups by it
        return ReportedRecipient(
            address=one.entry.envelope.recipient,
            action=one.report,
            answer=one.answer,
            at=one.at,
            orcpt=one.entry.envelope.orcpt,
            until=one.entry.created_at + self._give_up_after,
            notice=one.entry.kind is Kind.NOTICE,
        )


def _headers(one: Settled) -> bytes:
    try:
        return header_section(one.consignment.content.pieces())
    except (LetterlockError, OSError):
        return b""  # a report without the original's headers is better than none
