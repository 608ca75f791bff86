"""How long outcomes wait for a commit to share, and how many of them a defect concerns."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from relay.clock import id_text
from relay.queue.backoff import JITTER
from relay.queue.dsn import ReportedRecipient, Reporter
from relay.queue.entries import claim, load
from relay.queue.outcomes import Answer, Failed
from relay.queue.recorder import ENOUGH, GATHER_MOST, GATHER_SECONDS, Recorder
from relay.queue.settling import Settled, settle
from relay.store.tables.queue import EntryState
from relay.store.writer import Store
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import LADDER, Yard


class Slow:
    """A store whose commits take so long; it keeps what patience it was asked for."""

    def __init__(self, seconds: float) -> None:
        self.commit_seconds = seconds
        self.patience: list[float] = []
        self.asked = asyncio.Event()

    async def commit(self, _work: object, *, patience: float = 0.0) -> None:
        self.patience.append(patience)
        self.asked.set()


class Outcome:
    """As much of one as the recorder looks at; nothing is left to be logged."""

    report = None
    state = EntryState.DONE


@pytest.mark.parametrize(
    ("seconds", "outcomes", "patience"),
    [
        (0.0, 1, GATHER_SECONDS),
        (0.0005, 1, GATHER_SECONDS),
        (0.004, 1, pytest.approx(0.04)),
        (3.0, 1, GATHER_MOST),
        (3.0, ENOUGH, 0.0),
    ],
)
def test_outcomes_wait_longer_where_commits_take_long(seconds: float, outcomes: int, patience: float) -> None:
    """Ten commits long, within bounds; many wait for nobody."""

    async def record() -> list[float]:
        store = Slow(seconds)
        recorder = Recorder(cast("Store", store), *cast("Any", (None, None, None)), recorded=lambda _group: None)
        recorder.add([cast("Settled", Outcome()) for _ in range(outcomes)])
        running = asyncio.create_task(recorder.run())
        await store.asked.wait()
        recorder.close()
        await running
        return store.patience

    assert asyncio.run(record()) == [patience]


def test_a_report_that_fails_through_a_defect_fails_alone(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other messages of its group are reported to their senders; of the one the state is kept, and the log has it."""
    messages = {name: yard.queue(f"{name}@example.net").message_id for name in ("ann", "bad", "cat")}
    rows = yard.store.run(lambda conn: claim(conn, b"w" * 16, "outside", yard.clock(), 10))
    with yard.store.read() as conn:
        consignments, _ = load(conn, yard.keyring, yard.blobs, rows)
    refused = Failed(Answer(550, "5.1.1", "no such user", "hop.test:25"))
    group = [
        settle(one, entry, refused, ladder=LADDER, now=yard.clock(), spread=1 - JITTER)
        for one in consignments
        for entry in one.entries
    ]
    compose = Reporter.compose

    def composed(self: Reporter, *, recipients: Sequence[ReportedRecipient], **more: Any) -> bytes:
        if recipients[0].address == "bad@example.net":
            raise AttributeError("as from a defect")
        return compose(self, recipients=recipients, **more)

    monkeypatch.setattr(Reporter, "compose", composed)

    async def record() -> None:
        async with NextHop() as hop:
            recorder = yard.delivery(yard.routes([hop]))._recorder
            recorder.add(group)
            recorder.close()
            await recorder.run()

    with capture_logs() as lines:
        asyncio.run(record())
    assert yard.states() == ["bounced"] * 3 + ["due"] * 2
    ids = [line["queue_id"] for line in lines if line["log_level"] == "error"]
    assert ids == [id_text(messages["bad"])]
