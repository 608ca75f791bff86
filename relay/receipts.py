"""Receipts that wait a little and merge: one message may come in several transactions, and its sender gets one mail.

What each transaction has to say is written in its commit, sealed under the day's epoch key like everything in the
queue (it holds S, the secret of the conversation, until the mail that carries S has left). A duty joins what belongs
to one message as soon as the first of it has waited long enough.
"""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import structlog
from sqlalchemy import Connection, Table, delete, select, update

from relay import clock
from relay.errors import LetterlockError, OvertakenError, StoreError
from relay.fail_points import reached
from relay.message.secret_address import AddressKind, SecretAddress
from relay.notices.receipts import Reason, ReceiptLine, ReceiptNotices
from relay.plan import Change, Received
from relay.queue.items import EPOCH_ID, EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import control_address, own_message_id
from relay.queue.routes import Routes
from relay.queue.spooling import Draft, NewEntry, Spooler, insert_message
from relay.store.prepared import PreparedForKeys, Rows
from relay.store.tables import ReceiptPart
from relay.store.tables.queue import Kind
from relay.store.writer import Store, insert_later
from relay.vault.keyring import Keyring
from relay.vault.threads import remember
from relay.vault.vault import SealedDraft

_PART: Table = cast("Any", ReceiptPart).__table__
_LABEL = "receipt"  # of the sealed payload
_AT_ONCE = 100  # messages for which a receipt is written in one go
PUT_OFF = timedelta(minutes=5)  # until a receipt that could not be written is tried again
_MOST_PARTS = 500  # transactions of one message; there are at most as many as recipients
_PARTS = PreparedForKeys(
    lambda groups: (
        select(_PART.c.grouping, _PART.c.id, _PART.c.message_id, _PART.c.payload)
        .where(_PART.c.grouping.in_(groups))
        .order_by(_PART.c.due_at, _PART.c.id)
        .limit(_AT_ONCE * _MOST_PARTS)
    )
)
_TAKE = PreparedForKeys(lambda ids: delete(_PART).where(_PART.c.id.in_(ids)).returning(_PART.c.id), most=512)

