"""How a supervised process goes on under another configuration while it runs (SIGHUP, R8)."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog

from relay.config.model import Configuration
from relay.config.source import Source
from relay.errors import LetterlockError

_log = structlog.get_logger()


async def renew_on_hangup(source: Source, renew: Callable[[Configuration], Awaitable[None]]) -> None:
    """Await ``renew`` with the configuration each time that SIGHUP comes, for ever; cancel to stop.

    What cannot be loaded, and what ``renew`` raises, is logged, and the process goes on as it was: the supervisor has
    found the file sound, but a file that it names may have been changed since. A signal that was blocked until now
    comes at once. On the main thread's loop.
    """
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    while True:
        await asked.wait()
        asked.clear()
        try:
            await renew(await asyncio.to_thread(source.load))
        except (LetterlockError, OSError, ValueError) as error:
            _log.error("configuration not taken", problem=str(error))  # the sentence is the report
        except Exception:  # noqa: BLE001  # a defect of ours must not end a process that works
            _log.exception("configuration not taken")
        else:
            _log.info("configuration renewed")
