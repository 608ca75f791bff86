"""The mail that accepting a message causes: pickup notices, the question about held copies, the report of refused."""

from collections.abc import Sequence
from datetime import datetime

from relay.clock import new_queue_id
from relay.message.parts import Reading
from relay.notices.compose import Notices
from relay.notices.holds import HoldNotices, Waiting
from relay.notices.receipts import ReceiptLine
from relay.plan import Received
from relay.queue.content import header_section
from relay.queue.dsn import ReportedRecipient, Reporter
from relay.queue.held_mail import HeldMail
from relay.queue.holds import Held
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.outcomes import local_answer
from relay.queue.own_mail import control_address, own_message_id, reader_thread
from relay.queue.routes import Routes
from relay.queue.settling import Report
from relay.queue.spooling import Draft, Lease, NewEntry, Spooler
from relay.routing import Way, reasons
from relay.store.tables.queue import Kind
from relay.vault.keyring import Keyring
from relay.vault.vault import SealedDraft


class Mailings:
    """Composes and drafts. ``routes`` are the ways out, ``own`` is the gateway's domain."""

    def __init__(
        self,
        keyring: Keyring,
        notices: Notices,
        holds: HoldNotices,
        reporter: Reporter,
        spooler: Spooler,
        *,
        routes: Routes,
        own: str,
    ) -> None:
        self._keyring = keyring
        self._notices = notices
        self._holds = holds
        self._own = own
        self._reporter = reporter
        self._spooler = spooler
        self._routes = routes

    def pickups(
        self, sealed: Sequence[SealedDraft], *, sender: str, reading: Reading, now: datetime, lease: Lease | None = None
    ) -> list[Draft]:
        """Return one notice for each new link; each names nobody but its reader and the sender."""
        drafts = []
        for one, link in ((draft, link) for draft in sealed for link in draft.links.values()):
            queued_id = new_queue_id()
            composed = self._notices.pickup(
                reader=link.address,
                sender=sender,
                sender_name=reading.from_name if sender == reading.from_ else "",
                link_path=link.path,
                until=one.expires_at,
                now=now,
                subject=reading.subject,
                message_id=own_message_id(queued_id, self._own),
                thread=reader_thread(self._keyring, link.participant_id, self._own),
            )
            entry = self._entry(Kind.NOTICE, link.address, link.participant_id)
            draft = self._draft(
                entry,
                composed.content,
                now=now,
                parent=one.message_id,
                lease=lease,
                report_to=sender,
                queued_id=queued_id,
            )
            drafts.append(draft)
        return drafts

    def question(self, held: Held, now: datetime, lease: Lease | None = None) -> Draft:
        """Return the question to the sender what shall become of the copies that wait."""
        queued_id = new_queue_id()
        composed = self._holds.question(
            to=held.sender,
            control=control_address(self._keyring, held.id).write(self._own),
            waiting=[Waiting(copy.address, copy.reasons) for copy in held.copies],
            plain=any(copy.plain for copy in held.copies),
            until=held.until,
            subject=held.subject,
            original_message_id=held.message_id_text,
            now=now,
            message_id=own_message_id(queued_id, self._own),
        )
        entry = self._entry(Kind.CONTROL, held.sender)
        return self._draft(entry, composed.content, now=now, parent=held.message_id, lease=lease, queued_id=queued_id)

    def decided(self, held: Held, said: Sequence[str], now: datetime) -> Draft:
        """Return the news for the sender that somebody else decided about copies that waited."""
        queued_id = new_queue_id()
        composed = self._holds.decided(
            to=held.sender,
            said=said,
            subject=held.subject,
            original_message_id=held.message_id_text,
            now=now,
            message_id=own_message_id(queued_id, self._own),
        )
        entry = self._entry(Kind.CONTROL, held.sender)
        return self._draft(entry, composed.content, now=now, parent=held.message_id, queued_id=queued_id)

    def returned(self, held: HeldMail, reason: str, now: datetime) -> Draft | None:
        """Return the report that copies which waited were not sent; None where nobody wants one (RFC 3461 4.1)."""
        refused = [
            ReportedRecipient(path.recipient, Report.FAILED, local_answer("5.7.1", reason), now, orcpt=path.orcpt)
            for path in held.paths
            if not path.notify or "FAILURE" in path.notify
        ]
        to = held.envelope.reverse_path
        if not refused or not to:
            return None
        queued_id = new_queue_id()
        composed = self._reporter.compose(
            to=to,
            recipients=refused,
            headers=header_section([held.original]),
            arrival=held.held.created_at,
            now=now,
            envid=held.envelope.envid,
            message_id=own_message_id(queued_id, self._own),
        )
        entry = self._entry(Kind.DSN, to)
        return self._draft(entry, composed, now=now, parent=held.held.message_id, queued_id=queued_id)

    def report(self, received: Received) -> Draft | None:
        """Return the one report (RFC 3464) of the copies that were refused while others were accepted.

        None where there are none, or nobody wants to hear of them (RFC 3461 section 4.1).
        """
        refused = [
            ReportedRecipient(
                copy.path.address,
                Report.FAILED,
                local_answer("5.7.1", reasons([copy])),
                received.arrival.at,
                orcpt=copy.path.orcpt,
            )
            for copy in received.routing.going(Way.REFUSE)
            if not copy.path.notify or "FAILURE" in copy.path.notify
        ]
        if not refused:
            return None
        to, queued_id = received.arrival.envelope.reverse_path, new_queue_id()
        composed = self._reporter.compose(
            to=to,
            recipients=refused,
            headers=header_section([received.arrival.content]),
            arrival=received.arrival.at,
            now=received.arrival.at,
            envid=received.arrival.envelope.envid,
            message_id=own_message_id(queued_id, self._own),
        )
        return self._draft(
            self._entry(Kind.DSN, to),
            composed,
            now=received.arrival.at,
            parent=received.arrival.id,
            lease=received.arrival.lease,
            queued_id=queued_id,
        )

    def _entry(self, kind: Kind, recipient: str, participant_id: bytes | None = None) -> NewEntry:
        return NewEntry(kind, self._routes.name_for(recipient), EntryEnvelope(recipient), participant_id)

    def _draft(
        self,
        entry: NewEntry,
        content: bytes,
        *,
        now: datetime,
        parent: bytes,
        lease: Lease | None = None,
        report_to: str = "",
        queued_id: bytes | None = None,
    ) -> Draft:
        envelope = QueuedEnvelope("", report_to=report_to, smtputf8=not entry.envelope.recipient.isascii())
        return self._spooler.draft(
            envelope, [entry], content, now=now, message_id=queued_id, parent=parent, lease=lease
        )


def receipt_lines(received: Received, until: datetime | None) -> tuple[ReceiptLine, ...]:
    """Return what a receipt says of each copy: by which rules, what else was noticed, until when it can be read."""
    return tuple(
        ReceiptLine.of(
            copy.path.address,
            copy.verdict.deciding,
            until if copy.way is Way.SEAL else None,
            copy.verdict.milder,
            copy.verdict.recipient.partner,
        )
        for copy in received.routing.copies
        if copy.worth_a_word
    )
