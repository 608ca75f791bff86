"""Receipts that wait a little and merge: one message may come in several transactions, and its sender gets one mail.

What each transaction has to say is written in its commit, sealed under the day's epoch key like everything in the
queue (it holds S, the secret of the conversation, until the mail that carries S has left). A duty joins what belongs
to one message as soon as the first of it has waited long enough.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import structlog
from sqlalchemy import Connection, Table, delete, select

from relay import clock
from relay.errors import LetterlockError
from relay.fail_points import reached
from relay.message.secret_address import AddressKind, SecretAddress
from relay.notices.receipts import Reason, ReceiptLine, ReceiptNotices
from relay.plan import Change, Received
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id
from relay.queue.routes import Routes
from relay.queue.spooling import EPOCH_ID, Draft, NewEntry, Spooler, insert_message
from relay.store.tables import ReceiptPart
from relay.store.tables.queue import Kind
from relay.store.writer import Store, insert_later
from relay.vault.keyring import Keyring
from relay.vault.threads import remember
from relay.vault.vault import SealedDraft

_PART: Table = cast("Any", ReceiptPart).__table__
_LABEL = "receipt"  # of the sealed payload
CONTROL_LABEL = "control"  # of the tag in control addresses that bear no S
_AT_ONCE = 100  # messages for which a receipt is written in one go
_MOST_PARTS = 500  # transactions of one message; there are at most as many as recipients

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

    row_id: bytes
    message_id: bytes
    statement: Statement


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
        """Write the receipts that are due; return how many were queued. Blocking; StoreError."""
        with self.store.read() as conn:
            groups = conn.execute(
                select(_PART.c.grouping).where(_PART.c.due_at <= now).distinct().limit(_AT_ONCE)
            ).scalars()
            found = [self._waiting(conn, grouping) for grouping in groups]
        return sum(self._send(rows, now) for rows in found)

    def _waiting(self, conn: Connection, grouping: bytes) -> list[Any]:
        parts = select(_PART).where(_PART.c.grouping == grouping).order_by(_PART.c.due_at, _PART.c.id)
        return list(conn.execute(parts.limit(_MOST_PARTS)))

    def _send(self, rows: Sequence[Any], now: datetime) -> bool:
        statements: list[_Waiting] = []
        for row in rows:
            try:
                payload = self.keyring.spool_open(_LABEL, row.id, row.payload)
                statements.append(_Waiting(row.id, row.message_id, _unpacked(payload)))
            except (LetterlockError, ValueError, TypeError) as error:
                # A row that nobody wrote as it stands must not keep the other receipts back.
                _log.warning("a receipt was left out", queue_id=clock.id_text(row.message_id), reason=str(error))
        draft = self._draft(statements, now) if statements else None
        reached("receipt: composed")
        conversations = {one.statement.conversation_id for one in statements} - {None}
        ids = [row.id for row in rows]

        def write(conn: Connection) -> bool:
            known = select(_PART.c.id).where(_PART.c.id.in_(ids)).with_for_update()
            if len(conn.execute(known).all()) != len(ids):
                return False  # another process wrote it
            conn.execute(delete(_PART).where(_PART.c.id.in_(ids)))
            if draft is None:
                return False
            insert_message(conn, draft)
            reached("receipt: parts merged")
            for conversation_id in conversations:
                assert conversation_id is not None  # noqa: S101  # taken out above
                remember(conn, self.keyring, conversation_id, own_message_id(draft.message_id, self.domain))
            return True

        written = self.store.run(write)
        reached("receipt: committed")
        return written

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
        return SecretAddress(AddressKind.CONTROL, message_id, self.keyring.address_tag(CONTROL_LABEL, message_id))


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
