"""The delivery worker, from the queue to a real socket and back into the queue."""

import asyncio
import random
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from relay.dns.destination import Directory
from relay.errors import StoreError
from relay.queue.entries import LEASE
from relay.queue.exchangers import Exchangers
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.outcomes import Outcome
from relay.queue.recorder import Recorder
from relay.queue.recording import record
from relay.queue.routes import Route
from relay.queue.spooling import insert_message
from relay.queue.transaction import Transaction
from relay.queue.transport import Transport
from relay.store.tables.queue import Kind
from tests.unit.relay.queue.nexthop import DROP, SILENCE, NextHop
from tests.unit.relay.queue.yard import DAY, HOUR, LADDER, LETTER, MINUTE, PATIENCE, START, Yard, until


def report_in(content: bytes) -> tuple[str, Message, str]:
    """Return text, machine-readable part and returned headers of a report."""
    report = message_from_bytes(content)
    assert report.get_content_type() == "multipart/report"
    text, status, headers = cast("list[Message]", report.get_payload())
    words = cast("bytes", text.get_payload(decode=True)).decode()
    return words, status, cast("bytes", headers.get_payload(decode=True)).decode()


def test_what_is_due_is_sent_and_let_go(any_yard: Yard) -> None:
    """A due message arrives; its entry is done and its sealed bytes are gone. On both databases."""
    yard = any_yard
    yard.queue("ann@example.net", "ben@example.net")

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done", "done"])
            await worker.stop()
            assert [mail.content for mail in hop.taken] == [LETTER]
            assert len(hop.taken[0].commands) == 3, "both recipients in one transaction"

    asyncio.run(work())
    assert yard.spooled() == 0


def test_a_worker_without_work_writes_nothing(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is due it only looks, and finds what becomes due; its house it keeps now and then all the same."""
    monkeypatch.setattr("relay.queue.delivery.HOUSEKEEPING_POLLS", 1_000_000)
    yard.queue("ann@example.net")
    yard.clock.pass_(-MINUTE)
    looks: list[bool] = []
    commits: list[object] = []
    look, commit = yard.store.look, yard.store.commit

    async def counted_look(question: Callable[[Connection], Any]) -> Any:
        looks.append(await look(question))
        return looks[-1]

    async def counted_commit(work: Callable[[Connection], Any], *, patience: float = 0.0) -> Any:
        commits.append(work)
        return await commit(work, patience=patience)

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: bool(looks))
            monkeypatch.setattr(yard.store, "commit", counted_commit)
            await until(lambda: len(looks) > 3)
            assert (any(looks), commits, hop.taken) == (False, [], [])
            yard.clock.pass_(MINUTE)
            await until(lambda: yard.states() == ["done"])
            await worker.stop()

    monkeypatch.setattr(yard.store, "look", counted_look)
    asyncio.run(work())


def test_mail_for_a_route_that_is_gone_waits_and_says_so(yard: Yard) -> None:
    """What was promised a partner's transport leaves no other way when the partner is taken out of relay.toml."""
    yard.queue("ann@hospital.example", route="partner:hospital")

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.entries()[0].attempts == 1)
            await worker.stop()
            assert hop.taken == []

    asyncio.run(work())
    assert yard.states() == ["due"]


def test_a_renewed_route_is_taken_from_the_next_message_on(yard: Yard) -> None:
    """Other next hops, another name and other reports count at once, without a restart and without losing a message."""

    async def work() -> None:
        async with NextHop() as old, NextHop() as new:
            worker = yard.delivery(yard.routes([old]))
            await worker.start()
            yard.queue("ann@example.net")
            await until(lambda: yard.states() == ["done"])
            other = yard.delivery(yard.routes([new]), worker=1)
            worker.renew(
                routes=yard.routes([new]),
                ladder=LADDER,
                reports=other._recorder._reports,
                ehlo_name="new.example.org",
                couriers=1,
                patience=PATIENCE,
                exchangers=Exchangers(Directory("new.example.org")),
            )
            yard.queue("ben@example.net")
            await until(lambda: yard.states() == ["done", "done"])
            await worker.stop()
            assert (len(old.taken), len(new.taken)) == (1, 1)
            assert "EHLO new.example.org" in new.seen

    asyncio.run(work())


