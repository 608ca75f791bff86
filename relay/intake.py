"""One message from DATA to durable: read, judge, route, plan, commit, reply.

The client owns the message until it hears 250. So everything that follows from it is written in one commit, and
anything that goes wrong before that commit is an error reply and leaves nothing behind.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar, cast
from weakref import WeakValueDictionary

import structlog

from relay import clock
from relay.conversation.reception import Reception, Sorted
from relay.errors import OvertakenError, StoreError
from relay.fail_points import reached
from relay.judging import Judge
from relay.memory import LARGE, WaitingRoom
from relay.message.content import reads_alone
from relay.message.headers import count_received
from relay.message.trace import MAX_HOPS
from relay.mishaps import Mishaps, Watch
from relay.plan import Arrival, Part, Plan, Received, write
from relay.planning import Planner
from relay.queue.delivery import Delivery, Reservation
from relay.queue.incoming import Incoming
from relay.recognition import Recognition, still_so
from relay.routing import route
from relay.smtp.overflow import OnDisk
from relay.smtp.values import ClientFacts, Reply, SmtpEnvelope
from relay.store.audit import Audit
from relay.store.room import Reserve
from relay.store.writer import Store
from relay.vault.vault import Vault

T = TypeVar("T")

SMALL = 128 << 10  # octets; what is larger, or has attachments or many numbers, is judged off the event loop
MOST_DIGITS = 4096  # each number is looked at by itself: a text of nothing else takes a microsecond an octet
COPIES = 3  # of a large message that judging holds at once: its octets, its parts decoded, and one on the way to both
_DIGITS = b"0123456789"
_ATTEMPTS = 5  # of planning a message again; messages of the same Message-ID take turns in this process
JUDGES = 4  # messages judged at the same time in one process, beside the event loop

_TOO_MANY_HOPS = Reply(554, "5.4.6", "Too many hops: this message is going round in a circle")
_log = structlog.get_logger()


class Intake:
    """What the front door awaits for each message (relay.smtp.values.Accept)."""

    def __init__(
        self,
        *,
        recognition: Recognition,
        judge: Judge,
        reception: Reception,
        planner: Planner,
        store: Store,
        vault: Vault,
        audit: Audit,
        delivery: Delivery,
        mishaps: Mishaps,
        judging: WaitingRoom,
        reserve: Reserve,
        inline_limit: int,
    ) -> None:
        self._recognition = recognition
        self._judge = judge
        self._reception = reception
        self._planner = planner
        self._vault = vault
        self._audit = audit
        self._store = store
        self._delivery = delivery
        self._mishaps = mishaps
        self._judging = judging
        self._reserve = reserve
        self._small = min(SMALL, inline_limit)  # what is larger is spooled to a file, which takes syncs
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._threads = ThreadPoolExecutor(JUDGES, thread_name_prefix="judge")

    def close(self) -> None:
        """Wait for what is being judged."""
        self._threads.shutdown()

    async def __call__(self, envelope: SmtpEnvelope, content: bytes | OnDisk, client: ClientFacts) -> Reply:
        """Make the message durable, or refuse it, and say so. A large one waits, on disk, for its turn to be judged.

        StoreError and StoreFullError leave (451, 452); any other error is a defect of ours and becomes 451.
        """
        if isinstance(content, bytes):
            return await self._accept(envelope, content, client)
        incoming = cast("Incoming", content)  # the doors were given the disk that makes these
        room = await self._judging.take(COPIES * incoming.size)
        try:
            return await self._accept(envelope, await self._aside(partial(incoming.whole)), client, incoming)
        finally:
            self._judging.give_back(room)

    async def _accept(
        self, envelope: SmtpEnvelope, content: bytes, client: ClientFacts, incoming: Incoming | None = None
    ) -> Reply:
        if count_received(content) > MAX_HOPS:
            return _TOO_MANY_HOPS
        self._reserve.ensure()
        small = len(content) <= self._small
        watch = self._mishaps.watch(content)
        reading = watch.read(content) if small else await self._aside(partial(watch.read, content))
        reservation = self._delivery.reserve(min(len(content), LARGE))  # what is larger is sent from disk
        lease = reservation.lease if reservation else None
        message_id = incoming.message_id if incoming else clock.new_queue_id()
        arrival = Arrival(message_id, clock.now(), envelope, content, client, reading, lease, incoming=incoming)
        # Plain text is judged in less time than it takes to change threads twice.
        quick = small and reads_alone(reading) and few_digits(content) and not self._reception.concerns(arrival)
        try:
            plan = await self._commit(arrival, watch, quick=quick)
        except BaseException:
            if reservation:
                self._delivery.cancel(reservation)
            raise
        # Durable before 250: only now is the message ours. What follows waits until the client has been told, and may
        # fail without losing anything, because the entries are in the queue under a lease that lapses.
        asyncio.get_running_loop().call_soon(self._hand_over, plan, reservation, len(content))
        return plan.refusal or Reply(250, "2.0.0", f"Ok: queued as {clock.id_text(plan.message_id)}")

    def _hand_over(self, plan: Plan, reservation: Reservation | None, octets: int) -> None:
        queue_id = clock.id_text(plan.message_id)
        try:
            if reservation:
                self._delivery.offer(reservation, plan.drafts)
        except Exception:  # noqa: BLE001  # a defect of ours: it is sent when the lease has lapsed
            _log.exception("not handed over", queue_id=queue_id)
        reached("reception: handed over")
        if not plan.refusal:
            _log.info("accepted", queue_id=queue_id, size=octets, actions=list(plan.actions))

    async def _commit(self, arrival: Arrival, watch: Watch, *, quick: bool) -> Plan:
        """Plan and write; again when something else was written meanwhile that the plan would have counted with."""
        try:
            return await self._attempt(arrival, watch, quick=quick, again=False)
        except OvertakenError:
            # Pieces of one message come at the same moment: one after the other, each sees what came of the last.
            turn = self._turns.setdefault(arrival.reading.message_id, asyncio.Lock())
        async with turn:
            for _ in range(_ATTEMPTS):
                with suppress(OvertakenError):
                    return await self._attempt(arrival, watch, quick=False, again=True)
        raise StoreError("the same message was being written by others all the time")

    async def _attempt(self, arrival: Arrival, watch: Watch, *, quick: bool, again: bool) -> Plan:
        prepare = partial(watch.over, partial(self._prepare, arrival, again))
        plan = prepare() if quick else await self._aside(prepare)
        reached("reception: planned")
        await self._store.commit(partial(write, plan=plan, vault=self._vault, audit=self._audit))
        reached("reception: committed")
        return plan

    def _prepare(self, arrival: Arrival, again: bool) -> Plan:
        """Recognise, sort, judge and route, then plan the commit; sealed blobs are durable when this returns. Blocking.

        OvertakenError when a conversation changed under its hands: plan again.
        """
        known = self._recognition.recognise(arrival, again=again)
        if isinstance(known, Reply):
            return self._planner.turn_away(arrival, known)
        plan = self._sorted(known)
        return plan if plan.refusal else plan.joined((Part(changes=still_so(known)),))

    def _sorted(self, arrival: Arrival) -> Plan:
        outcome = self._reception.sort(arrival)
        if isinstance(outcome, Reply):
            return self._planner.turn_away(arrival, outcome)
        if not outcome.arrival.envelope.recipients:
            return self._planner.record(arrival, outcome.direction).joined(outcome.parts)
        return self._judged(outcome)

    def _judged(self, sorted_: Sorted) -> Plan:
        arrival = sorted_.arrival
        if arrival.earlier.messages:
            arrival = arrival.to(self._planner.unknown(arrival))
            if not arrival.envelope.recipients:
                return self._planner.repeat(arrival).joined(sorted_.parts)
        envelope, reading = arrival.envelope, arrival.reading
        addresses = [one.address for one in envelope.recipients]
        judgement = self._judge.judge(envelope.reverse_path, addresses, reading, floor=sorted_.floor)
        reached("reception: judged")
        routing = route(
            envelope.recipients,
            judgement.verdicts,
            null_sender=not envelope.reverse_path,
            auto_submitted=reading.auto_submitted,
            sender_inside=self._judge.inside(judgement.sender),
        )
        received = Received(arrival, judgement, routing)
        if routing.refusal:
            # Nothing of it happens then, at the desks neither: whoever sent it is told, and sends what is right.
            return self._planner.refuse(received, routing.refusal)
        return self._planner.accept(received).joined(sorted_.parts)

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def few_digits(content: bytes) -> bool:
    """Tell whether a message holds so few digits that judging its numbers takes a few milliseconds at most."""
    return len(content) <= MOST_DIGITS or len(content) - len(content.translate(None, _DIGITS)) <= MOST_DIGITS
