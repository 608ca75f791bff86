"""A duty: a sender who asked to be told when a message is read (RFC 8098 section 2.1) is told, once.

The request never reaches a reader's mail program, so that nothing is answered by it; the portal knows better than any
program whether the message was shown. A message taken back before it was read is reported when somebody reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, Row, exists, select, text, update

from relay.clock import id_text, new_queue_id
from relay.errors import StoreError
from relay.notices.receipts import ReadLine, ReceiptNotices
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id, receipt_of
from relay.queue.routes import Routes
from relay.queue.spooling import Draft, NewEntry, Spooler, insert_message
from relay.store.tables import MessageRead, Sealed
from relay.store.tables.queue import Kind
from relay.store.writer import Store
from relay.vault.authors import author_inside
from relay.vault.capability import SealingError
from relay.vault.keyring import Keyring
from relay.vault.people import people
from relay.vault.reader_names import open_name
from relay.vault.threads import remember

EVERY = 5.0  # seconds
_AT_ONCE = 50  # messages
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_READ = MessageRead.__table__  # type: ignore[attr-defined]
_IS_AWAITED = text("sealed.notify_read")  # spelt as in the partial index, so that SQLite uses it
_AWAITED = (
    select(_SEALED.c.id, _SEALED.c.conversation_id)
    .where(_IS_AWAITED, exists().where(_READ.c.message_id == _SEALED.c.id))
    .order_by(_SEALED.c.created_at)
)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReadReports:
    """The duty. ``domain`` is the gateway's."""

    store: Store
    keyring: Keyring
    notices: ReceiptNotices
    spooler: Spooler
    routes: Routes
    domain: str

    def waits(self, _now: datetime) -> bool:
        """Tell whether a message was read whose sender awaits that. Blocking; StoreError."""
        with self.store.read() as conn:
            return conn.execute(_AWAITED.limit(1)).first() is not None

    def report(self, now: datetime) -> int:
        """Tell the senders; return how many messages were reported. Blocking; StoreError.

        Where a row of the conversation was changed, or a report fails through a defect, nobody is told: it is logged,
        and keeps no other report back.
        """
        with self.store.read() as conn:
            rows = conn.execute(_AWAITED.limit(_AT_ONCE)).all()
        drafts = [self._drafted(row, now) for row in rows]
        written = [
            self.store.submit(partial(self._write, row=row, draft=draft))
            for row, draft in zip(rows, drafts, strict=True)
        ]
        return sum(one.result() for one in written)

    def _write(self, conn: Connection, row: Row[Any], draft: Draft | None) -> bool:
        mine = _SEALED.c.id == row.id, _SEALED.c.notify_read
        if not conn.execute(update(_SEALED).where(*mine).values(notify_read=False)).rowcount or draft is None:
            return False
        insert_message(conn, draft)
        remember(conn, self.keyring, row.conversation_id, own_message_id(draft.message_id, self.domain))
        return True

    def _drafted(self, row: Row[Any], now: datetime) -> Draft | None:
        try:
            with self.store.read() as conn:
                return self._draft(conn, row, now)
        except SealingError as error:
            _log.warning("no read report is written", queue_id=id_text(row.id), reason=str(error))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001  # a defect of ours concerns this report alone
            _log.exception("no read report is written", queue_id=id_text(row.id))
        return None

    def _draft(self, conn: Connection, row: Row[Any], now: datetime) -> Draft | None:
        """Return the mail; None where nobody is left to tell, or only the author has seen it."""
        sender = author_inside(conn, self.keyring, row.conversation_id, row.id)
        lines = self._lines(conn, row)
        if sender is None or not lines:
            return None
        queued_id, receipt = new_queue_id(), receipt_of(conn, row.id)
        composed = self.notices.read(
            to=sender.address,
            lines=lines,
            thread=[own_message_id(receipt, self.domain)] if receipt else [],
            now=now,
            message_id=own_message_id(queued_id, self.domain),
        )
        return self.spooler.draft(
            QueuedEnvelope("", smtputf8=not sender.address.isascii()),
            [NewEntry(Kind.CONTROL, self.routes.name_for(sender.address), EntryEnvelope(sender.address))],
            composed.content,
            now=now,
            message_id=queued_id,
            parent=row.id,
        )

    def _lines(self, conn: Connection, row: Row[Any]) -> Sequence[ReadLine]:
        readers = {one.participant_id: one for one in people(conn, self.keyring, row.conversation_id)}
        reads = conn.execute(select(_READ).where(_READ.c.message_id == row.id).order_by(_READ.c.at)).all()
        return [
            ReadLine(readers[read.participant_id].address, read.at, self._name(read))
            for read in reads
            if read.participant_id in readers
        ]

    def _name(self, read: Row[Any]) -> str:
        try:
            return open_name(self.keyring, read.message_id, read.participant_id, read.name)
        except SealingError:
            return ""
