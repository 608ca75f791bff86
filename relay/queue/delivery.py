"""The delivery worker: sends what is due, writes down what became of it, gives up in the end, and says so.

Work comes in two ways. The intake hands over what it has just committed (`Delivery.offer`), leased to this
worker in that same commit, so that a message usually leaves without having been read back; beyond a byte
budget it is simply due. And once a second, or sooner while there is more, due entries are claimed from the
table (`relay.queue.claims`). Either way they wait in the lane of their destination (`relay.queue.destinations`).

An outcome is recorded in the next group: while one commit is on its way, the outcomes of the meantime gather.
Between the final dot and that record lies the only window in which a crash sends a message twice (R3).
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from relay.clock import id_text, monotonic
from relay.errors import StoreError
from relay.fail_points import reached
from relay.memory import DELIVERY
from relay.queue.backoff import JITTER, Ladder
from relay.queue.budget import Budget
from relay.queue.claims import Claims
from relay.queue.destinations import Destinations
from relay.queue.entries import LEASE
from relay.queue.exchangers import Exchangers
from relay.queue.items import Consignment
from relay.queue.outcomes import Deferred, Outcome, crowded_out, local_answer
from relay.queue.patience import Patience
from relay.queue.recorder import RETRY_SECONDS, Recorder
from relay.queue.reports import Reports
from relay.queue.routes import Routes
from relay.queue.settling import Settled, settle
from relay.queue.spooling import Draft, Lease
from relay.queue.steady import SteadyClock
from relay.queue.transaction import transaction_of
from relay.queue.transport import Transport
from relay.store.audit import Audit
from relay.store.tables.queue import Kind
from relay.store.writer import Store
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring

POLL_SECONDS = 1.0
HOUSEKEEPING_POLLS = 15
ABSENCE_POLLS = 3  # while another worker seems to be dead

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room in this worker's memory for one message, and the lease to draft it with. Offer it or cancel it.

    ``until`` is the end of the lease by this worker's own clock.
    """

    lease: Lease
    until: datetime
    octets: int


