"""Receipts wait, merge by message, survive a restart, and never keep each other back; reads are reported once."""

from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update
from structlog.testing import capture_logs

from policies.model import Action, Finding, RuleHit, Verdict
from policies.model import Recipient as Judged
from relay.clock import id_text, new_id
from relay.conversation.read_reports import ReadReports
from relay.judging import Judgement
from relay.message.secret_address import AddressKind, read_secret_address
from relay.notices.letterhead import Composed, Letterhead
from relay.notices.receipts import ReceiptLine, ReceiptNotices
from relay.plan import Arrival, Received
from relay.queue.items import open_entry
from relay.queue.own_mail import control_address, own_message_id
from relay.receipts import PUT_OFF, Receipts
from relay.routing import Routed, Routing, Way
from relay.smtp.values import ClientFacts, ForwardPath
from relay.store.tables import MessageRead, ReceiptPart, Sealed, Spool
from relay.store.tables.queue import Kind
from relay.store.writer import Store
from relay.vault.reader_names import seal_name
from relay.vault.threads import by_thread
from relay.vault.vault import SealedDraft
from tests.unit.relay.conversation.office import ANNA, BOB, DOMAIN, JANE, LETTER, NOW, Office

PART = ReceiptPart.__table__  # type: ignore[attr-defined]
SPOOL = Spool.__table__  # type: ignore[attr-defined]
SEALED = Sealed.__table__  # type: ignore[attr-defined]
READ = MessageRead.__table__  # type: ignore[attr-defined]
HIT = RuleHit("nhs-numbers", "it has an NHS number", Action.SEAL, (Finding("nhs", "page 2", "943 *** ***9"),))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """An office, once on each kind of database."""
    return Office.open(store, tmp_path)


def letterhead() -> Letterhead:
    return Letterhead(organisation="Example Council", contact="Help desk", domain=DOMAIN, base_url="https://x.example")


def receipts(office: Office, wait: timedelta = MINUTE) -> Receipts:
    """The duty of this office."""
    notices = ReceiptNotices(letterhead())
    return Receipts(office.store, office.keyring, notices, office.spooler, office.routes, domain=DOMAIN, wait=wait)


def note(
    office: Office,
    key: bytes,
    sealed: SealedDraft | None,
    *readers: str,
    wait: timedelta = MINUTE,
    after: timedelta = timedelta(0),
) -> bytes:
    """Note one transaction's part; return the id of its message."""
    verdicts = tuple(Verdict(Judged(one, one.rpartition("@")[2], inside=False), Action.SEAL, (HIT,)) for one in readers)
    arrival = Arrival(
        sealed.message_id if sealed else new_id(),
        NOW + after,
        office.arrival(LETTER, *readers).envelope,
        LETTER,
        ClientFacts("10.0.0.7", 25),
        office.arrival(LETTER, *readers).reading,
        key=key,
    )
    copies = tuple(Routed(ForwardPath(one), verdict, Way.SEAL) for one, verdict in zip(readers, verdicts, strict=True))
    received = Received(arrival, Judgement(arrival.reading, ANNA, verdicts), Routing(copies, None, receipt=True))
    until = sealed.expires_at if sealed else None
    lines = tuple(ReceiptLine.of(one, (HIT,), until) for one in readers)
    office.store.run(receipts(office, wait).part(received, [sealed] if sealed else [], lines))
    return arrival.id


def mails(office: Office, kind: Kind) -> list[tuple[Any, EmailMessage]]:
    """Our mails of a kind that bear a whole message, oldest first, with their rows."""
    found = []
    with office.store.read() as conn:
        for row in office.entries(kind):
            spool = conn.execute(select(SPOOL.c.content).where(SPOOL.c.message_id == row.message_id)).scalar_one()
            content = office.keyring.spool_open("spool", row.message_id, spool)
            if b"Message-ID" in content:
                found.append((row, message_from_bytes(content, policy=policy.default)))
    return found


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_parts_of_one_message_become_one_receipt(office: Office) -> None:
    """Three transactions of one message are one mail, once the first has waited a minute; another message has its own."""
    first, other = office.seal(JANE, receipt=False), office.seal("x@example.net", receipt=False)
    note(office, b"one", first, JANE)
    note(office, b"one", None, BOB, after=timedelta(seconds=2))
    note(office, b"one", None, "carol@example.net", after=timedelta(seconds=5))
    note(office, b"two", other, "x@example.net")
    duty = receipts(office)
    assert not duty.any_due(NOW + timedelta(seconds=59))
    assert duty.send_due(NOW + timedelta(seconds=59)) == 0
    assert duty.any_due(NOW + MINUTE)
    assert duty.send_due(NOW + MINUTE) == 2
    assert not duty.any_due(NOW + MINUTE)
    assert duty.send_due(NOW + MINUTE) == 0
    texts = {text_of(mail) for _, mail in mails(office, Kind.RECEIPT)}
    assert len(texts) == 2
    [merged] = [text for text in texts if JANE in text]
    assert merged.index(JANE) < merged.index(BOB) < merged.index("carol@example.net")
    assert "page 2: 943 *** ***9" in merged
    assert "x@example.net" not in merged


