"""Carries out the portal's requests: opens each, has the right clerk prepare it, and writes everything in one commit.

A request that fails any check is deleted and audited; nobody is told, because nobody honest sent it. What a request
asks for and its end are one transaction, so that it is carried out once, whoever else saw it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog
from sqlalchemy import ColumnElement, Connection, delete, exists, literal, select
from sqlalchemy.engine import Row

from relay import clock
from relay.errors import LetterlockError, OvertakenError, StoreError
from relay.fail_points import reached
from relay.queue.delivery import Delivery, Reservation
from relay.queue.requests import Request, RequestKind, UnfitRequestError, read
from relay.queue.spooling import Draft, Lease, insert_message
from relay.store.audit import Audit
from relay.store.duties import hold
from relay.store.events import Event
from relay.store.prepared import Prepared
from relay.store.tables import PortalRequest, QueuedMessage
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.requests import open_request

_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]

POLL_SECONDS = 0.25  # somebody is looking at a page that says "we have sent you a code"
AFTER_FAILURE = 1.0  # while the database is away
CODES_AT_ONCE = 50
_CODE_OCTETS = 8192  # of a composed code mail: more than it ever has
_DUTY_SECONDS = 60.0  # for one answer with its attachments

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Errand:
    """One request in hand: ``id`` is what the message that comes of it is called; ``lease`` as in `Spooler.draft`."""

    id: bytes
    request: Request
    at: datetime
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Deed:
    """What carrying out one errand wants written: mail to queue, and ``write`` for everything else, in that commit."""

    drafts: tuple[Draft, ...] = ()
    write: Callable[[Connection], None] | None = None


class Clerk(Protocol):
    """Carries out one kind of errand."""

    def prepare(self, errand: Errand) -> Deed:
        """Return what is to be written. Blocking, called in a thread; may be called again for the same errand.

        UnfitRequestError, RefusedError, NotFoundError or SealingError when it must not be carried out; StoreError when
        it cannot be now, OvertakenError when something changes at this moment: then it is tried again.
        """
        ...

    def give_up(self, conn: Connection, request_id: bytes) -> None:
        """Undo what the portal had done for a request that is not carried out, in the transaction that deletes it."""
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is to be done about one request: a deed, or the reason why not."""

    request_id: bytes
    kind: int
    deed: Deed | None
    reservation: Reservation | None
    refusal: str = ""


