"""What an outcome means for a reader's answer: it must reach a person, or the organisation's own mailbox, once."""

from datetime import UTC, datetime, timedelta

import pytest

from relay.queue.backoff import JITTER
from relay.queue.content import MemoryContent
from relay.queue.items import Consignment, EntryEnvelope, QueuedEntry, QueuedEnvelope
from relay.queue.outcomes import Deferred, Delivered, Failed, Outcome, local_answer
from relay.queue.settling import Report, Settled, settle
from relay.store.tables.queue import EntryState, Kind
from tests.unit.relay.queue.yard import LADDER

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(hours=24)


def settled(outcome: Outcome, *, route: str = "replies", now: datetime = NOW) -> Settled:
    entry = QueuedEntry(b"e" * 16, Kind.REPLY, EntryEnvelope("anna@example.org"), 1, NOW, participant_id=b"p" * 16)
    consignment = Consignment(
        b"m" * 16, route, QueuedEnvelope("b@letter.example.org", until=NOW + DAY), MemoryContent(b"x"), (entry,)
    )
    return settle(consignment, entry, outcome, ladder=LADDER, now=now, spread=1 - JITTER)


CASES = [
    (Delivered(local_answer("2.0.0", "ok")), NOW, EntryState.DONE, None),
    (Deferred(local_answer("4.4.1", "down")), NOW + DAY / 2, EntryState.DUE, None),
    (Deferred(local_answer("4.4.1", "down")), NOW + DAY, EntryState.BOUNCED, Report.FAILED),
    (Failed(local_answer("5.1.1", "nobody")), NOW, EntryState.BOUNCED, Report.FAILED),
]


@pytest.mark.parametrize(("outcome", "now", "state", "report"), CASES)
def test_an_answer_is_given_up_after_a_day(
    outcome: Outcome, now: datetime, state: EntryState, report: Report | None
) -> None:
    """Refused, or not taken for a day: it goes elsewhere; a delay is told on the page, not by mail."""
    found = settled(outcome, now=now)
    assert (found.state, found.report) == (state, report)


def test_what_the_own_mailbox_refuses_waits_and_goes_round_in_no_circle() -> None:
    """The mail to the organisation's mailbox causes no other: it is tried again until the ladder ends."""
    refused = Failed(local_answer("5.1.1", "nobody"))
    found = settled(refused, route="inside")
    assert (found.state, found.report) == (EntryState.DUE, None)
    late = settled(refused, route="inside", now=NOW + timedelta(days=30))
    assert (late.state, late.report) == (EntryState.BOUNCED, None)