def test_a_receipt_is_answered_at_an_address_that_opens_the_conversation(office: Office) -> None:
    """Reply-To has S, From and text have not; the receipt's Message-ID is remembered as of the conversation."""
    sealed = office.seal(JANE, receipt=False)
    message_id = note(office, b"one", sealed, JANE, wait=timedelta(0))
    assert receipts(office).send_due(NOW) == 1
    [(row, mail)] = mails(office, Kind.RECEIPT)
    address = mail["Reply-To"].addresses[0].addr_spec
    found = read_secret_address(address, DOMAIN)
    assert found is not None
    assert (found.kind, found.id, found.secret) == (AddressKind.CONTROL, message_id, sealed.sender_secret)
    assert mail["From"].addresses[0].addr_spec == f"notices@{DOMAIN}"
    assert address.partition("@")[0] not in text_of(mail)
    assert mail["Message-ID"] == own_message_id(row.message_id, DOMAIN)
    assert mail["In-Reply-To"] == "<1@desk.example.org>"
    with office.store.read() as conn:
        assert by_thread(conn, office.keyring, [mail["Message-ID"]]) == sealed.conversation_id
        entry = open_entry(office.keyring, row.id, row.message_id, row.route, row.envelope)
    assert (entry.recipient, row.route) == (ANNA, "inside")


def test_what_was_not_sealed_has_an_address_without_a_secret_of_a_conversation(office: Office) -> None:
    """A tag of the relay's own stands there: it can ask for the status and nothing else."""
    message_id = note(office, b"one", None, JANE, wait=timedelta(0))
    receipts(office).send_due(NOW)
    [(_, mail)] = mails(office, Kind.RECEIPT)
    found = read_secret_address(mail["Reply-To"].addresses[0].addr_spec, DOMAIN)
    assert found == control_address(office.keyring, message_id)
    assert "recall" not in text_of(mail)


class Overtaken(ReceiptNotices):
    """Another process, which takes the part ``row`` while this one composes."""

    def __init__(self, office: Office, row: bytes) -> None:
        super().__init__(letterhead())
        self._office, self._row = office, row

    def receipt(self, **values: Any) -> Composed:
        """Compose, too late."""
        self._office.store.run(lambda conn: conn.execute(delete(PART).where(PART.c.id == self._row)) and None)
        return super().receipt(**values)


def test_what_another_process_takes_is_not_written_twice(office: Office) -> None:
    """Not even in part: a receipt of which a part is gone is composed anew without it; those beside it are written."""
    note(office, b"one", None, BOB)
    with office.store.read() as conn:
        taken = conn.execute(select(PART.c.id)).scalar_one()
    note(office, b"one", None, JANE)
    note(office, b"two", None, "carol@example.net")
    notices = Overtaken(office, taken)
    duty = Receipts(
        office.store, office.keyring, notices, office.spooler, office.routes, domain=DOMAIN, wait=timedelta(0)
    )
    assert duty.send_due(NOW + MINUTE) == 2
    texts = [text_of(mail) for _, mail in mails(office, Kind.RECEIPT)]
    assert [[one in text for one in (BOB, JANE, "carol@example.net")].count(True) for text in texts] == [1, 1]
    assert not any(BOB in text for text in texts)
    assert not duty.any_due(NOW + MINUTE)


def test_a_receipt_that_cannot_be_read_keeps_no_other_back(office: Office) -> None:
    """A row that was changed is left out and goes; the rest is sent."""
    for key in (b"bad", b"good"):
        note(office, key, office.seal(JANE, receipt=False), JANE)
    office.store.run(
        lambda conn: conn.execute(update(PART).where(PART.c.grouping == b"bad").values(payload=bytes(200))) and None
    )
    assert receipts(office).send_due(NOW + MINUTE) == 1
    with office.store.read() as conn:
        assert conn.execute(select(PART)).first() is None


class Uncomposable(ReceiptNotices):
    """A defect of ours that a letter to Bob brings out."""

    def receipt(self, **values: Any) -> Composed:
        """Fail where Bob is named, compose otherwise."""
        if any(line.recipient == BOB for line in values["lines"]):
            raise AttributeError("as from a defect")
        return super().receipt(**values)


class Unwritable(Receipts):
    """The same of a letter that was not sealed, found only while the transaction runs."""

    def _write(self, conn: Connection, receipt: Any) -> bool:
        done = super()._write(conn, receipt)
        if not receipt.conversations:
            raise AttributeError("as from a defect")
        return done