def test_a_large_message_goes_through_the_blob_store(any_yard: Yard) -> None:
    """A message above the inline limit arrives whole from its blob, which is then doomed."""
    yard = any_yard
    content = b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 200_000
    yard.queue("ann@example.net", content=content)
    assert yard.blob_states() == ["stored"]

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            assert [mail.content for mail in hop.taken] == [content]

    asyncio.run(work())
    assert yard.blob_states() == ["doomed"]


def test_a_handed_over_message_is_sent_without_being_due(yard: Yard) -> None:
    """What the intake commits with a lease and offers leaves at once; nobody polls for it."""

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]), poll_seconds=3600)
            await worker.start()
            reservation = worker.reserve(len(LETTER))
            assert reservation is not None
            draft = yard.draft("ann@example.net", lease=reservation.lease)
            await yard.store.commit(lambda conn: insert_message(conn, draft))
            assert yard.states() == ["leased"]
            worker.offer(reservation, [draft])
            await until(lambda: yard.states() == ["done"])
            await worker.stop()

    asyncio.run(work())
    assert yard.spooled() == 0


def test_beyond_the_byte_budget_nothing_is_reserved(yard: Yard) -> None:
    """The budget bounds what is held in memory, and comes back when a message was sent or cancelled."""

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]), budget=1000)
            await worker.start()
            first = worker.reserve(600)
            assert first is not None
            assert worker.reserve(600) is None
            draft = yard.draft("ann@example.net", "eve@example.org", lease=first.lease)
            await yard.store.commit(lambda conn: insert_message(conn, draft))
            worker.offer(first, [draft])
            await until(lambda: yard.states() == ["done", "done"])
            second = worker.reserve(1000)
            assert second is not None
            worker.cancel(second)
            assert worker.reserve(1000) is not None
            await worker.stop()

    asyncio.run(work())


def test_a_deferred_message_climbs_the_ladder(yard: Yard) -> None:
    """4xx puts a message off by 1, 5, 15, 30 minutes, then an hour; it stays in the queue and then arrives."""
    yard.queue("ann@example.net")

    async def work() -> None:
        async with NextHop({"RCPT": "451 4.7.1 greylisted"}) as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            pauses = []
            for attempt in range(1, 7):
                await until(lambda: yard.entries()[0].attempts == attempt)  # noqa: B023
                (entry,) = yard.entries()
                assert (entry.state, entry.last_code) == ("due", 451)
                pauses.append((entry.due_at - yard.clock()) / MINUTE)
                yard.clock.time = entry.due_at
            assert pauses == [1, 5, 15, 30, 60, 60]
            hop.answers.clear()
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            assert len(hop.taken) == 1

    asyncio.run(work())


def test_what_is_put_off_together_goes_together(yard: Yard) -> None:
    """The jitter is that of the message: its recipients share the next transaction too, and the report of the delay."""
    yard.queue("ann@example.net", "ben@example.net", "cat@example.net")

    async def work() -> None:
        async with NextHop({"RCPT": "451 4.7.1 not now"}) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]), spread=random.uniform)
            await worker.start()
            await until(lambda: {row.attempts for row in yard.entries()} == {1})
            assert len({row.due_at for row in yard.entries()}) == 1
            yard.clock.pass_(4 * HOUR)
            await until(lambda: len(inside.taken) == 1)
            await until(lambda: yard.states() == ["done", "due", "due", "due"])
            await worker.stop()
            assert sum(command.startswith("MAIL") for command in hop.seen) == 2
            assert inside.taken[0].content.count(b"Action: delayed") == 3

    asyncio.run(work())


