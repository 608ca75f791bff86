from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

from relay.clock import id_text
from relay.conversation.silence import Silence
from relay.conversation.silence_place import place_of
from relay.notices.letterhead import Composed, Letterhead
from relay.notices.reminders import ReminderNotices
from relay.queue.items import SPOOL
from relay.queue.own_mail import own_message_id
from relay.store.tables import Decision, MachineThread, MessageRead, Spool
from relay.store.tables.queue import Kind
from relay.store.tables.sealed import ReaderState
from relay.store.writer import Store
from relay.vault.vault import SealedDraft
from tests.unit.relay.conversation.office import ANNA, BOB, DOMAIN, JANE, NOW, Office

DAY = timedelta(days=1)
LATE = NOW + 3 * DAY + timedelta(minutes=1)
LETTERHEAD = Letterhead(
    organisation="Example Council",
    contact="+44 20 7946 0000",
    domain=DOMAIN,
    base_url="https://portal.example.org",
)
_SENT = (Kind.REMINDER, Kind.CONTROL)
Change = Callable[[Office, SealedDraft], None]


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """An office, once on each kind of database; the duty has its place from before the first message."""
    return Office.open(store, tmp_path)


def duty(office: Office, *, after: timedelta | None = 3 * DAY, quiet: tuple[str, ...] = ()) -> Silence:
    return Silence(
        office.store,
        office.keyring,
        office.audit,
        ReminderNotices(LETTERHEAD),
        office.spooler,
        office.routes,
        DOMAIN,
        after,
        quiet,
    )


def begin(office: Office) -> Silence:
    """A duty that has looked once, a day before everything."""
    silence = duty(office)
    assert silence.waits(NOW - DAY)
    assert silence.look(NOW - DAY) == 0
    return silence


def sent(office: Office, kind: Kind) -> list[EmailMessage]:
    """What was queued, as mail."""
    return [content_of(office, row.message_id) for row in office.entries(kind)]


def content_of(office: Office, message_id: bytes) -> EmailMessage:
    with office.store.read() as conn:
        table: Any = Spool.__table__  # type: ignore[attr-defined]
        row = conn.execute(table.select().where(table.c.message_id == message_id)).one()
    found = message_from_bytes(office.keyring.spool_open(SPOOL, message_id, row.content), policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def words(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


def test_an_unread_message_brings_one_reminder_and_one_note(office: Office) -> None:
    """After three days the reader is reminded without a link, the sender is told, and never again."""
    silence = begin(office)
    office.seal(JANE)
    assert not silence.waits(NOW + 2 * DAY)
    assert silence.waits(LATE)
    assert silence.look(LATE) == 1
    (reminder,), (note,) = sent(office, Kind.REMINDER), sent(office, Kind.CONTROL)
    assert (reminder["To"], reminder["Reply-To"]) == (JANE, ANNA)
    assert "anna@example.org sent you a protected message" in words(reminder)
    assert "22 November 2026" in words(reminder)
    assert b"http" not in reminder.as_bytes()
    assert b"/p/" not in reminder.as_bytes()
    assert reminder["In-Reply-To"] == own_message_id(office.notices[JANE], DOMAIN)
    (receipt,) = office.entries(Kind.RECEIPT)
    assert note["To"] == ANNA
    assert note["In-Reply-To"] == own_message_id(receipt.message_id, DOMAIN)
    assert "jane@example.net The notice was handed over" in words(note)
    assert "The link was not opened." in words(note)
    for later in (LATE, LATE + 2 * DAY):
        assert not silence.waits(later)
        assert silence.look(later) == 0
    assert silence.look(LATE + 10 * DAY) == 0
    assert len(office.entries(*_SENT)) == 2


def test_several_silent_readers_are_one_note(office: Office) -> None:
    """Each has a reminder of their own that names nobody else; the sender has one mail about all."""
    silence = begin(office)
    office.seal(JANE, BOB)
    silence.look(LATE)
    reminders = sent(office, Kind.REMINDER)
    assert {mail["To"] for mail in reminders} == {JANE, BOB}
    assert not any(BOB.encode() in mail.as_bytes() for mail in reminders if mail["To"] == JANE)
    (note,) = sent(office, Kind.CONTROL)
    assert JANE in words(note)
    assert BOB in words(note)


def _state(state: ReaderState, **more: object) -> Change:
    def change(office: Office, sealed: SealedDraft) -> None:
        office.set_reader(sealed.links[JANE].participant_id, state=state.value, **more)

    return change


def _seen(office: Office, sealed: SealedDraft) -> None:
    row = {"message_id": sealed.message_id, "participant_id": sealed.links[JANE].participant_id, "at": NOW}
    office.store.run(lambda conn: conn.execute(insert(MessageRead.__table__).values(row)) and None)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        _state(ReaderState.READ, read_at=NOW + timedelta(minutes=1)),
        _seen,
        _state(ReaderState.UNDELIVERABLE, bounced_at=NOW),
        _state(ReaderState.LINK_OPENED, bounced_at=NOW),
        _state(ReaderState.REMOVED),
        _state(ReaderState.NOTIFIED, recalled_at=NOW),
        _state(ReaderState.WAITING),
        _state(ReaderState.NOTIFIED, reminded_at=NOW + DAY),
    ],
    ids=["read", "this message read", "came back", "code came back", "removed", "recalled", "not notified", "reminded"],
)
def test_who_is_not_silent_is_left_in_peace(office: Office, change: Change) -> None:
    """No reminder to readers who have read, cannot be reached, may not read any more, or were reminded before."""
    silence = begin(office)
    change(office, office.seal(JANE))
    assert silence.look(LATE) == 1
    assert office.entries(*_SENT) == []