def test_a_receipt_that_fails_through_a_defect_fails_alone(office: Office) -> None:
    """Those beside it are sent; the log has its id, it is tried again after a while, and goes out once that is mended."""
    sealed = office.seal(JANE, receipt=False)
    uncomposable = note(office, b"bad", sealed, BOB)
    unwritable = note(office, b"worse", None, "carol@example.net")
    for key in (b"good", b"better"):
        note(office, key, sealed, JANE)
    services = (office.store, office.keyring, Uncomposable(letterhead()), office.spooler, office.routes)
    duty = Unwritable(*services, domain=DOMAIN, wait=MINUTE)
    with capture_logs() as lines:
        assert duty.send_due(NOW + MINUTE) == 2
    assert [line["queue_id"] for line in lines] == [id_text(uncomposable), id_text(unwritable)]
    assert not duty.any_due(NOW + MINUTE)
    assert duty.any_due(NOW + MINUTE + PUT_OFF)
    assert receipts(office).send_due(NOW + MINUTE + PUT_OFF) == 2
    assert len(mails(office, Kind.RECEIPT)) == 4


def test_nothing_of_a_waiting_receipt_is_readable(office: Office) -> None:
    """Recipients, subject, evidence and S lie sealed under the day's key."""
    sealed = office.seal(JANE, receipt=False)
    note(office, b"one", sealed, JANE)
    with office.store.read() as conn:
        row = conn.execute(select(PART)).one()
    assert not any(secret in row.payload for secret in (JANE.encode(), b"Canary", b"943", sealed.sender_secret))
    assert sealed.sender_secret.hex().encode() not in row.payload


def read_reports(office: Office) -> ReadReports:
    """The duty of this office."""
    notices = ReceiptNotices(letterhead())
    return ReadReports(office.store, office.keyring, notices, office.spooler, office.routes, DOMAIN)


def was_read(office: Office, sealed: SealedDraft, reader: str, name: str = "") -> None:
    """Note what the portal notes when it shows a message."""
    message_id, participant_id = sealed.message_id, sealed.links[reader].participant_id
    row = {
        "message_id": message_id,
        "participant_id": participant_id,
        "at": NOW,
        "name": seal_name(office.keyring, message_id, participant_id, name) if name else None,
    }
    office.store.run(lambda conn: conn.execute(READ.insert(), [row]) and None)


def test_a_sender_who_asked_is_told_once_that_it_was_read(office: Office) -> None:
    """At the first reading, with the name that was typed, in the thread of the receipt; a second reading is silent."""
    sealed = office.seal(JANE, BOB)
    duty = read_reports(office)
    was_read(office, sealed, JANE, "Jane of the day shift")
    assert not duty.waits(NOW)  # nobody asked
    office.store.run(lambda conn: conn.execute(update(SEALED).values(notify_read=True)) and None)
    assert duty.waits(NOW)
    assert duty.report(NOW) == 1
    [(_, mail)] = mails(office, Kind.CONTROL)
    assert mail["To"] == ANNA
    assert "Jane of the day shift" in text_of(mail)
    assert BOB not in text_of(mail)
    assert mail["In-Reply-To"] == own_message_id(office.entries(Kind.RECEIPT)[0].message_id, DOMAIN)
    was_read(office, sealed, BOB)
    assert not duty.waits(NOW)
    assert duty.report(NOW) == 0


def test_a_changed_row_keeps_no_other_read_report_back(office: Office) -> None:
    """Where somebody wrote the database by hand nobody is told, once; the next sender hears as always."""
    changed, sealed = office.seal(JANE), office.seal(BOB)
    office.set_reader(changed.links[JANE].participant_id, address=office.keyring.seal_address("thief@example.com"))
    office.store.run(lambda conn: conn.execute(update(SEALED).values(notify_read=True)) and None)
    was_read(office, changed, JANE)
    was_read(office, sealed, BOB)
    duty = read_reports(office)
    assert duty.report(NOW) == 1
    [(_, mail)] = mails(office, Kind.CONTROL)
    assert BOB in text_of(mail)
    assert not duty.waits(NOW)


class Unreported(ReceiptNotices):
    """A defect of ours that a report about Jane brings out."""

    def read(self, **values: Any) -> Composed:
        """Fail where Jane has read, compose otherwise."""
        if any(line.reader == JANE for line in values["lines"]):
            raise AttributeError("as from a defect")
        return super().read(**values)


def test_a_read_report_that_fails_through_a_defect_fails_alone(office: Office) -> None:
    """The log has the id of its message, and the next sender hears as always."""
    failing, sealed = office.seal(JANE), office.seal(BOB)
    office.store.run(lambda conn: conn.execute(update(SEALED).values(notify_read=True)) and None)
    was_read(office, failing, JANE)
    was_read(office, sealed, BOB)
    duty = replace(read_reports(office), notices=Unreported(letterhead()))
    with capture_logs() as lines:
        assert duty.report(NOW) == 1
    assert [line["queue_id"] for line in lines] == [id_text(failing.message_id)]
    assert len(mails(office, Kind.CONTROL)) == 1
    assert not duty.waits(NOW)
