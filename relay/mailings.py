"""The mail that accepting a message causes: pickup notices, the sender's receipt, the report of refused copies."""

from collections.abc import Sequence

from policies.model import Action
from relay.notices.compose import Notices, ReceiptLine
from relay.plan import Received
from relay.queue.content import header_section
from relay.queue.dsn import ReportedRecipient, Reporter
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.outcomes import local_answer
from relay.queue.settling import Report
from relay.queue.spooling import Draft, NewEntry, Spooler
from relay.routing import Way, reasons
from relay.store.tables.queue import Kind
from relay.vault.vault import SealedDraft


class Mailings:
    """Composes and drafts. ``domains`` are the organisation's own."""

    def __init__(self, notices: Notices, reporter: Reporter, spooler: Spooler, domains: Sequence[str]) -> None:
        self._notices = notices
        self._reporter = reporter
        self._spooler = spooler
        self._domains = frozenset(domains)

    def pickups(self, received: Received, sealed: SealedDraft) -> list[Draft]:
        """Return one notice for each reader; each names nobody but its reader and the sender."""
        sender, reading = received.judgement.sender, received.judgement.reading
        drafts = []
        for link in sealed.links.values():
            composed = self._notices.pickup(
                reader=link.address,
                sender=sender,
                sender_name=reading.from_name if sender == reading.from_ else "",
                link_path=link.path,
                until=sealed.expires_at,
                now=received.arrival.at,
                subject=reading.subject,
            )
            entry = self._entry(Kind.NOTICE, link.address, link.participant_id)
            drafts.append(self._draft(received, entry, composed.content, report_to=sender))
        return drafts

    def receipt(self, received: Received, sealed: SealedDraft | None) -> Draft:
        """Return the receipt: for whom, which rules decided, what else was noticed, masked evidence, until when."""
        judgement = received.judgement
        lines = [
            ReceiptLine(
                copy.path.address,
                copy.verdict.deciding,
                sealed.expires_at if sealed and copy.way is Way.SEAL else None,
                copy.verdict.milder,
            )
            for copy in received.routing.copies
            if copy.way is not Way.REFUSE and copy.verdict.action is not Action.PASS
        ]
        composed = self._notices.receipt(
            sender=judgement.sender,
            lines=lines,
            subject=judgement.reading.subject,
            original_message_id=judgement.reading.message_id,
            now=received.arrival.at,
        )
        return self._draft(received, self._entry(Kind.RECEIPT, judgement.sender), composed.content)

    def report(self, received: Received) -> Draft:
        """Return the one report (RFC 3464) of the copies that were refused while others were accepted."""
        refused = [
            ReportedRecipient(
                copy.path.address,
                Report.FAILED,
                local_answer("5.7.1", reasons([copy])),
                received.arrival.at,
                orcpt=copy.path.orcpt,
            )
            for copy in received.routing.going(Way.REFUSE)
        ]
        to = received.arrival.envelope.reverse_path
        composed = self._reporter.compose(
            to=to,
            recipients=refused,
            headers=header_section([received.arrival.content]),
            arrival=received.arrival.at,
            now=received.arrival.at,
            envid=received.arrival.envelope.envid,
        )
        return self._draft(received, self._entry(Kind.DSN, to), composed)

    def _entry(self, kind: Kind, recipient: str, participant_id: bytes | None = None) -> NewEntry:
        inside = recipient.rpartition("@")[2].lower() in self._domains
        return NewEntry(kind, "inside" if inside else "outside", EntryEnvelope(recipient), participant_id)

    def _draft(self, received: Received, entry: NewEntry, content: bytes, *, report_to: str = "") -> Draft:
        # The null reverse-path: nothing that a stranger's server sends back can start a conversation with us.
        envelope = QueuedEnvelope("", report_to=report_to, smtputf8=not entry.envelope.recipient.isascii())
        return self._spooler.draft(
            envelope,
            [entry],
            content,
            now=received.arrival.at,
            parent=received.arrival.id,
            lease=received.arrival.lease,
        )
