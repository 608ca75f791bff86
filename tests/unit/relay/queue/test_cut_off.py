"""A worker that loses its name in the database for a moment, while another machine goes on with what it held."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from relay.queue.claims import Claims
from relay.queue.destinations import Room
from relay.queue.outcomes import Outcome
from relay.queue.routes import Route
from relay.queue.transaction import Transaction
from relay.queue.transport import Transport
from relay.store.slot import GRACE, Slot, holder_is_gone
from relay.store.writer import Store, open_store
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import HOUR, PATIENCE, Yard, until

ONE, TWO = (number.to_bytes(16, "big") for number in (1, 2))


class Narrow(Transport):
    """Lets nothing through before ``open`` is set; ``knocked`` says that something wants to."""

    def __init__(self) -> None:
        super().__init__(ehlo_name="gw.example.org", patience=PATIENCE)
        self.knocked, self.open = asyncio.Event(), asyncio.Event()

    async def send(self, route: Route, mail: Transaction) -> tuple[Outcome, ...]:
        self.knocked.set()
        await self.open.wait()
        return await super().send(route, mail)


def end_sessions(store: Store) -> None:
    """End every session that holds a name, as the server does for a machine whose network was cut."""
    holders = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    store.run(lambda conn: conn.execute(text(holders)).all())


def test_who_is_not_sure_of_its_name_begins_nothing(yard: Yard) -> None:
    """As long as a worker may pass for dead nothing of what it holds is begun; then all of it, when nobody took it."""
    for number in range(3):
        yard.queue(f"reader-{number}@example.net")
    tenures: list[int | None] = [1]

    async def work() -> None:
        async with NextHop() as hop:
            narrow = Narrow()
            one = yard.delivery(yard.routes([hop]), couriers=1, tenure=lambda: tenures[-1], transport=narrow)
            await one.start()
            await narrow.knocked.wait()
            tenures.append(None)
            narrow.open.set()
            await until(lambda: one.holding == 2)
            yard.queue("ann@example.net")
            await until(lambda: one.holding == 3)
            assert len(hop.taken) == 1, "what had been begun"
            tenures.append(2)
            await until(lambda: not one.holding)
            await one.stop()
            assert len(hop.taken) == 4

    asyncio.run(work())


def test_an_absence_counts_from_when_it_was_seen(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that stood in line behind others for seconds makes nobody absent for as long."""
    yard.queue("ann@example.net")
    seconds = GRACE.total_seconds()
    times = iter([0.0, seconds, 0.0, 0.0, 0.0, 0.0])
    monkeypatch.setattr("relay.queue.claims.monotonic", lambda: next(times))

    async def work() -> None:
        dead, living = (Claims(yard.store, yard.keyring, yard.blobs, one, gone=lambda *_: True) for one in (ONE, TWO))
        await dead.claim([Room("outside", 1)], yard.clock(), HOUR)
        await living.keep_house(["outside"], yard.clock(), HOUR)
        yard.clock.pass_(GRACE)
        await living.keep_house(["outside"], yard.clock(), HOUR)
        assert yard.states() == ["leased"]
        yard.clock.pass_(GRACE)
        await living.keep_house(["outside"], yard.clock(), HOUR)
        assert yard.states() == ["due"]

    asyncio.run(work())


@pytest.mark.postgresql
def test_what_another_took_meanwhile_is_not_sent_from_memory(postgresql_url: str, tmp_path: Path) -> None:
    """Beyond what was under way, a worker that was cut off sends nothing that it held before it has asked again."""
    store = open_store(postgresql_url)
    yard = Yard.build(store, tmp_path)
    for number in range(4):
        yard.queue(f"reader-{number}@example.net")

    async def work() -> None:
        slots = [Slot(postgresql_url, f"relay-{owner[-1]}", mark=owner) for owner in (ONE, TWO)]
        async with NextHop() as hop:
            narrow = Narrow()
            routes = yard.routes([hop])
            one = yard.delivery(
                routes, worker=1, couriers=1, gone=holder_is_gone, tenure=slots[0].tenure, transport=narrow
            )
            await one.start()
            await narrow.knocked.wait()
            assert one.holding == 4
            await asyncio.to_thread(end_sessions, store)
            await asyncio.to_thread(slots[1].held)
            two = yard.delivery(routes, worker=2, gone=holder_is_gone)
            await two.start()
            async with asyncio.timeout(10):
                while len(hop.taken) < 4:
                    yard.clock.pass_(GRACE / 10)
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(slots[0].held)
            narrow.open.set()
            await until(lambda: not one.holding)
            await one.stop()
            await two.stop()
            again = [mail.commands[1] for mail in hop.taken[4:]]
            assert len(again) == 1, "what was under way at that moment, and nothing else"
        for slot in slots:
            slot.close()

    asyncio.run(work())
    store.close()