class Errands:
    """Carries out requests; every relay process runs one. ``owner`` names the process in leases.

    Codes go first and many at a time: a person waits for them. Everything else is prepared one at a time and by one
    process at a time, because an answer may hold 25 MiB.
    """

    def __init__(  # noqa: PLR0917  # the services that it uses
        self,
        store: Store,
        keyring: Keyring,
        audit: Audit,
        delivery: Delivery,
        clerks: Mapping[RequestKind, Clerk],
        owner: bytes,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._audit = audit
        self._delivery = delivery
        self._clerks = clerks
        self._owner = owner
        large = [literal(kind.value) for kind in clerks if kind is not RequestKind.CODE]
        self._large: ColumnElement[bool] = _REQUEST.c.kind.in_(large)
        self._behind: set[bytes] = set()  # requests that failed; their turn comes again when no other waits

    async def run(self) -> None:
        """Carry out requests for ever; cancel to stop."""
        await asyncio.gather(
            self._lane(self._carry_out_codes, ~self._large), self._lane(self._carry_out_large, self._large)
        )

    async def carry_out(self, now: datetime) -> int:
        """Carry out what is there: at most 50 codes and one other request; return how many were seen. StoreError."""
        return await self._carry_out_codes(now) + await self._carry_out_large(now)

    async def _lane(self, work: Callable[[datetime], Awaitable[int]], which: ColumnElement[bool]) -> None:
        first = Prepared(select(_REQUEST.c.id).where(which).limit(1))
        while True:
            pause = POLL_SECONDS
            try:
                done = await work(clock.now()) if await self._store.look(lambda conn: first.rows(conn, {})) else 0
            except (StoreError, OvertakenError) as error:
                _log.warning("requests not carried out", reason=str(error))
                done, pause = 0, AFTER_FAILURE if isinstance(error, StoreError) else POLL_SECONDS
            except Exception:  # noqa: BLE001  # a lane that ended would be missed only when nobody gets a code any more
                _log.exception("requests not carried out")
                done, pause = 0, AFTER_FAILURE
            if not done:
                await asyncio.sleep(pause)

    async def _carry_out_codes(self, now: datetime) -> int:
        """Carry out requests for codes, and drop those that nobody knows."""
        rows = await asyncio.to_thread(self._waiting, ~self._large, CODES_AT_ONCE)
        return await self._carry_out(rows, now)

    async def _carry_out_large(self, now: datetime) -> int:
        rows = await asyncio.to_thread(self._waiting, self._large & _REQUEST.c.id.not_in(self._behind), 1)
        if not rows:
            self._behind.clear()
        if rows and not await self._store.commit(
            lambda conn: hold(conn, "errands", self._owner, clock.now(), _DUTY_SECONDS)
        ):
            return 0  # another process is at it
        try:
            return await self._carry_out(rows, now)
        except (StoreError, OvertakenError):
            # A file that is gone from the disk may stay gone: the answers of others do not wait for it.
            self._behind.add(rows[0].id)
            raise

    def _waiting(self, which: ColumnElement[bool], most: int) -> list[Row[Any]]:
        with self._store.read() as conn:
            return list(conn.execute(select(_REQUEST).where(which).order_by(_REQUEST.c.created_at).limit(most)))

    async def _carry_out(self, rows: Sequence[Row[Any]], now: datetime) -> int:
        try:
            return await self._together(rows, now)
        except (StoreError, OvertakenError):
            raise
        except Exception:  # noqa: BLE001  # a defect that shows while the deed is written: as in `_answer`
            if len(rows) > 1:
                return sum([await self._carry_out([row], now) for row in rows])
            failed = _failed(rows[0])
            await self._store.commit(lambda conn: self._write(conn, [failed], now))
            return 1

    async def _together(self, rows: Sequence[Row[Any]], now: datetime) -> int:
        if not rows:
            return 0
        answers: list[_Answer] = []
        try:
            for row in rows:
                answers.append(await self._answer(row, now))  # what is done so far must be given back
                reached("errand: prepared")
            written = await self._store.commit(lambda conn: self._write(conn, answers, now))
            reached("errand: committed")
        except BaseException:
            self._cancel(answers)
            raise
        self._cancel(answer for answer in answers if answer.request_id not in written)
        for answer in answers:
            if answer.request_id in written and answer.deed and answer.reservation:
                self._delivery.offer(answer.reservation, answer.deed.drafts)
        return len(rows)

    async def _answer(self, row: Row[Any], now: datetime) -> _Answer:
        # Only a code is worth room in memory: the rest is due at once, and sent within a second.
        reservation = self._delivery.reserve(_CODE_OCTETS) if row.kind == RequestKind.CODE else None
        try:
            deed = await asyncio.to_thread(self._prepare, row, reservation, now)
        except BaseException as error:
            if reservation is not None:
                self._delivery.cancel(reservation)
            if isinstance(error, StoreError | OvertakenError) or not isinstance(error, Exception):
                raise
            if isinstance(error, LetterlockError):
                return _Answer(row.id, row.kind, None, None, str(error))
            return _failed(row)  # a defect of ours must not keep every later request waiting
        return _Answer(row.id, row.kind, deed, reservation)

    def _prepare(self, row: Row[Any], reservation: Reservation | None, now: datetime) -> Deed:
        request = read(row.kind, open_request(self._keyring, row.kind, row.id, row.item))
        with self._store.read() as conn:
            if conn.execute(select(exists().where(_MESSAGE.c.id == row.id))).scalar():
                raise UnfitRequestError("it was carried out before and put back")
        clerk = self._clerks.get(RequestKind(row.kind))
        if clerk is None:
            raise UnfitRequestError("nobody carries out this kind of request")
        return clerk.prepare(Errand(row.id, request, now, reservation.lease if reservation else None))

    def _write(self, conn: Connection, answers: Iterable[_Answer], now: datetime) -> frozenset[bytes]:
        """Delete each request and write its deed; return the ids of those that no other process was faster with."""
        written = set()
        for answer in answers:
            if not conn.execute(delete(_REQUEST).where(_REQUEST.c.id == answer.request_id)).rowcount:
                continue
            written.add(answer.request_id)
            reached("errand: request taken")
            if answer.deed is None:
                facts: dict[str, str | int] = {"kind": answer.kind, "reason": answer.refusal}
                self._audit.append(conn, Event.REQUEST_REFUSED, None, facts, at=now)
                if answer.kind in self._clerks:
                    self._clerks[RequestKind(answer.kind)].give_up(conn, answer.request_id)
                continue
            if answer.deed.write is not None:
                answer.deed.write(conn)
            for draft in answer.deed.drafts:
                insert_message(conn, draft)
        return frozenset(written)

    def _cancel(self, answers: Iterable[_Answer]) -> None:
        for answer in answers:
            if answer.reservation is not None:
                self._delivery.cancel(answer.reservation)


def _failed(row: Row[Any]) -> _Answer:
    """Return the refusal of a request that failed by a defect, which is being handled."""
    _log.exception("request not carried out", kind=row.kind)
    return _Answer(row.id, row.kind, None, None, "it could not be carried out")