def test_the_last_attempt_ends_in_a_report(yard: Yard) -> None:
    """After five days in vain the entry is bounced and the sender gets one report with the original's headers."""
    yard.queue("ann@example.net", "ben@example.net")

    async def work() -> None:
        async with NextHop({"RCPT": "451 4.7.1 not now"}) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            for attempt in range(1, 6):
                await until(lambda: {row.attempts for row in yard.entries()[:2]} == {attempt})  # noqa: B023
                yard.clock.pass_(2 * HOUR if attempt < 4 else 5 * DAY)
            await until(lambda: "bounced" in yard.states() and yard.states().count("done") == len(yard.entries()) - 2)
            await worker.stop()
            reports = [mail for mail in inside.taken if b"delivery-status" in mail.content]
            failed = [mail for mail in reports if b"Action: failed" in mail.content]
            assert len(failed) == 1
            assert failed[0].commands[0].startswith("MAIL FROM:<>")
            text, status, headers = report_in(failed[0].content)
            assert "ann@example.net" in text
            assert "ben@example.net" in text
            assert "Status: 5.4.7" in str(status)  # ours; what the next hop said stays as it said it
            assert "Diagnostic-Code: smtp; 451 4.7.1 not now" in str(status)
            assert "451 4.7.1 not now" in text
            assert "Message-ID: <1@example.org>" in headers
            assert b"Dear Ann" not in failed[0].content

    asyncio.run(work())
    assert yard.spooled() == 0


def test_a_refusal_is_reported_per_recipient(yard: Yard) -> None:
    """One recipient refused for good: the other one gets the mail, the sender one report that names the first."""
    yard.queue("ann@example.net", "ben@example.net")

    async def work() -> None:
        async with NextHop({"RCPT TO:<BEN@": "550 5.1.1 no such user"}) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            await until(lambda: yard.states() == ["bounced", "done", "done"])
            await worker.stop()
            text, status, _ = report_in(inside.taken[0].content)
            assert "ann@example.net" not in text
            assert "550 5.1.1 no such user" in text
            assert "Final-Recipient: rfc822; ben@example.net" in str(status)
            assert "Diagnostic-Code: smtp; 550 5.1.1 no such user" in str(status)
            assert inside.taken[0].commands[1].startswith("RCPT TO:<bob@example.org>")

    asyncio.run(work())


def test_an_address_that_the_next_hop_cannot_carry_is_reported(yard: Yard) -> None:
    """A next hop without SMTPUTF8 is not offered the mail; the sender reads 5.6.7 and the address as it is written."""
    yard.queue("ünal@example.net", envelope=QueuedEnvelope("bob@example.org", smtputf8=True))

    async def work() -> None:
        async with NextHop(offers=("PIPELINING", "8BITMIME")) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            await until(lambda: yard.states() == ["bounced", "done"])
            await worker.stop()
            assert hop.taken == []
            text, status, _ = report_in(inside.taken[0].content)
            assert "ünal@example.net" in text
            assert "Status: 5.6.7" in str(status)
            assert "Final-Recipient: utf-8; \\x{FC}nal@example.net" in str(status)

    asyncio.run(work())


def test_a_delay_is_reported_once(yard: Yard) -> None:
    """After four hours the sender is told that the message is delayed: once, and that nothing need be done."""
    yard.queue("ann@example.net")

    async def work() -> None:
        async with NextHop({"RCPT": "451 4.7.1 not now"}) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            for attempt in range(1, 5):
                await until(lambda: yard.entries()[0].attempts == attempt)  # noqa: B023
                yard.clock.pass_(4 * HOUR)
            await until(lambda: yard.entries()[0].attempts == 5)
            await until(lambda: yard.states().count("done") == 1)
            await worker.stop()
            assert [b"Action: delayed" in mail.content for mail in inside.taken] == [True]
            assert yard.entries()[0].warned_at is not None

    asyncio.run(work())