def test_who_only_opened_the_link_is_reminded(office: Office) -> None:
    """A scanner may have opened it: the note says which of both it was."""
    silence = begin(office)
    _state(ReaderState.LINK_OPENED)(office, office.seal(JANE))
    silence.look(LATE)
    assert "The link was opened, but the message was not read." in words(sent(office, Kind.CONTROL)[0])


def test_who_has_read_an_earlier_message_is_reminded_of_a_later_one(office: Office) -> None:
    """That was another message: of this one nobody knows more than that its notice was handed over."""
    silence = begin(office)
    _state(ReaderState.READ, read_at=NOW - DAY)(office, office.seal(JANE))
    assert silence.look(LATE) == 1
    (reminder,), (note,) = sent(office, Kind.REMINDER), sent(office, Kind.CONTROL)
    assert reminder["To"] == JANE
    assert "jane@example.net The notice was handed over" in words(note)
    assert "The link" not in words(note)


def _decide(office: Office, sealed: SealedDraft, rules: str) -> None:
    row = {
        "message_id": sealed.message_id,
        "position": 0,
        "at": NOW,
        "recipient_hash": b"h",
        "domain": "example.net",
        "inside": False,
        "action": "seal",
        "rules": rules,
        "shadow": "[]",
    }
    office.store.run(lambda conn: conn.execute(insert(Decision.__table__).values(row)) and None)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("rules", "notes"), [('["quiet"]', 0), ('["quiet","loud"]', 1), ('["loud"]', 1)])
def test_a_rule_whose_senders_want_no_receipt_sends_no_note(office: Office, rules: str, notes: int) -> None:
    """A receipt of "never" for all rules that decided keeps the note away, not the reminder."""
    begin(office)
    _decide(office, office.seal(JANE), rules)
    duty(office, quiet=("quiet",)).look(LATE)
    assert [len(office.entries(kind)) for kind in _SENT] == [1, notes]