_Row = tuple[bytes, bytes, bytes]  # id, message and payload of a part
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Statement:
    """What one transaction has to say to the person who sent it. ``original_id`` is the Message-ID, as received."""

    to: str
    subject: str
    original_id: str
    lines: tuple[ReceiptLine, ...]
    control: SecretAddress
    conversation_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A statement out of its row; ``message_id`` is the queued message that it is about."""

    message_id: bytes
    statement: Statement


@dataclass(frozen=True, slots=True)
class _Ready:
    """The receipt of one message: the rows of its parts, the mail, and the conversations that it belongs to.

    There is no mail where no part could be read.
    """

    message_id: bytes
    part_ids: tuple[bytes, ...]
    draft: Draft | None
    conversations: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Receipts:
    """Notes what a receipt is to say, and writes receipts. ``domain`` is the gateway's; ``wait`` may be zero."""

    store: Store
    keyring: Keyring
    notices: ReceiptNotices
    spooler: Spooler
    routes: Routes
    domain: str = field(kw_only=True)
    wait: timedelta = field(kw_only=True)

    def part(self, received: Received, sealed: Sequence[SealedDraft], lines: tuple[ReceiptLine, ...]) -> Change:
        """Return the change that notes what this transaction's part of the receipt says.

        ``sealed`` is what the transaction sealed, possibly nothing; the first that has a sender's secret is what
        commands are about.
        """
        arrival, judgement = received.arrival, received.judgement
        ours = next((one for one in sealed if one.sender_secret), None)
        statement = Statement(
            judgement.sender,
            arrival.reading.subject,
            arrival.reading.message_id,
            lines,
            self._control(arrival.id, ours),
            ours.conversation_id if ours else None,
        )
        row_id = clock.new_queue_id()
        payload = self.keyring.spool_seal(_LABEL, row_id, _packed(statement), at=arrival.at)
        row = {
            "id": row_id,
            "grouping": arrival.key or arrival.id,
            "message_id": arrival.id,
            "due_at": arrival.at + self.wait,
            "epoch_id": payload[:EPOCH_ID],
            "payload": payload,
        }
        return partial(insert_later, table=_PART, rows=[row])

    def any_due(self, now: datetime) -> bool:
        """Tell whether a receipt is due. Blocking; StoreError."""
        with self.store.read() as conn:
            return conn.execute(select(_PART.c.id).where(_PART.c.due_at <= now).limit(1)).first() is not None

    def send_due(self, now: datetime) -> int:
        """Write the receipts that are due, many under one commit; return how many were queued. Blocking; StoreError."""
        queued = 0
        while parts := self._due(now):
            composed = [self._composed(rows[:_MOST_PARTS], now) for rows in _by_message(parts)]
            ready = [one for one in composed if one is not None]
            reached("receipt: composed")
            written = [self.store.submit(partial(self._write, receipt=one)) for one in ready]
            queued += sum([self._was_ours(*one, now) for one in zip(ready, written, strict=True)])
        return queued

    def _due(self, now: datetime) -> Rows:
        """Return all parts of some messages whose receipt is due."""
        with self.store.read() as conn:
            groups = conn.execute(
                select(_PART.c.grouping).where(_PART.c.due_at <= now).distinct().limit(_AT_ONCE)
            ).scalars()
            return _PARTS.rows(conn, list(groups))

    def _composed(self, parts: Sequence[_Row], now: datetime) -> _Ready | None:
        """Return the receipt of one message; None where that fails: it is put off then, and keeps no other back."""
        try:
            return self._ready(parts, now)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  # a defect of ours concerns this receipt alone
            self._put_off(parts[0][1], [row_id for row_id, _, _ in parts], now)
            return None

    def _ready(self, parts: Sequence[_Row], now: datetime) -> _Ready:
        statements: list[_Waiting] = []
        for row_id, message_id, payload in parts:
            try:
                opened = self.keyring.spool_open(_LABEL, row_id, payload)
                statements.append(_Waiting(message_id, _unpacked(opened)))
            except (LetterlockError, ValueError, TypeError) as error:
                # A row that nobody wrote as it stands must not keep the other receipts back.
                _log.warning("a receipt was left out", queue_id=clock.id_text(message_id), reason=str(error))
        found = [one.statement.conversation_id for one in statements]
        return _Ready(
            parts[0][1],
            tuple([row_id for row_id, _, _ in parts]),
            self._draft(statements, now) if statements else None,
            frozenset([one for one in found if one is not None]),
        )

    def _write(self, conn: Connection, receipt: _Ready) -> bool:
        """Put a receipt into the queue in the place of its parts; OvertakenError when another process has done so."""
        if len(_TAKE.rows(conn, receipt.part_ids)) != len(receipt.part_ids):
            raise OvertakenError("another process wrote this receipt")
        draft = receipt.draft
        if draft is None:
            return False
        insert_message(conn, draft)
        reached("receipt: parts merged")
        for conversation_id in receipt.conversations:
            remember(conn, self.keyring, conversation_id, own_message_id(draft.message_id, self.domain))
        return True

    def _was_ours(self, receipt: _Ready, written: Future[bool], now: datetime) -> bool:
        """Tell whether a receipt is in the queue now. StoreError."""
        try:
            queued = written.result()
        except OvertakenError:
            return False
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  # as above
            self._put_off(receipt.message_id, receipt.part_ids, now)
            return False
        reached("receipt: committed")
        return queued

    def _put_off(self, message_id: bytes, part_ids: Sequence[bytes], now: datetime) -> None:
        """Let a receipt that failed wait, and say so with what is being handled. StoreError."""
        _log.exception("a receipt was put off", queue_id=clock.id_text(message_id))
        later = update(_PART).where(_PART.c.id.in_(part_ids)).values(due_at=now + PUT_OFF)
        self.store.run(lambda conn: conn.execute(later).rowcount)

    def _draft(self, parts: Sequence[_Waiting], now: datetime) -> Draft:
        """Return one mail for all parts; commands go to the oldest that was sealed: its secret opens everything."""
        first = next((one for one in parts if one.statement.conversation_id), parts[0])
        queued_id, to = clock.new_queue_id(), first.statement.to
        composed = self.notices.receipt(
            to=to,
            control=first.statement.control.write(self.domain),
            lines=[line for one in parts for line in one.statement.lines],
            subject=first.statement.subject,
            original_message_id=first.statement.original_id,
            now=now,
            message_id=own_message_id(queued_id, self.domain),
        )
        return self.spooler.draft(
            QueuedEnvelope("", smtputf8=not to.isascii()),
            [NewEntry(Kind.RECEIPT, self.routes.name_for(to), EntryEnvelope(to))],
            composed.content,
            now=now,
            message_id=queued_id,
            parent=first.message_id,
        )

    def _control(self, message_id: bytes, sealed: SealedDraft | None) -> SecretAddress:
        if sealed is not None:
            return SecretAddress(AddressKind.CONTROL, sealed.message_id, sealed.sender_secret)
        return control_address(self.keyring, message_id)


def _by_message(parts: Rows) -> Iterable[list[_Row]]:
    """Return the parts of each message, oldest first."""
    found: dict[bytes, list[_Row]] = {}
    for grouping, row_id, message_id, payload in parts:
        found.setdefault(grouping, []).append((row_id, message_id, payload))
    return found.values()


def _packed(statement: Statement) -> bytes:
    control, conversation_id = statement.control, statement.conversation_id
    lines = [
        [
            line.recipient,
            line.until.timestamp() if line.until else None,
            [[one.decided, one.rule, one.because, one.evidence] for one in line.reasons],
            line.partner,
        ]
        for line in statement.lines
    ]
    fields = [
        statement.to,
        statement.subject,
        statement.original_id,
        lines,
        [control.id.hex(), control.secret.hex()],
        conversation_id.hex() if conversation_id else None,
    ]
    return _JSON.encode(fields).encode("utf-8", "surrogatepass")


def _unpacked(payload: bytes) -> Statement:
    to, subject, original_id, lines, control, conversation_id = json.loads(payload)
    return Statement(
        to,
        subject,
        original_id,
        tuple(
            ReceiptLine(
                recipient,
                tuple(Reason(decided, rule, because, tuple(evidence)) for decided, rule, because, evidence in reasons),
                datetime.fromtimestamp(until, UTC) if until is not None else None,
                partner,
            )
            for recipient, until, reasons, partner in lines
        ),
        SecretAddress(AddressKind.CONTROL, bytes.fromhex(control[0]), bytes.fromhex(control[1])),
        bytes.fromhex(conversation_id) if conversation_id else None,
    )
