"""What an outcome means for an entry: finished, tried again, or given up, and who has to be told. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from relay.queue.backoff import Ladder
from relay.queue.items import Consignment, QueuedEntry, QueuedEnvelope
from relay.queue.outcomes import Answer, Deferred, Delivered, Failed, Outcome
from relay.queue.routes import REPLIES
from relay.store.tables.queue import EntryState, Kind

EXPIRED = "5.4.7"  # delivery time expired (RFC 3463 section 3.5)


class Report(StrEnum):
    """The action field of a DSN (RFC 3464 section 2.3.3), as far as we write it."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class Settled:
    """One entry after one attempt: what is to be recorded. ``due_at`` is set only where it is due again."""

    consignment: Consignment
    entry: QueuedEntry
    outcome: Outcome
    state: EntryState
    attempts: int
    at: datetime
    due_at: datetime | None = None
    report: Report | None = None

    @property
    def answer(self) -> Answer:
        """Return the answer that the outcome rests on."""
        return self.outcome.answer


def settle(
    consignment: Consignment,
    entry: QueuedEntry,
    outcome: Outcome,
    *,
    ladder: Ladder,
    now: datetime,
    spread: float,
) -> Settled:
    """Return what one outcome means. ``spread`` is the jitter factor (`relay.queue.backoff.Ladder.pause`)."""
    attempts = entry.attempts + 1
    if isinstance(outcome, Failed) and _last_resort(consignment, entry):
        # It has nowhere else to go: it waits for somebody to mend the mailbox, and the administrator hears of it.
        outcome = Deferred(outcome.answer)
    match outcome:
        case Delivered():
            state, due_at = EntryState.DONE, None
            report = Report.RELAYED if not outcome.dsn_passed_on else None
        case Failed():
            state, due_at, report = EntryState.BOUNCED, None, Report.FAILED
        case Deferred() if _past(consignment.envelope, now):
            state, due_at, report = EntryState.BOUNCED, None, None
            if entry.kind is Kind.REPLY:  # its reader counts on it; of a code that lapsed nobody has to hear
                report = Report.FAILED
        case Deferred(answer) if ladder.gives_up(attempts, now - entry.created_at):
            outcome = Failed(replace(answer, enhanced=EXPIRED))
            state, due_at, report = EntryState.BOUNCED, None, Report.FAILED
        case Deferred():
            state, due_at = EntryState.DUE, now + ladder.pause(attempts, spread)
            late = not entry.warned and ladder.warns(now - entry.created_at)
            report = Report.DELAYED if late else None
    if entry.kind is Kind.REPLY:
        # Once more, to the organisation's own mailbox (relay.queue.lost_replies); what fails there has nowhere to go.
        report = report if report is Report.FAILED and consignment.route == REPLIES else None
    elif report is not None and not wants(report, entry, consignment.envelope):
        report = None
    return Settled(consignment, entry, outcome, state, attempts, now, due_at, report)


def wants(report: Report, entry: QueuedEntry, envelope: QueuedEnvelope) -> bool:
    """Tell whether a report is to be written.

    Never about a report or a receipt, never without an address to report to; otherwise what NOTIFY asks (RFC 3461
    section 4.1); without NOTIFY, failures and delays. What speaks to a reader is reported when it failed, only.
    """
    if not envelope.reports_go_to(entry.kind):
        return False
    if entry.kind in TO_READERS:
        return report is Report.FAILED
    if entry.kind is not Kind.MAIL:
        return False
    asked = entry.envelope.notify
    if report is Report.RELAYED:
        return "SUCCESS" in asked
    return _WORD[report] in asked if asked else True


TO_READERS = frozenset({Kind.NOTICE, Kind.CODE, Kind.REMINDER})  # what we write to the reader of a message
_WORD: Mapping[Report, str] = {Report.FAILED: "FAILURE", Report.DELAYED: "DELAY"}


def _last_resort(consignment: Consignment, entry: QueuedEntry) -> bool:
    """Tell whether this is a reader's answer on its way to the organisation's own mailbox."""
    return entry.kind is Kind.REPLY and consignment.route != REPLIES


def _past(envelope: QueuedEnvelope, now: datetime) -> bool:
    return envelope.until is not None and now >= envelope.until