class Delivery:
    """One worker's delivery, on one event loop. `start`, then `reserve` and `offer`, at the end `stop`.

    ``owner`` names the worker, 16 octets, the same after each restart, so that it finds its own leases; two live
    workers never share it. ``couriers`` is how many transactions run at once per route, ``budget`` how many octets of
    handed-over messages are held in memory.
    ``gone`` says whether another owner is not there; after a moment its leases need not lapse then. ``tenure`` says
    whether others may find us so (`relay.store.slot.Slot.tenure`). ``now`` and ``spread`` are injected by tests.
    """

    def __init__(
        self,
        *,
        store: Store,
        keyring: Keyring,
        blobs: BlobStore,
        audit: Audit,
        routes: Routes,
        transport: Transport,
        ladder: Ladder,
        reports: Reports,
        owner: bytes,
        couriers: int = 10,
        budget: int = DELIVERY,
        gone: Callable[[Connection, bytes], bool] = lambda _conn, _owner: False,
        tenure: Callable[[], int | None] = lambda: 0,
        now: Callable[[], datetime] | None = None,
        spread: Callable[[float, float], float] = random.uniform,
        poll_seconds: float = POLL_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.routes = routes
        self._transport = transport
        self._ladder = ladder
        self._recorder = Recorder(store, keyring, audit, reports, recorded=self._recorded, retry_seconds=retry_seconds)
        self._claims = Claims(store, keyring, blobs, owner, gone=gone, tenure=tenure)
        self._budget = Budget(budget)
        self._now = now or SteadyClock()
        self._spread = spread
        self._poll_seconds = poll_seconds
        self._poll_now = asyncio.Event()
        self._certain = asyncio.Event()
        self._destinations = Destinations(couriers, self._carry, self._poll_now.set)
        self._destinations.open(routes.by_name)
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def clock_jump(self) -> timedelta:
        """How far the clock of this machine has jumped since this process began to deliver."""
        return self._now.jump if isinstance(self._now, SteadyClock) else timedelta()

    async def start(self) -> None:
        """Take back the leases of this worker's earlier life and begin to work; StoreError when that fails."""
        await self._claims.recover(self._now())
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._poll()), loop.create_task(self._recorder.run())]

    async def stop(self, seconds: float = 20.0) -> None:
        """Stop gracefully: finish what is being sent within ``seconds``, give back the rest, record all."""
        self._stopping = True
        if not self._tasks:
            return
        self._poll_now.set()
        until = monotonic() + seconds
        polling, recording = self._tasks
        await asyncio.wait([polling], timeout=seconds)
        polling.cancel()  # if the store does not answer, nothing more is claimed all the same
        left = await self._destinations.stop(max(until - monotonic(), 0))
        self._recorder.close(until - monotonic())
        await recording
        with suppress(StoreError):  # if the store is gone, the next start recovers them
            await self._claims.release([entry.id for consignment in left for entry in consignment.entries])
        await self._transport.close()

    def reserve(self, octets: int) -> Reservation | None:
        """Return room for a message to be handed over after its commit; None: then it is simply due."""
        if self._stopping or not self._budget.take(octets):
            self._destinations.expect_more()
            return None
        now = self._now()
        return Reservation(self._claims.lease(now), now + LEASE, octets)

    def cancel(self, reservation: Reservation) -> None:
        """Give a reservation back: the message was not committed."""
        self._budget.give_back(reservation.octets)

    def offer(self, reservation: Reservation, drafts: Iterable[Draft]) -> None:
        """Send what was drafted with the reservation's lease; call it after the commit, on the event loop.

        What was drafted without a lease is due in the queue, where any process claims it: sent from here too, it would
        be sent twice.
        """
        leased = (consignment for draft in drafts if draft.leased for consignment in draft.consignments)
        jobs = [part for consignment in leased for part in self._destinations.parts(consignment)]
        self._budget.occupy(reservation.octets, jobs)
        for job in jobs:
            self._admit(job, reservation.until, claimed=False)

    def renew(
        self,
        *,
        routes: Routes,
        ladder: Ladder,
        reports: Reports,
        ehlo_name: str,
        couriers: int,
        patience: Patience,
        exchangers: Exchangers,
    ) -> None:
        """Go on under another configuration: what is being sent is finished, all that follows takes the new one.

        ``couriers`` bounds both the transactions at once to one place and the connections to one next hop.
        """
        self.routes = routes
        self._ladder = ladder
        self._recorder.report_with(reports)
        self._transport.renew(ehlo_name=ehlo_name, connections=couriers, patience=patience, exchangers=exchangers)
        self._destinations.resize(couriers)
        self._destinations.open(routes.by_name)
        self._poll_now.set()

    @property
    def holding(self) -> int:
        """How many entries this worker holds at the moment."""
        return len(self._claims)

    def _admit(self, consignment: Consignment, until: datetime, *, claimed: bool) -> None:
        self._claims.hold(consignment.entries, until)
        self._destinations.put(consignment, claimed=claimed)

    async def _carry(self, consignment: Consignment) -> None:
        """Send one consignment and settle its entries. Whatever happens, each entry gets an outcome."""
        await self._recorder.room()
        while not self._claims.certain:  # another machine may have gone on with it
            self._certain.clear()
            await self._certain.wait()
        try:
            if not self._claims.still_ours(consignment, self._now()):
                # This process was stopped or cut off for so long that somebody else may be sending it by now.
                self._claims.let_go(consignment.entries)
                return
            going = await self._claims.keep_back(consignment) if self._claims.paused else consignment
            while going is not None:
                going = await self._attempt(going)
        finally:
            self._budget.sent(consignment)

    async def _attempt(self, consignment: Consignment) -> Consignment | None:
        """Send once and settle what that decided; return what did not fit: it goes at once."""
        reached("delivery: taken up")
        outcomes = _for_all(consignment, "4.3.2", "the gateway was stopped while it was sending")
        try:
            outcomes = await self._send(consignment)
        except Exception:  # noqa: BLE001  # a defect of ours must neither lose an entry nor end the lane
            _log.exception("sending failed", queue_id=id_text(consignment.message_id))
            outcomes = _for_all(consignment, "4.3.0", "an error of this gateway; it is logged")
        finally:
            left = crowded_out(outcomes)
            self._settle(consignment, outcomes, but=left)
        return replace(consignment, entries=tuple(consignment.entries[place] for place in left)) if left else None

    async def _send(self, consignment: Consignment) -> tuple[Outcome, ...]:
        until = consignment.envelope.until
        lapsed = until is not None and self._now() >= until
        if lapsed and consignment.entries[0].kind is not Kind.REPLY:  # an answer is tried once all the same
            return _for_all(consignment, "4.4.7", "it was not taken in time")
        mail = transaction_of(consignment, ours=lambda: self._claims.still_ours(consignment, self._now()))
        return await self._transport.send(self.routes[consignment.route], mail)

    def _settle(self, consignment: Consignment, outcomes: tuple[Outcome, ...], but: Sequence[int]) -> None:
        now = self._now()
        # One draw for all: what is put off together goes together again, in one transaction and one report.
        spread = self._spread(1 - JITTER, 1 + JITTER)
        self._recorder.add(
            settle(consignment, entry, outcome, ladder=self._ladder, now=now, spread=spread)
            for place, (entry, outcome) in enumerate(zip(consignment.entries, outcomes, strict=True))
            if place not in but
        )
        reached("delivery: settled")

    def _recorded(self, group: Iterable[Settled]) -> None:
        self._claims.let_go(one.entry for one in group)

    async def _poll(self) -> None:
        polls = 0
        while not self._stopping:
            self._poll_now.clear()
            try:
                often = ABSENCE_POLLS if self._claims.somebody_is_absent else HOUSEKEEPING_POLLS
                if polls % often == 0 or self._claims.in_doubt:
                    await self._keep_house()
                if self._claims.certain:
                    self._certain.set()
                if await self._claim():
                    self._poll_now.set()
            except StoreError as error:
                _log.warning("queue not read", reason=str(error))
            except Exception:  # noqa: BLE001  # a defect of ours must not end the polling
                _log.exception("queue not read")
            polls += 1
            self._transport.tidy()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._poll_now.wait()

    async def _claim(self) -> bool:
        """Claim what is due, as far as the lanes have room, and put it into them; True: there may be more at once."""
        now = self._now()
        rooms = self._destinations.rooms()
        consignments, taken = await self._claims.claim(rooms, now, self._ladder.longest)
        if self._claims.by_hand:
            self._transport.ask_again()
        for consignment in consignments:
            for part in self._destinations.parts(consignment):
                self._admit(part, now + LEASE, claimed=True)
        return self._destinations.claimed(rooms, taken)

    async def _keep_house(self) -> None:
        """Keep the leases right, and serve mail whose route is gone; say where the clock has jumped."""
        unknown = await self._claims.keep_house(self._destinations.routes, self._now(), self._ladder.longest)
        if unknown:
            # Its time runs like that of any mail that cannot be sent: in the end the sender gets a report.
            _log.error("mail waits for routes that relay.toml does not have", routes=unknown)
            self._destinations.open(self.routes.by_name, unknown)
        if self.clock_jump:
            _log.error("the clock of this machine has jumped", seconds=self.clock_jump.total_seconds())


def _for_all(consignment: Consignment, enhanced: str, text: str) -> tuple[Outcome, ...]:
    return (Deferred(local_answer(enhanced, text)),) * len(consignment.entries)