@pytest.mark.parametrize(
    ("envelope", "recipient", "kind"),
    [
        (QueuedEnvelope(""), EntryEnvelope("ann@example.net"), Kind.MAIL),
        (QueuedEnvelope("bob@example.org"), EntryEnvelope("ann@example.net", notify=("NEVER",)), Kind.MAIL),
        (QueuedEnvelope("bob@example.org"), EntryEnvelope("ann@example.net", notify=("SUCCESS",)), Kind.MAIL),
        (QueuedEnvelope("", report_to=""), EntryEnvelope("ann@example.net"), Kind.NOTICE),
        (QueuedEnvelope("", report_to="bob@example.org"), EntryEnvelope("ann@example.net"), Kind.RECEIPT),
        (QueuedEnvelope("", report_to="bob@example.org"), EntryEnvelope("ann@example.net"), Kind.DSN),
    ],
    ids=["null sender", "never", "success only", "nobody to tell", "receipt", "report"],
)
def test_what_is_never_reported(yard: Yard, envelope: QueuedEnvelope, recipient: EntryEnvelope, kind: Kind) -> None:
    """A failure is not reported to the null sender, against NOTIFY, about a receipt, or about a report."""
    yard.queue(recipient, envelope=envelope, kind=kind)

    async def work() -> None:
        async with NextHop({"RCPT": "550 5.1.1 no"}) as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["bounced"])
            await worker.stop()
            assert hop.taken == []

    asyncio.run(work())
    assert len(yard.entries()) == 1
    assert yard.spooled() == 0


def test_a_failed_notice_is_reported_to_the_sender_of_the_original(yard: Yard) -> None:
    """Not our own return address but the person who wrote the original learns that a notice failed."""
    yard.queue(
        "ann@example.net",
        envelope=QueuedEnvelope("b.x@letter.example.org", report_to="bob@example.org"),
        kind=Kind.NOTICE,
        parent=b"p" * 16,
    )

    async def work() -> None:
        async with NextHop({"RCPT": "550 5.1.1 no"}) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            await until(lambda: yard.states() == ["bounced", "done"])
            await worker.stop()
            report = inside.taken[0]
            assert "RCPT TO:<bob@example.org>" in " ".join(report.commands)
            assert b"the recipient does not know of it" in report.content
            assert b"Diagnostic-Code: smtp; 550 5.1.1 no" in report.content

    asyncio.run(work())


@pytest.mark.parametrize(("offers", "reports"), [(("DSN", "PIPELINING"), 0), (("PIPELINING",), 1)])
def test_success_is_reported_where_nobody_else_will(yard: Yard, offers: tuple[str, ...], reports: int) -> None:
    """NOTIFY=SUCCESS: a next hop with DSN takes the duty over; for one without it we report "relayed".

    The report names envelope and recipient as the sender's program did (RFC 3461 sections 4.2, 4.4), and brings headers
    back whatever RET says.
    """
    path = EntryEnvelope("ann@example.net", "rfc822;Ann+2Bold@example.net", ("SUCCESS", "FAILURE"))
    yard.queue(path, envelope=QueuedEnvelope("bob@example.org", ret="FULL", envid="QQ+3D314"))

    async def work() -> None:
        async with NextHop(offers=offers) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            await until(lambda: yard.states() == ["done"] * (1 + reports))
            await worker.stop()
            assert len(inside.taken) == reports
            for mail in inside.taken:
                _, machine, headers = report_in(mail.content)
                general, of_ann = cast("list[Message]", machine.get_payload())
                assert general["Original-Envelope-Id"] == "QQ=314"
                assert (of_ann["Action"], of_ann["Original-Recipient"]) == ("relayed", "rfc822; Ann+old@example.net")
                assert "Subject: hello" in headers
                assert "Dear Ann" not in headers

    asyncio.run(work())


def test_a_code_that_lapsed_is_not_sent(yard: Yard) -> None:
    """After its end a code mail is given up without an attempt and without a report."""
    lapses = QueuedEnvelope("", until=yard.clock() + 10 * MINUTE, report_to="bob@example.org")
    yard.queue("ann@example.net", envelope=lapses, kind=Kind.CODE)
    yard.clock.pass_(10 * MINUTE)

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["bounced"])
            await worker.stop()
            assert hop.connections == 0

    asyncio.run(work())


