"""What only the relay may do for the portal: mail a one-time code to the address that a link belongs to.

The portal may not read addresses and may not write queue entries; it leaves a sealed request. The relay opens
it, checks the row MACs of link and reader, composes the mail, and in one commit queues it and deletes the
request. A request that fails any check is deleted and audited; nobody is told, because nobody honest sent it.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import structlog
from sqlalchemy import Connection, delete, exists, insert, select
from sqlalchemy.engine import Row

from relay import clock
from relay.errors import LetterlockError, StoreError
from relay.notices.compose import Notices
from relay.queue.delivery import Delivery, Reservation
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.spooling import Draft, NewEntry, Spooler, insert_message
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import PortalRequest, QueuedMessage
from relay.store.tables.queue import Kind
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.links import LinkState, reader_of
from relay.vault.requests import open_request, seal_request

_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]

POLL_SECONDS = 0.25  # somebody is looking at a page that says "we have sent you a code"
AT_ONCE = 50
_OCTETS = 8192  # of a composed code mail: more than it ever has

_log = structlog.get_logger()


class RequestKind(IntEnum):
    """The kinds of request; part of what is authenticated, never reused."""

    CODE = 1


class UnfitRequestError(LetterlockError):
    """A request that must not be carried out; the sentence goes to the audit."""


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """Mail this code to the reader behind this link, unless it has lapsed by then."""

    link_id: bytes
    participant_id: bytes
    code: str
    expires_at: datetime
    language: str


def request_code(
    conn: Connection,
    keyring: Keyring,
    *,
    link_id: bytes,
    participant_id: bytes,
    code: str,
    expires_at: datetime,
    language: str,
    now: datetime,
) -> bytes:
    """Leave a request to mail a code of eight digits; return its id, which becomes the queued message's id.

    For the portal, inside its own transaction.
    """
    request_id = clock.new_id()
    payload = json.dumps([link_id.hex(), participant_id.hex(), code, expires_at.timestamp(), language]).encode()
    conn.execute(
        insert(_REQUEST).values(
            id=request_id,
            kind=RequestKind.CODE.value,
            item=seal_request(keyring, RequestKind.CODE, request_id, payload),
            created_at=now,
        )
    )
    return request_id


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is to be done about one request: a mail, or the reason why not."""

    request_id: bytes
    kind: int
    draft: Draft | None
    reservation: Reservation | None
    refusal: str = ""


class Requests:
    """Carries out the portal's requests. Every relay process runs one; a request is carried out once."""

    def __init__(  # noqa: PLR0917  # the services that it uses
        self,
        store: Store,
        keyring: Keyring,
        audit: Audit,
        notices: Notices,
        spooler: Spooler,
        delivery: Delivery,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._audit = audit
        self._notices = notices
        self._spooler = spooler
        self._delivery = delivery

    async def run(self) -> None:
        """Carry out requests for ever; cancel to stop."""
        while True:
            try:
                done = await self.carry_out(clock.now())
            except StoreError as error:
                _log.warning("requests not carried out", reason=str(error))
                done = 0
            if done < AT_ONCE:
                await asyncio.sleep(POLL_SECONDS)

    async def carry_out(self, now: datetime) -> int:
        """Carry out what is there, at most 50 requests; return how many were seen. StoreError."""
        rows = await asyncio.to_thread(self._waiting)
        if not rows:
            return 0
        answers = [await self._answer(row, now) for row in rows]
        try:
            written = await self._store.commit(lambda conn: self._write(conn, answers, now))
        except BaseException:
            self._cancel(answers)
            raise
        self._cancel(answer for answer in answers if answer.request_id not in written)
        for answer in answers:
            if answer.request_id in written and answer.draft and answer.reservation:
                self._delivery.offer(answer.reservation, [answer.draft])
        return len(rows)

    def _waiting(self) -> list[Row[Any]]:
        with self._store.read() as conn:
            return list(conn.execute(select(_REQUEST).order_by(_REQUEST.c.created_at).limit(AT_ONCE)))

    async def _answer(self, row: Row[Any], now: datetime) -> _Answer:
        reservation = self._delivery.reserve(_OCTETS)
        try:
            draft = await asyncio.to_thread(self._draft, row, reservation, now)
        except (LetterlockError, ValueError, TypeError) as error:
            if reservation is not None:
                self._delivery.cancel(reservation)
            if isinstance(error, StoreError):
                raise
            refusal = str(error) if isinstance(error, LetterlockError) else "its content makes no sense"
            return _Answer(row.id, row.kind, None, None, refusal)
        return _Answer(row.id, row.kind, draft, reservation)

    def _draft(self, row: Row[Any], reservation: Reservation | None, now: datetime) -> Draft:
        """Return the mail that a request asks for; UnfitRequestError or SealingError when it must not be written."""
        if row.kind != RequestKind.CODE:
            raise UnfitRequestError("nobody knows this kind of request")
        request = _code_request(open_request(self._keyring, row.kind, row.id, row.item))
        if request.expires_at <= now:
            raise UnfitRequestError("its code had lapsed before it could be mailed")
        with self._store.read() as conn:
            if conn.execute(select(exists().where(_MESSAGE.c.id == row.id))).scalar():
                raise UnfitRequestError("it was carried out before and put back")
            reader = reader_of(conn, self._keyring, request.link_id, now)
        if reader is None or reader.state is not LinkState.LIVE or reader.participant_id != request.participant_id:
            raise UnfitRequestError("its link does not belong to that reader, or is not live")
        composed = self._notices.code(
            reader=reader.address, code=request.code, until=request.expires_at, now=now, language=request.language
        )
        entry = NewEntry(
            Kind.CODE,
            self._delivery.routes.name_for(reader.address),
            EntryEnvelope(reader.address),
            request.participant_id,
        )
        # The null reverse-path: a bounce would come long after the code has lapsed, and the page tells the
        # reader.
        return self._spooler.draft(
            QueuedEnvelope("", smtputf8=not reader.address.isascii(), until=request.expires_at),
            [entry],
            composed.content,
            now=now,
            message_id=row.id,
            lease=reservation.lease if reservation else None,
        )

    def _write(self, conn: Connection, answers: Iterable[_Answer], now: datetime) -> frozenset[bytes]:
        """Delete each request and queue its mail; return the ids of those that no other process was faster with."""
        written = set()
        for answer in answers:
            if not conn.execute(delete(_REQUEST).where(_REQUEST.c.id == answer.request_id)).rowcount:
                continue
            written.add(answer.request_id)
            if answer.draft is not None:
                insert_message(conn, answer.draft)
            else:
                facts: dict[str, str | int] = {"kind": answer.kind, "reason": answer.refusal}
                self._audit.append(conn, Event.REQUEST_REFUSED, None, facts, at=now)
        return frozenset(written)

    def _cancel(self, answers: Iterable[_Answer]) -> None:
        for answer in answers:
            if answer.reservation is not None:
                self._delivery.cancel(answer.reservation)


def _code_request(payload: bytes) -> CodeRequest:
    link_id, participant_id, code, expires_at, language = json.loads(payload)
    if not (isinstance(code, str) and code.isascii() and code.isdigit() and isinstance(language, str)):
        raise ValueError("a code is digits")
    return CodeRequest(
        bytes.fromhex(link_id), bytes.fromhex(participant_id), code, datetime.fromtimestamp(expires_at, UTC), language
    )
