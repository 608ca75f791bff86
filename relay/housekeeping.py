"""Duties that one process at a time has: folding history, signing checkpoints, removing what was sent or expired.

Every relay process runs this; a lease in the store decides which of them does a duty now. When that process dies,
its lease lapses and another takes over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from relay import clock
from relay.errors import LetterlockError
from relay.store.audit import Audit
from relay.store.checkpoints import checkpoint
from relay.store.duties import hold
from relay.store.folding import fold, waits_to_be_folded
from relay.store.writer import Store
from relay.vault import progress
from relay.vault.blobs import BlobStore, doomed
from relay.vault.keyring import Keyring
from relay.vault.retention import sweep
from relay.vault.sweeping import purge

T = TypeVar("T")
_log = structlog.get_logger()
FOLD_EVERY = 0.1  # seconds; judging reads what is not folded yet, so this bounds what a busy sender's tail costs
FOLD_IDLE = 0.3  # seconds more while nobody sends
FOLD_PATIENCE = 0.3  # it shares the commit of a message: alone it costs the disk a sync, and a message its turn
CHECKPOINT_EVERY = 60.0
PURGE_EVERY = 2.0  # files of messages that were sent
SWEEP_EVERY = 600.0
RECEIPTS_EVERY = 1.0
HOLDS_EVERY = 10.0  # looking for questions whose time is over
AFTER_FAILURE = 5.0  # a database that is away for an hour shall not fill the log
FOLDED_AT_ONCE = 1000  # observations in one transaction


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to be done again and again by one process at a time.

    ``waits`` says, without writing, whether there is anything to do at a moment: an idle gateway writes nothing.
    ``every`` is in seconds. Both functions block.
    """

    name: str
    every: float
    waits: Callable[[datetime], bool]
    work: Callable[[datetime], object]


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """The duties of a relay process; ``owner`` names the process in the leases. ``more`` are those of other parts."""

    store: Store
    blobs: BlobStore
    keyring: Keyring
    audit: Audit
    owner: bytes
    more: tuple[Duty, ...] = ()

    async def run(self) -> None:
        """Do the duties for ever; cancel to stop."""
        await asyncio.gather(
            self._every(FOLD_EVERY, "fold", self._fold),
            self._every(CHECKPOINT_EVERY, "checkpoint", partial(asyncio.to_thread, self._checkpoint)),
            self._every(PURGE_EVERY, "purge", self._purge),
            self._every(SWEEP_EVERY, "sweep", partial(asyncio.to_thread, self._sweep)),
            *(self._every(one.every, one.name, partial(asyncio.to_thread, self._do, one)) for one in self.more),
        )

    async def _every(self, seconds: float, duty: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            pause = max(seconds, AFTER_FAILURE)
            try:
                await work()
                pause = seconds
            except LetterlockError as error:
                _log.warning("duty not done", duty=duty, reason=str(error))
            except Exception:  # noqa: BLE001  # one failing duty must not end the others; the log has the rest
                _log.exception("duty failed", duty=duty)
            await asyncio.sleep(pause)

    def _do(self, duty: Duty) -> None:
        now = clock.now()
        if duty.waits(now) and self._holding(duty.name, duty.every, lambda _conn: True):
            duty.work(now)

    async def _fold(self) -> None:
        if not await self.store.look(waits_to_be_folded):
            await asyncio.sleep(FOLD_IDLE)  # an idle gateway writes nothing, and hardly looks
            return
        work = self._leased("fold", 10 * FOLD_EVERY, lambda conn: fold(conn, FOLDED_AT_ONCE))
        while await self.store.commit(work, patience=FOLD_PATIENCE) == FOLDED_AT_ONCE:
            pass

    def _checkpoint(self) -> None:
        line = self._holding("checkpoint", CHECKPOINT_EVERY, lambda conn: checkpoint(conn, self.keyring, clock.now()))
        if line:
            # The log leaves this machine: what is signed here proves the audit against whoever owns the database.
            _log.info("checkpoint", line=line)
            progress.note(self.store, self.keyring.folder)

    async def _purge(self) -> None:
        if await self.store.look(lambda conn: doomed(conn, 1)):
            await asyncio.to_thread(self._purge_doomed)

    def _purge_doomed(self) -> None:
        if self._holding("purge", PURGE_EVERY, lambda _conn: True):
            purge(self.store, self.blobs)

    def _sweep(self) -> None:
        if self._holding("sweep", SWEEP_EVERY, lambda _conn: True):
            swept = sweep(self.store, self.blobs, self.keyring, self.audit, clock.now())
            if swept.doubt:
                _log.warning("nothing was swept", reason=swept.doubt)
            elif done := {name: count for name, count in asdict(swept).items() if count}:
                _log.info("swept", **done)

    def _holding(self, duty: str, seconds: float, work: Callable[[Connection], T]) -> T | None:
        """Do ``work`` in the transaction that takes the lease; None while another process has the duty."""
        return self.store.run(self._leased(duty, seconds, work))

    def _leased(self, duty: str, seconds: float, work: Callable[[Connection], T]) -> Callable[[Connection], T | None]:
        def transaction(conn: Connection) -> T | None:
            return work(conn) if hold(conn, duty, self.owner, clock.now(), 3 * seconds) else None

        return transaction