def test_an_answer_that_waited_for_the_gateway_is_tried_once(yard: Yard) -> None:
    """A gateway that was off, or mail that was paused, for longer than an answer may wait: its person gets it still."""
    yard.queue("ann@example.org", envelope=QueuedEnvelope("", until=yard.clock() + DAY), kind=Kind.REPLY)
    yard.clock.pass_(2 * DAY)

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"])
            await worker.stop()

    asyncio.run(work())


def test_one_slow_route_holds_up_no_other(yard: Yard) -> None:
    """While a next hop never answers, with more mail for it than it has couriers, others get theirs."""
    for number in range(30):
        yard.queue(f"u{number}@example.net")
    yard.queue("eve@example.org")

    async def work() -> None:
        async with NextHop({"MAIL": SILENCE}) as tarpit, NextHop() as inside:
            worker = yard.delivery(yard.routes([tarpit], [inside]))
            await worker.start()
            await until(lambda: len(inside.taken) == 1)
            await until(lambda: "done" in yard.states())
            await worker.stop(0.05)

    asyncio.run(work())
    assert set(yard.states()) == {"done", "due"}


def test_more_than_a_hundred_recipients_take_several_transactions(yard: Yard) -> None:
    """A message for 250 people leaves in three transactions of at most 100."""
    yard.queue(*(f"u{number}@example.net" for number in range(250)))

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"] * 250)
            await worker.stop()
            assert max(len(mail.commands) - 1 for mail in hop.taken) <= 100
            assert sum(len(mail.commands) - 1 for mail in hop.taken) == 250

    asyncio.run(work())
    assert yard.spooled() == 0


@pytest.mark.parametrize("refusal", ["452 4.5.3 too many recipients", "452 too many"])
def test_who_did_not_fit_goes_in_the_next_transaction(yard: Yard, refusal: str) -> None:
    """A next hop that takes two recipients at a time gets five in three transactions, at once and on one connection."""
    fits = "250 2.1.5 ok"
    yard.queue(*(f"u{number}@example.net" for number in range(5)))

    async def work() -> None:
        async with NextHop({"RCPT": [fits, fits, refusal, refusal, refusal, fits, fits, refusal]}) as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"] * 5)
            await worker.stop()
            assert hop.connections == 1
            assert len(hop.taken) == hop.seen.count("DATA") == 3

    asyncio.run(work())
    assert {row.attempts for row in yard.entries()} == {1}
    assert yard.spooled() == 0


@pytest.mark.parametrize(
    ("replies", "states"),
    [
        (["250 ok", "452 4.2.2 mailbox full"], ["done", "due"]),
        (["452 4.5.3 too many", "452 4.5.3 too many"], ["due", "due"]),
        (["250 ok", "452 4.5.3 too many", "452 4.5.3 too many today"], ["done", "due"]),
    ],
    ids=["a full mailbox", "nobody taken", "nobody taken any more"],
)
def test_a_next_hop_that_takes_nobody_more_is_asked_later(yard: Yard, replies: list[str], states: list[str]) -> None:
    """452 that is about something else, or to all, is no lack of room in one transaction: the ladder's pause."""
    yard.queue("ann@example.net", "ben@example.net")

    async def work() -> None:
        async with NextHop({"RCPT": list(replies)}) as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: {row.attempts for row in yard.entries()} == {1})
            await worker.stop()
            assert yard.states() == states
            assert sum(command.startswith("RCPT") for command in hop.seen) == len(replies)

    asyncio.run(work())


def test_a_graceful_stop_gives_back_what_was_not_begun(yard: Yard) -> None:
    """Stop with a slow next hop: what was not begun is due at once, what was begun is deferred; nothing is lost."""
    for number in range(20):
        yard.queue(f"u{number}@example.net")

    async def work() -> None:
        async with NextHop({".": SILENCE}) as hop:
            worker = yard.delivery(yard.routes([hop]), couriers=2)
            await worker.start()
            await until(lambda: hop.seen.count(".") == 2)
            await worker.stop(0.05)

    asyncio.run(work())
    rows = yard.entries()
    assert {row.state for row in rows} == {"due"}
    assert sorted(row.attempts for row in rows) == [0] * 18 + [1] * 2
    assert sum(row.due_at <= yard.clock() for row in rows) == 18
    assert yard.spooled() == 20


