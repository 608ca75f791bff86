"""What an outcome means, and whom a report is owed to: the whole of RFC 3461 section 4.1 as a table."""

from dataclasses import replace
from datetime import timedelta

import pytest

from relay.queue.content import MemoryContent
from relay.queue.items import Consignment, EntryEnvelope, QueuedEntry, QueuedEnvelope
from relay.queue.outcomes import Answer, Deferred, Delivered, Failed, Outcome, outcome_of, remote_answer
from relay.queue.settling import Report, Settled, settle, wants
from relay.store.tables.queue import EntryState, Kind
from tests.unit.relay.queue.yard import DAY, HOUR, LADDER, START

ENTRY = QueuedEntry(b"e" * 16, Kind.MAIL, EntryEnvelope("ann@example.net"), 1, START)
REFUSED = Answer(550, "5.1.1", "no such user", "hop.test:25")


def settled(entry: QueuedEntry, outcome: Outcome, age: timedelta) -> Settled:
    mail = Consignment(b"m" * 16, "outside", QueuedEnvelope("bob@example.org"), MemoryContent(b""), (entry,))
    return settle(mail, entry, outcome, ladder=LADDER, now=START + age, spread=1.0)


@pytest.mark.parametrize(
    ("notify", "reports"),
    [
        ((), {Report.FAILED, Report.DELAYED}),
        (("NEVER",), set()),
        (("FAILURE",), {Report.FAILED}),
        (("DELAY",), {Report.DELAYED}),
        (("SUCCESS",), {Report.RELAYED}),
        (("FAILURE", "DELAY"), {Report.FAILED, Report.DELAYED}),
        (("SUCCESS", "FAILURE", "DELAY"), set(Report)),
    ],
    ids=lambda value: ",".join(sorted(value)) or "without",
)
def test_notify_decides_which_reports_are_written(notify: tuple[str, ...], reports: set[Report]) -> None:
    """Each word allows one kind of report; without NOTIFY failures and delays; never one to the null sender."""
    entry = replace(ENTRY, envelope=EntryEnvelope("ann@example.net", notify=notify))
    from_bob = QueuedEnvelope("bob@example.org")
    assert {report for report in Report if wants(report, entry, from_bob)} == reports
    assert not any(wants(report, entry, QueuedEnvelope("")) for report in Report)


@pytest.mark.parametrize(
    ("outcome", "age", "state", "report"),
    [
        (Deferred(REFUSED), 3 * HOUR, EntryState.DUE, None),
        (Deferred(REFUSED), 4 * HOUR, EntryState.DUE, Report.DELAYED),
        (Deferred(REFUSED), 5 * DAY - HOUR, EntryState.DUE, Report.DELAYED),
        (Deferred(REFUSED), 5 * DAY, EntryState.BOUNCED, Report.FAILED),
        (Failed(REFUSED), HOUR, EntryState.BOUNCED, Report.FAILED),
        (Delivered(REFUSED, dsn_passed_on=True), HOUR, EntryState.DONE, None),
        (Delivered(REFUSED), HOUR, EntryState.DONE, Report.RELAYED),
    ],
)
def test_what_an_outcome_means(outcome: Outcome, age: timedelta, state: EntryState, report: Report | None) -> None:
    """Late after four hours, given up after five days; "relayed" only where nobody took the duty over."""
    everything = EntryEnvelope("ann@example.net", notify=("SUCCESS", "FAILURE", "DELAY"))
    one = settled(replace(ENTRY, envelope=everything, attempts=9), outcome, age)
    assert (one.state, one.report) == (state, report)
    assert (one.due_at is not None) is (state is EntryState.DUE)


def test_a_delay_is_told_once_to_whoever_wants_it() -> None:
    """Who was warned is not warned again; who did not ask for DELAY is never warned."""
    late = Deferred(REFUSED)
    assert settled(replace(ENTRY, warned=True), late, 6 * HOUR).report is None
    failure_only = replace(ENTRY, envelope=EntryEnvelope("ann@example.net", notify=("FAILURE",)))
    assert settled(failure_only, late, 6 * HOUR).report is None
    assert settled(failure_only, late, 6 * HOUR).state is EntryState.DUE


@pytest.mark.parametrize("kind", [Kind.NOTICE, Kind.CODE, Kind.REMINDER])
def test_what_speaks_to_a_reader_is_reported_when_it_failed_only(kind: Kind) -> None:
    """However late it is, and however it arrived: the sender wrote none of it."""
    entry = replace(ENTRY, kind=kind)
    mail = Consignment(
        b"m" * 16, "outside", QueuedEnvelope("", report_to="bob@example.org"), MemoryContent(b""), (entry,)
    )
    for outcome, age, report in (
        (Deferred(REFUSED), 6 * HOUR, None),
        (Delivered(REFUSED), HOUR, None),
        (Failed(REFUSED), HOUR, Report.FAILED),
    ):
        assert settle(mail, entry, outcome, ladder=LADDER, now=START + age, spread=1.0).report is report


@pytest.mark.parametrize(("code", "final"), [(0, False), (421, False), (499, False), (500, True), (599, True)])
def test_only_a_permanent_reply_is_final(code: int, final: bool) -> None:
    """RFC 5321 section 4.2.1; where no reply came, it is tried again."""
    assert isinstance(outcome_of(Answer(code, "5.0.0", "no")), Failed if final else Deferred)


@pytest.mark.parametrize(
    ("code", "said", "status"),
    [(550, "5.1.1 nobody", "5.1.1"), (550, "4.2.2 full", "5.0.0"), (451, "later", "4.0.0"), (451, "4.7.1", "4.7.1")],
)
def test_a_status_that_contradicts_its_reply_is_not_passed_on(code: int, said: str, status: str) -> None:
    """The class of a status is that of the reply code (RFC 2034 section 4); what was said stays as it was said."""
    answer = remote_answer(code, said, "hop.test:25", "")
    assert (answer.enhanced, answer.said) == (status, said)