def test_a_machine_is_told_nothing(office: Office) -> None:
    """The reader of a machine's mail is reminded; the machine reads no notes."""
    silence = begin(office)
    sealed = office.seal(JANE)
    row = {"sender_hash": b"s", "recipient_hash": b"r", "day": "2026-11-22", "conversation_id": sealed.conversation_id}
    office.store.run(lambda conn: conn.execute(insert(MachineThread.__table__).values(row)) and None)  # type: ignore[attr-defined]
    silence.look(LATE)
    assert [len(office.entries(kind)) for kind in _SENT] == [1, 0]


def test_what_is_older_than_the_duty_is_left_alone(office: Office) -> None:
    """Switching reminders on does not bring up the mail of last month."""
    office.seal(JANE, at=NOW - 10 * DAY)
    begin(office)
    assert duty(office).look(LATE) == 0


def test_mail_that_nobody_sealed_is_gone_through_once(office: Office) -> None:
    """Weeks of it are passed by, so that no look begins before them again; who is silent after that is reminded."""
    silence = begin(office)
    weeks = timedelta(days=20)
    assert silence.waits(LATE + weeks)
    assert silence.look(LATE + weeks) == 0
    with office.store.read() as conn:
        place = place_of(conn)
    assert place is not None
    assert place.at > NOW + weeks - 3 * DAY
    assert not silence.waits(LATE + weeks)
    office.seal(JANE, at=NOW + weeks)
    assert silence.look(LATE + weeks) == 1
    assert [len(office.entries(kind)) for kind in _SENT] == [1, 1]


def test_never_means_never(office: Office) -> None:
    """Without a time there is nothing to do, and nothing is written."""
    silence = duty(office, after=None)
    assert not silence.waits(LATE)
    assert silence.look(LATE) == 0


def test_an_expired_message_reminds_nobody(office: Office) -> None:
    """After a standstill of a month nobody is told to look for what cannot be opened."""
    silence = begin(office)
    office.seal(JANE)
    assert silence.look(NOW + 40 * DAY) == 1
    assert office.entries(*_SENT) == []


def test_many_messages_are_caught_up_with_in_order(office: Office) -> None:
    """After a standstill every message is looked at once, also those of one and the same moment."""
    silence = begin(office)
    for minute in (0, 0, 0, 1, 2):
        office.seal(JANE, at=NOW + timedelta(minutes=minute), receipt=False)
    moments: list[datetime] = [NOW + 3 * DAY, LATE, LATE + DAY]
    assert [silence.look(moment) for moment in moments] == [3, 1, 1]
    assert len(office.entries(Kind.REMINDER)) == 5


def test_a_changed_row_silences_its_own_conversation_alone(office: Office) -> None:
    """Where somebody wrote the database by hand nobody is mailed to; everybody else is reminded as always."""
    silence = begin(office)
    changed = office.seal(JANE, receipt=False)
    office.set_reader(changed.links[JANE].participant_id, address=office.keyring.seal_address("thief@example.com"))
    office.seal(BOB, receipt=False)
    assert silence.look(LATE) == 2
    assert [mail["To"] for mail in sent(office, Kind.REMINDER)] == [BOB]
    assert not silence.waits(LATE)


class Defective(ReminderNotices):
    """A defect of ours that a reminder to Jane brings out."""

    def reminder(self, *, reader: str, **values: Any) -> Composed:
        """Fail for Jane, compose for everybody else."""
        if reader == JANE:
            raise AttributeError("as from a defect")
        return super().reminder(reader=reader, **values)


def test_a_defect_silences_one_message_alone(office: Office) -> None:
    """The log has the id of the message that nobody is reminded of; all others are reminded of."""
    silence = replace(begin(office), notices=Defective(LETTERHEAD))
    sealed = office.seal(JANE, receipt=False)
    office.seal(BOB, receipt=False)
    with capture_logs() as lines:
        assert silence.look(LATE) == 2
    assert [line["queue_id"] for line in lines] == [id_text(sealed.message_id)]
    assert [mail["To"] for mail in sent(office, Kind.REMINDER)] == [BOB]
