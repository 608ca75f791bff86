"""One relay process: front door, delivery, the portal's requests, and the duties that one process at a time has."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import structlog
import uvloop

from relay import alerts
from relay.alerts import Alerts, clock_jumped, less_confined
from relay.clock import monotonic
from relay.config.model import Configuration
from relay.config.source import Source
from relay.conversation import read_reports, silence
from relay.conversation.read_reports import ReadReports
from relay.conversation.silence import Silence
from relay.cores import keep_to_one
from relay.gateway import Gateway, open_gateway, refurnish
from relay.health import Problem
from relay.housekeeping import HOLDS_EVERY, RECEIPTS_EVERY, Duty, Housekeeping
from relay.notices.receipts import ReceiptNotices
from relay.notices.reminders import ReminderNotices
from relay.outgoing import letterhead_of
from relay.queue.errands import Errands
from relay.renewing import renew_on_hangup
from relay.services import Service
from relay.smtp.listener import watch_certificates
from relay.store.slot import Slot

FINISH_WITHIN = 25.0  # seconds for transactions and deliveries that are under way; the supervisor waits 30
DELIVER_FOR = 8.0  # of these, for deliveries in any case

_log = structlog.get_logger()


class Duties:
    """What a relay process does beside the front door and delivery. At a renewal all of it begins anew."""

    def __init__(self, gateway: Gateway) -> None:
        self._tasks = [asyncio.create_task(one) for one in _duties(gateway)]

    async def end(self) -> None:
        """Stop at the next pause. A transaction that runs in a thread is finished there: each can be repeated."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _duties(gateway: Gateway) -> tuple[Coroutine[Any, Any, None], ...]:
    errands = Errands(gateway.store, gateway.keyring, gateway.audit, gateway.delivery, gateway.clerks, gateway.owner)
    more = (
        Duty("receipts", RECEIPTS_EVERY, gateway.receipts.any_due, gateway.receipts.send_due),
        Duty("holds", HOLDS_EVERY, gateway.holding.any_due, gateway.holding.return_due),
        Duty("silence", silence.EVERY, (unread := _silence(gateway)).waits, unread.look),
        Duty("read reports", read_reports.EVERY, (reads := _read_reports(gateway)).waits, reads.report),
        Duty("alerts", alerts.EVERY, (watch := _alerts(gateway)).waits, watch.look),
    )
    housekeeping = Housekeeping(gateway.store, gateway.blobs, gateway.keyring, gateway.audit, gateway.owner, more)
    return errands.run(), housekeeping.run()


def _read_reports(gateway: Gateway) -> ReadReports:
    notices = ReceiptNotices(letterhead_of(gateway.configuration))
    domain = gateway.configuration.gateway.domain
    return ReadReports(gateway.store, gateway.keyring, notices, gateway.spooler, gateway.routes, domain)


def _silence(gateway: Gateway) -> Silence:
    configuration = gateway.configuration
    return Silence(
        gateway.store,
        gateway.keyring,
        gateway.audit,
        ReminderNotices(letterhead_of(configuration)),
        gateway.spooler,
        gateway.routes,
        configuration.gateway.domain,
        configuration.reminders.after,
        frozenset(rule.name for rule in configuration.rules if rule.receipt == "never"),
    )


def _alerts(gateway: Gateway) -> Alerts:
    def local() -> tuple[Problem, ...]:
        return (*less_confined(gateway.extractor.refused), *clock_jumped(gateway.delivery.clock_jump))

    return Alerts(gateway.configuration, gateway.store, gateway.spooler, gateway.routes, local)


async def work(gateway: Gateway, source: Source) -> None:
    """Run everything of one relay process until SIGTERM or SIGINT, then stop in order.

    The front door closes first, so that nothing new comes in; then what was accepted is sent or given back to the
    queue, and the last outcomes are recorded before the store closes. SIGHUP renews the configuration from ``source``.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    await gateway.delivery.start()
    duties = Duties(gateway)
    naming = asyncio.create_task(_watch_name(gateway.slot, stopping))

    async def renew(configuration: Configuration) -> None:
        nonlocal gateway, duties
        renewed = await asyncio.to_thread(refurnish, gateway, configuration)
        await duties.end()
        renewed.take_over()
        gateway, duties = renewed, Duties(renewed)

    watching: list[asyncio.Task[None]] = []
    ends = 0.0
    try:
        for listener in gateway.listeners:
            await listener.start()
        watching = [
            asyncio.create_task(renew_on_hangup(source, renew)),
            asyncio.create_task(watch_certificates(gateway.listeners)),
        ]
        await stopping.wait()
        _log.info("stopping")
        ends = monotonic() + FINISH_WITHIN
        try:
            async with asyncio.timeout(FINISH_WITHIN - DELIVER_FOR):
                await asyncio.gather(*(listener.stop(FINISH_WITHIN / 2) for listener in gateway.listeners))
        except TimeoutError:  # its client has heard no 250, and sends it again
            _log.warning("a message was not finished in time")
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await duties.end()
        await gateway.delivery.stop(max(ends - monotonic(), DELIVER_FOR))
        naming.cancel()
        gateway.intake.close()
        gateway.extractor.close()
        gateway.store.close()
        gateway.slot.close()


async def _watch_name(slot: Slot, stopping: asyncio.Event) -> None:
    """Stop this process once its name is no longer its own: another one may be sending what it holds."""
    try:
        await slot.lost()
        _log.error("another process has taken this process's name: stopping")
    except Exception:  # noqa: BLE001  # a defect: whoever is not sure of its name sends nothing, for ever
        _log.exception("this process cannot look after its name: stopping")
    stopping.set()


def _serve(configuration: Configuration, source: Source, number: int) -> None:
    keep_to_one(number)  # before anything begins a thread
    gateway = open_gateway(configuration, number)
    gateway.extractor.start()
    if gateway.extractor.refused:
        # R48: what the machine does not grant is said at every start; what would need it is sealed.
        _log.warning("extraction is not fully confined", refused=list(gateway.extractor.refused))
    uvloop.run(work(gateway, source))


service = Service("relay", instances=lambda configuration: configuration.gateway.workers, serve=_serve)
