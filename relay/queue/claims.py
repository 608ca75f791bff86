"""What one worker holds, and how it comes by it: leases taken, opened, renewed, given back.

The statements are those of `relay.queue.entries`; here is when they run, each in a commit of its own.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.engine import Row

from relay.clock import id_text, monotonic
from relay.errors import StoreError
from relay.fail_points import reached
from relay.queue import entries as leases
from relay.queue import pauses
from relay.queue.destinations import Room
from relay.queue.items import Consignment, QueuedEntry
from relay.queue.recording import record_damaged
from relay.queue.routes import domain_of
from relay.queue.spooling import Lease
from relay.store.slot import GRACE
from relay.store.writer import Store
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring

_log = structlog.get_logger()


class Claims:
    """The leases of one worker, named by ``owner``; ``gone`` says whether another owner is not there.

    One that is not there for longer than `relay.store.slot.GRACE` is dead: its leases need not lapse. ``tenure`` says
    whether we may pass for dead ourselves (`relay.store.slot.Slot.tenure`).
    StoreError leaves every method that is asynchronous, except `keep_back`.
    """

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        blobs: BlobStore,
        owner: bytes,
        *,
        gone: Callable[[Connection, bytes], bool],
        tenure: Callable[[], int | None] = lambda: 0,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._blobs = blobs
        self._owner = owner
        self._gone = gone
        self._tenure = tenure
        self._looked_in = tenure()  # the tenure in which all that is held was last seen to be ours
        self._held: dict[tuple[bytes, int], datetime] = {}  # id and epoch of an entry -> end of its lease
        self._ahead = timedelta()  # how far the clock by which leases end is ahead of ours
        self._absent: dict[bytes, datetime] = {}  # owner -> when it was first found not to be there
        self.paused: frozenset[str] = frozenset()  # domains to which an operator lets nothing leave, as last read
        self.by_hand = False  # whether a person made something of the last claim due

    def __len__(self) -> int:
        """Return how many entries this worker holds at the moment."""
        return len(self._held)

    @property
    def somebody_is_absent(self) -> bool:
        """Tell whether another owner was not there at the last look, and should be looked for again soon."""
        return bool(self._absent)

    @property
    def certain(self) -> bool:
        """Tell whether nobody can have taken what is held here before its end; else nothing of it is to be begun."""
        return (tenure := self._tenure()) is not None and tenure == self._looked_in

    @property
    def in_doubt(self) -> bool:
        """Tell whether somebody may have taken it, so that `keep_house` has to look."""
        return self._tenure() not in {None, self._looked_in}

    def lease(self, now: datetime) -> Lease:
        """Return a lease that begins now, as others see it."""
        return Lease(self._owner, now + leases.LEASE + self._ahead)

    def hold(self, entries: Iterable[QueuedEntry], until: datetime) -> None:
        """Note that these entries are leased to this worker until then, by its own clock."""
        self._held.update(((entry.id, entry.epoch), until) for entry in entries)

    def let_go(self, entries: Iterable[QueuedEntry]) -> None:
        """Note that these entries are no business of this worker any more."""
        for entry in entries:
            self._held.pop((entry.id, entry.epoch), None)

    def still_ours(self, consignment: Consignment, now: datetime) -> bool:
        """Tell whether no lease of a consignment has lapsed: then nobody else may be sending it."""
        return all(self._held.get((entry.id, entry.epoch), now) > now for entry in consignment.entries)

    async def recover(self, now: datetime) -> None:
        """Take back the leases of this worker's earlier life."""
        recovered, self._ahead = await self._store.commit(
            lambda conn: (leases.recover(conn, self._owner), leases.ahead_of(conn, now))
        )
        reached("queue: leases recovered")
        if recovered:
            _log.info("leases recovered", entries=recovered)

    async def claim(
        self, rooms: Sequence[Room], now: datetime, later: timedelta
    ) -> tuple[list[Consignment], Counter[str]]:
        """Lease what is due as far as there is room; return it opened, and how many entries of each route it was.

        What cannot be read is put off by ``later``, for a person to look at. What an operator's pause keeps back is put
        aside first. Where nothing is due nothing is written.
        """
        if not await self._store.look(lambda conn: _anything(conn, rooms, now)):
            self.paused, self.by_hand = frozenset(), False
            return [], Counter()

        def work(conn: Connection) -> tuple[frozenset[str], list[Row[Any]]]:
            paused = pauses.destinations(conn, keep=True)
            pauses.put_aside(conn, paused, now)
            return paused, [
                row
                for room in rooms
                for row in leases.claim(
                    conn, self._owner, room.route, now, room.entries, until=self.lease(now).until, but_for=room.full
                )
            ]

        self.paused, rows = await self._store.commit(work)
        self.by_hand = any(map(leases.by_hand, rows))
        reached("queue: claimed")
        taken = Counter(row.route for row in rows)
        if not rows:
            return [], taken
        try:
            consignments, damaged = await asyncio.to_thread(self._open, rows)
            reached("queue: opened")
        except Exception:
            await self.release([row.id for row in rows])
            raise
        if damaged:
            _log.error("queue entries cannot be read", entries=[id_text(one.entry_id) for one in damaged])
            await self._store.commit(lambda conn: record_damaged(conn, damaged, now + later))
        return consignments, taken

    async def keep_back(self, consignment: Consignment) -> Consignment | None:
        """Give back what an operator has paused in the meantime; return what may be sent, None for nothing."""
        back = [entry for entry in consignment.entries if domain_of(entry.envelope.recipient) in self.paused]
        if not back:
            return consignment
        with suppress(StoreError):  # the leases lapse then
            await self.release([entry.id for entry in back])
        self.let_go(back)
        going = tuple(entry for entry in consignment.entries if entry not in back)
        return replace(consignment, entries=going) if going else None

    async def release(self, entry_ids: Sequence[bytes]) -> None:
        """Give entries back that were not begun: they are due at once."""
        await self._store.commit(lambda conn: leases.release(conn, self._owner, entry_ids))

    async def keep_house(self, routes: Sequence[str], now: datetime, longest: timedelta) -> list[str]:
        """Renew long leases, return lapsed ones, undo what a jumping clock did.

        A lease of our own that lapsed while nobody else took it is renewed: we may have sent what it is for, and wait
        for the store to record that. One that somebody took is ours no more. After our name was lost all are looked at.

        ``longest`` is the longest pause between two attempts. Return the routes that mail waits for and that are not
        in ``routes``.
        """
        tenure, certain, asked_at = self._tenure(), self.certain, monotonic()
        old = [lease for lease, until in self._held.items() if not certain or until < now + leases.LEASE * 2 / 3]

        def work(conn: Connection) -> tuple[timedelta, set[tuple[bytes, int]], int, dict[bytes, datetime], list[str]]:
            ahead = leases.ahead_of(conn, now)
            renewed = leases.renew(conn, self._owner, [entry_id for entry_id, _ in old], now + ahead)
            leases.bring_forward(conn, routes, now, longest)
            absent = leases.absent_holders(conn, self._owner, self._gone)
            seen_at = now + timedelta(seconds=monotonic() - asked_at)  # this may have stood in line for seconds
            since = {owner: self._absent.get(owner, seen_at) for owner in absent}
            dead = [owner for owner, at in since.items() if now - at >= GRACE]
            returned = leases.return_lapsed(conn, now + ahead) + sum(leases.recover(conn, owner) for owner in dead)
            return ahead, renewed, returned, since, leases.other_routes(conn, routes)

        self._ahead, renewed, lapsed, self._absent, unknown = await self._store.commit(work)
        for lease in old:
            if self._held.pop(lease, None) and lease in renewed:
                self._held[lease] = now + leases.LEASE
        self._looked_in = tenure
        if lapsed:
            _log.warning("leases returned", entries=lapsed)
        return unknown

    def _open(self, rows: Sequence[Row[Any]]) -> tuple[list[Consignment], list[leases.Damaged]]:
        with self._store.read() as conn:
            return leases.load(conn, self._keyring, self._blobs, rows)


def _anything(conn: Connection, rooms: Sequence[Room], now: datetime) -> bool:
    """Tell whether something may be claimed, or is to be put aside."""
    return bool(pauses.destinations(conn)) or any(leases.any_due(conn, room.route, now) for room in rooms)
