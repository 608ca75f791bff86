"""One relay process: front door, delivery, the portal's requests, and the duties that one process at a time has."""

import asyncio
import signal
from pathlib import Path

import structlog
import uvloop

from relay import clock
from relay.config.model import Configuration
from relay.gateway import Gateway, open_gateway
from relay.housekeeping import Housekeeping
from relay.queue.code_mails import CodeMails
from relay.queue.errands import Errands
from relay.queue.requests import RequestKind
from relay.services import Service
from relay.vault.retention import bury

FINISH_WITHIN = 25.0  # seconds for transactions and deliveries that are under way; the supervisor waits 30

_log = structlog.get_logger()


async def work(gateway: Gateway) -> None:
    """Run everything of one relay process until SIGTERM or SIGINT, then stop in order.

    The front door closes first, so that nothing new comes in; then what was accepted is sent or given back to the
    queue, and the last outcomes are recorded before the store closes.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    codes = CodeMails(gateway.store, gateway.keyring, gateway.notices, gateway.spooler, gateway.delivery.routes)
    clerks = {RequestKind.CODE: codes}
    errands = Errands(gateway.store, gateway.keyring, gateway.audit, gateway.delivery, clerks, gateway.owner)
    housekeeping = Housekeeping(gateway.store, gateway.blobs, gateway.keyring, gateway.audit, gateway.owner)
    # A restored backup may bring back what was destroyed early: before anything is served, it goes again.
    await asyncio.to_thread(bury, gateway.store, gateway.keyring, gateway.audit, clock.now())
    await gateway.delivery.start()
    background = [asyncio.create_task(errands.run()), asyncio.create_task(housekeeping.run())]
    try:
        for listener in gateway.listeners:
            await listener.start()
        await stopping.wait()
        _log.info("stopping")
        async with asyncio.timeout(FINISH_WITHIN):
            await asyncio.gather(*(listener.stop(FINISH_WITHIN / 2) for listener in gateway.listeners))
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await gateway.delivery.stop(FINISH_WITHIN / 2)
        gateway.intake.close()
        gateway.extractor.close()
        gateway.store.close()


def _serve(configuration: Configuration, _path: Path, number: int) -> None:
    gateway = open_gateway(configuration, number)
    gateway.extractor.start()
    if gateway.extractor.refused:
        # R48: what the machine does not grant is said at every start; what would need it is sealed.
        _log.warning("extraction is not fully confined", refused=list(gateway.extractor.refused))
    uvloop.run(work(gateway))


service = Service("relay", instances=lambda configuration: configuration.gateway.workers, serve=_serve)
