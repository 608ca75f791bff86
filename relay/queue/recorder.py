"""Takes outcomes as they come and writes them down in groups.

A group waits a moment for the commit of a message to share it; meanwhile, and while a commit is under way, the next
group gathers.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog

from relay.clock import id_text, monotonic
from relay.errors import StoreError
from relay.fail_points import reached
from relay.queue.recording import ReportDraft, record, record_plainly
from relay.queue.reports import Reports
from relay.queue.settling import Settled
from relay.store.audit import Audit
from relay.store.tables.queue import EntryState
from relay.store.writer import Store
from relay.vault.keyring import Keyring

UNRECORDED = 1000  # outcomes that may wait; when the store does not take them, sending stops
GATHER_SECONDS = 0.01  # a group waits so long for a commit to share: alone it costs the disk one sync
GATHER_MOST = 0.1  # it waits longer where commits take long: other processes would stand behind its own
_COMMITS = 10  # as many as it would have
ENOUGH = 64  # outcomes that wait for nobody
RETRY_SECONDS = 1.0  # between attempts to record outcomes that the store refused

_log = structlog.get_logger()


class Recorder:
    """The writing half of a worker. ``recorded`` is called with each group after its commit."""

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        audit: Audit,
        reports: Reports,
        *,
        recorded: Callable[[Sequence[Settled]], None],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._audit = audit
        self._reports = reports
        self._recorded = recorded
        self._retry_seconds = retry_seconds
        self._waiting: list[Settled] = []
        self._something = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._closing = False
        self._until = 0.0

    def report_with(self, reports: Reports) -> None:
        """Draft reports with another writer from now on."""
        self._reports = reports

    async def room(self) -> None:
        """Wait while so many outcomes are unrecorded that a crash would repeat too much."""
        await self._has_room.wait()

    def add(self, settled: Iterable[Settled]) -> None:
        """Take outcomes; they are recorded soon."""
        self._waiting += settled
        if len(self._waiting) >= UNRECORDED:
            self._has_room.clear()
        self._something.set()

    def close(self, seconds: float = 0.0) -> None:
        """Let `run` end when everything is recorded, or when the store still refuses after so many ``seconds``."""
        self._closing, self._until = True, monotonic() + seconds
        self._something.set()
        self._has_room.set()

    async def run(self) -> None:
        """Record until closed."""
        while self._waiting or not self._closing:
            self._something.clear()
            if self._waiting:
                group, self._waiting = self._waiting, []
                await self._record(group)
                self._has_room.set()
            else:
                await self._something.wait()

    async def _record(self, group: list[Settled]) -> None:
        """Record one group; where a defect of ours prevents it, each message alone, and in the end the bare states."""
        try:
            written = await self._written(group)
        except Exception:  # noqa: BLE001  # nobody may get the same mail again for ever because of it
            if len(messages := _by_message(group)) > 1:  # nor may another message miss its report
                for of_one in messages:
                    await self._record(of_one)
                return
            _log.exception("outcomes recorded without audit or report", **_place(group))
            try:
                written = await self._written(group, plainly=True)
            except Exception:  # noqa: BLE001  # they stay leased, and are not sent again before the next start
                _log.exception("outcomes not recorded", **_place(group))
                return
        if not written:
            return
        self._recorded(group)
        for one in group:
            if one.state is not EntryState.DONE:
                _log_trouble(one)

    async def _written(self, group: Sequence[Settled], *, plainly: bool = False) -> bool:
        """Write a group down, however long the store refuses it: what was sent must not be forgotten.

        False when it still refuses at the end of this worker.
        """
        drafts: list[ReportDraft] | None = None
        while True:
            try:
                if plainly:
                    await self._store.commit(partial(record_plainly, settled=group))
                else:
                    if drafts is None:
                        drafts = await self._drafts(group)
                        reached("outcome: report drafted")
                    work = partial(record, keyring=self._keyring, audit=self._audit, settled=group, reports=drafts)
                    await self._store.commit(work, patience=self._patience(group))
                reached("outcome: recorded")
            except StoreError as error:
                _log.warning("outcomes not recorded", entries=len(group), reason=str(error))
                if self._closing and monotonic() + self._retry_seconds > self._until:
                    return False
                await asyncio.sleep(self._retry_seconds)
            else:
                return True

    def _patience(self, group: Sequence[Settled]) -> float:
        """Return how many seconds a group may wait for a commit to share."""
        if len(group) >= ENOUGH or self._closing:
            return 0.0
        return min(max(GATHER_SECONDS, _COMMITS * self._store.commit_seconds), GATHER_MOST)

    async def _drafts(self, group: Sequence[Settled]) -> list[ReportDraft]:
        if all(one.report is None for one in group):
            return []
        return await asyncio.to_thread(self._reports.draft, group)


def _by_message(group: Iterable[Settled]) -> list[list[Settled]]:
    found: dict[bytes, list[Settled]] = {}
    for one in group:
        found.setdefault(one.consignment.message_id, []).append(one)
    return list(found.values())


def _place(group: Sequence[Settled]) -> dict[str, str | int]:
    """Say for the log which outcomes of one message these are."""
    return {"queue_id": id_text(group[0].consignment.message_id), "entries": len(group)}


def _log_trouble(one: Settled) -> None:
    """Log what did not go well; what was delivered stands in the audit (`letterlock trace`)."""
    answer = one.answer
    _log.info(
        "given up" if one.state is EntryState.BOUNCED else "put off",
        queue_id=id_text(one.consignment.message_id),
        kind=one.entry.kind.value,
        attempt=one.attempts,
        next_hop=answer.next_hop,
        code=answer.code,
        status=answer.enhanced,
        reason=answer.text if not answer.code else "",  # what a next hop says may name people
    )