def test_a_restarted_worker_finds_its_own_leases(yard: Yard) -> None:
    """What a crashed worker had leased is sent by its successor at once, not when the lease lapses."""

    async def work() -> None:
        async with NextHop() as hop:
            crashed = yard.delivery(yard.routes([hop]))
            reservation = crashed.reserve(100)
            assert reservation is not None
            draft = yard.draft("ann@example.net", lease=reservation.lease)
            await yard.store.commit(lambda conn: insert_message(conn, draft))
            other = yard.delivery(yard.routes([hop]), worker=1)
            await other.start()
            await other.stop()
            assert yard.states() == ["leased"], "another worker leaves it alone"
            successor = yard.delivery(yard.routes([hop]))
            await successor.start()
            await until(lambda: yard.states() == ["done"])
            await successor.stop()
            assert len(hop.taken) == 1

    asyncio.run(work())


def test_two_workers_send_each_message_once(any_yard: Yard) -> None:
    """Two workers on one queue: everything arrives, nothing twice. On both databases."""
    yard = any_yard
    for number in range(60):
        yard.queue(f"u{number}@example.net")

    async def work() -> None:
        async with NextHop() as hop:
            workers = [yard.delivery(yard.routes([hop]), worker=number) for number in range(2)]
            await asyncio.gather(*(worker.start() for worker in workers))
            await until(lambda: yard.states() == ["done"] * 60, 30)
            await asyncio.gather(*(worker.stop() for worker in workers))
            sent = sorted(mail.commands[1] for mail in hop.taken)
            assert len(sent) == len(set(sent)) == 60

    asyncio.run(work())


def test_outcomes_wait_for_a_store_that_refuses(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store does not take an outcome it is kept and recorded later; the mail is not sent again."""
    yard.queue("ann@example.net")
    real = yard.store.commit
    refusals = [StoreError("the database is locked")] * 3

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: len(hop.taken) == 1 or hop.seen.count("DATA") == 1)

            async def refusing(job: object) -> object:
                if refusals:
                    raise refusals.pop()
                return await real(job)  # type: ignore[arg-type]

            monkeypatch.setattr(yard.store, "commit", refusing)
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            assert len(hop.taken) == 1

    asyncio.run(work())


@pytest.mark.parametrize(("seconds", "state"), [(60, "done"), (0, "leased")], ids=["in time", "too late"])
def test_a_stop_waits_for_a_store_that_refuses(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, seconds: float, state: str
) -> None:
    """What was sent is recorded as long as the stop has time; else it would be sent again after the start."""
    yard.queue("ann@example.net")
    real, close = yard.store.commit, Recorder.close
    refusals = [StoreError("the database is locked")] * 3
    closed = asyncio.Event()

    def closing(self: Recorder, *time: float) -> None:
        close(self, *time)
        closed.set()

    async def work() -> None:
        async with NextHop() as hop:

            async def refusing(job: Any, **_more: Any) -> Any:
                if "DATA" not in hop.seen or (closed.is_set() and not refusals):
                    return await real(job)
                raise refusals.pop() if closed.is_set() else StoreError("the database is locked")

            monkeypatch.setattr(yard.store, "commit", refusing)
            monkeypatch.setattr(Recorder, "close", closing)
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: len(hop.taken) == 1)
            await worker.stop(seconds)

    asyncio.run(work())
    assert yard.states() == [state]


def test_a_lost_final_reply_is_deferred_and_may_arrive_twice(yard: Yard) -> None:
    """A connection lost between final dot and reply defers: at most one extra copy, with the same Message-ID."""
    yard.queue("ann@example.net")

    async def work() -> None:
        async with NextHop({".": [DROP]}) as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.entries()[0].attempts == 1)
            yard.clock.pass_(MINUTE)
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            assert hop.seen.count(".") == 2

    asyncio.run(work())


def test_a_worker_that_lost_its_lease_does_not_send(yard: Yard) -> None:
    """A worker that was stopped until its lease lapsed leaves the message to whoever holds it now."""

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]), poll_seconds=3600)
            await worker.start()
            reservation = worker.reserve(100)
            assert reservation is not None
            draft = yard.draft("ann@example.net", lease=reservation.lease)
            await yard.store.commit(lambda conn: insert_message(conn, draft))
            yard.clock.pass_(LEASE)
            worker.offer(reservation, [draft])
            await until(lambda: worker.holding == 0)
            await worker.stop()
            assert hop.connections == 0

    asyncio.run(work())
    assert yard.states() == ["leased"]


def test_what_was_sent_is_recorded_after_an_outage_longer_than_its_lease(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store takes no outcome until the lease has lapsed: nobody else has the entry, so it is not sent again."""
    yard.queue("ann@example.net")
    real, houses, refusing = yard.store.commit, 0, True

    async def commit(job: Callable[[Connection], Any], *, patience: float = 0.0) -> Any:
        nonlocal houses
        if refusing and getattr(job, "func", None) is record:
            raise StoreError("the database is locked")
        houses += job.__qualname__.startswith("Claims.keep_house") if refusing and hop_has_it else 0
        return await real(job, patience=patience)

    hop_has_it = False

    async def work() -> None:
        nonlocal hop_has_it, refusing
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: len(hop.taken) == 1)
            yard.clock.pass_(LEASE + MINUTE)
            hop_has_it = True
            await until(lambda: houses == 2)
            refusing = False
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            assert len(hop.taken) == 1

    monkeypatch.setattr("relay.queue.delivery.HOUSEKEEPING_POLLS", 2)
    monkeypatch.setattr(yard.store, "commit", commit)
    asyncio.run(work())


def test_a_worker_that_stood_still_in_the_middle_of_data_does_not_finish(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease has lapsed before the final dot: the next hop gets half a message, and forgets it."""

    def stand_still(place: str) -> None:
        if place == "delivery: DATA answered" and yard.clock.time == START:
            yard.clock.pass_(LEASE)

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]), poll_seconds=3600)
            await worker.start()
            reservation = worker.reserve(100)
            assert reservation is not None
            draft = yard.draft("ann@example.net", lease=reservation.lease)
            await yard.store.commit(lambda conn: insert_message(conn, draft))
            worker.offer(reservation, [draft])
            await until(lambda: yard.states() == ["due"])
            assert hop.taken == []
            await worker.stop()

    monkeypatch.setattr("relay.queue.session.reached", stand_still)
    asyncio.run(work())


def test_a_defect_of_ours_sends_nothing_twice(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """When audit or report cannot be written for a reason nobody thought of, the outcome is recorded all the same."""
    yard.queue("ann@example.net")

    def defect(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(yard.audit, "append", defect)

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            assert len(hop.taken) == 1

    asyncio.run(work())


def test_a_defect_while_sending_defers(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error in one message puts that message off and lets the others through."""
    yard.queue("ann@example.net", "ben@example.net")
    yard.queue("cat@example.net")
    real = Transport.send

    async def sometimes(self: Transport, route: Route, mail: Transaction) -> tuple[Outcome, ...]:
        if len(mail.paths) == 2:
            raise RuntimeError("nobody thought of this")
        return await real(self, route, mail)

    monkeypatch.setattr(Transport, "send", sometimes)

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: [row.attempts for row in yard.entries()] == [1, 1, 1])
            assert yard.states() == ["done", "due", "due"]
            await worker.stop()

    asyncio.run(work())


def test_the_ladder_of_the_yard_is_the_documented_one() -> None:
    """The tests above count with the pauses that the documentation promises."""
    assert LADDER.pauses[0] == MINUTE
    assert LADDER.give_up_after == 5 * DAY
