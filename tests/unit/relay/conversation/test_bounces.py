import threading
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import update

from relay.conversation.bounces import Bounces, answer_of
from relay.conversation.reception import Addressed, Reception
from relay.errors import OvertakenError
from relay.message.delivery_status import ReportedDelivery
from relay.message.secret_address import AddressKind, SecretAddress, read_secret_address
from relay.plan import Part
from relay.queue.own_mail import own_message_id, receipt_of
from relay.queue.routes import REPLIES
from relay.smtp.values import ForwardPath, Reply
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState, Kind
from relay.store.tables.sealed import ReaderState
from relay.store.writer import Store
from relay.vault.sealing.errors import SealingError
from tests.unit.relay.conversation.office import ANNA, BOB, DOMAIN, JANE, NOW, Office

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
REPORTS = Path(__file__).parents[3] / "mail" / "reports"


def report(name: str) -> bytes:
    return (REPORTS / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """An office, once on each kind of database."""
    return Office.open(store, tmp_path)


@pytest.fixture
def desk(office: Office) -> Bounces:
    return Bounces(office.store, office.keyring, office.returns, office.reports)


def take(office: Office, desk: Bounces, name: str, *queued_ids: bytes, content: bytes = b"") -> Part | Reply:
    """Hand a report about mails of ours to the desk."""
    paths = [office.returns.of(one) for one in queued_ids]
    arrival = office.arrival(content or report(name), *paths)
    addressed = []
    for path in paths:
        address = read_secret_address(path, DOMAIN)
        assert address is not None
        addressed.append(Addressed(ForwardPath(path), address))
    outcome = desk.take(arrival, addressed)
    if isinstance(outcome, Part):
        office.commit(arrival, outcome)
    return outcome


def mail_in(part: Part | Reply) -> EmailMessage:
    """The one mail that a part wants sent."""
    assert isinstance(part, Part)
    (draft,) = part.drafts
    content = b"".join(draft.consignments[0].content.pieces())
    found = message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_a_notice_that_comes_back_is_reported_to_its_sender(office: Office, desk: Bounces) -> None:
    """The sender reads who does not know of the message and why, in the thread of the receipt; the reader is marked."""
    sealed = office.seal(JANE)
    outcome = take(office, desk, "postfix", office.notices[JANE])
    mail = mail_in(outcome)
    words = mail.get_body(("plain",))
    assert words is not None
    text = words.get_content()
    assert mail["To"] == ANNA
    assert "jane@example.net" in text
    assert "the recipient does not know of it" in text
    assert "550 5.1.1 <jane@example.net> User doesn't exist" in text
    assert "you sent on" in text
    with office.store.read() as conn:
        receipt = receipt_of(conn, sealed.message_id)
    assert receipt is not None
    assert mail["In-Reply-To"] == own_message_id(receipt, DOMAIN)
    assert office.state_of(office.notices[JANE]) == EntryState.BOUNCED
    reader = office.reader(sealed.links[JANE].participant_id)
    assert (reader.state, reader.bounced_at) == (ReaderState.UNDELIVERABLE, NOW)


def test_a_second_report_about_the_same_mail_is_dropped(office: Office, desk: Bounces) -> None:
    """Servers repeat themselves; the sender hears it once."""
    office.seal(JANE)
    take(office, desk, "postfix", office.notices[JANE])
    outcome = take(office, desk, "gmail", office.notices[JANE])
    assert isinstance(outcome, Part)
    assert outcome.drafts == ()
    assert len(office.entries(Kind.DSN)) == 1
    assert "it was known before" in office.told()[-1]


def test_of_two_reports_at_the_same_moment_one_counts(office: Office, desk: Bounces) -> None:
    """A plan that rests on an entry which somebody else has ended meanwhile is not written."""
    office.seal(JANE)
    path = office.returns.of(office.notices[JANE])
    address = read_secret_address(path, DOMAIN)
    assert address is not None
    arrivals = [office.arrival(report("postfix"), path) for _ in range(2)]
    plans = [desk.take(one, [Addressed(ForwardPath(path), address)]) for one in arrivals]
    assert isinstance(plans[0], Part)
    assert isinstance(plans[1], Part)
    office.commit(arrivals[0], plans[0])
    with pytest.raises(OvertakenError):
        office.commit(arrivals[1], plans[1])
    assert len(office.entries(Kind.DSN)) == 1


@pytest.mark.parametrize("name", ["out-of-office", "read-receipt", "postfix-delay"])
def test_what_reports_no_failure_is_dropped_and_recorded(office: Office, desk: Bounces, name: str) -> None:
    """Out-of-office, read receipt and delay: 250, no mail, no change, a line in the audit."""
    sealed = office.seal(JANE)
    outcome = take(office, desk, name, office.notices[JANE])
    assert isinstance(outcome, Part)
    assert (outcome.drafts, outcome.changes) == ((), ())
    assert office.reader(sealed.links[JANE].participant_id).state == ReaderState.NOTIFIED
    assert "report dropped" in office.told()[-1]


def test_a_forged_bounce_address_is_refused(office: Office, desk: Bounces) -> None:
    """The tag of another mail does not open this one, also when the door would have let it pass."""
    office.seal(JANE)
    made_up = SecretAddress(AddressKind.BOUNCE, office.notices[JANE], bytes(20))
    path = ForwardPath(made_up.write(DOMAIN))
    outcome = desk.take(office.arrival(report("postfix"), path.address), [Addressed(path, made_up)])
    assert isinstance(outcome, Reply)
    assert (outcome.code, outcome.enhanced) == (550, "5.1.1")
    reception = Reception(DOMAIN, {AddressKind.BOUNCE: desk})
    assert reception.sort(office.arrival(report("postfix"), path.address)) == outcome


def test_a_report_that_is_faster_than_our_own_record_waits_for_it(office: Office, desk: Bounces) -> None:
    """The next hop's 250 is known, its record waits for a commit to share, and the report is there already."""
    sealed = office.seal(JANE)
    early = office.queue(
        Kind.NOTICE, JANE, sealed.message_id, sealed.links[JANE].participant_id, state=EntryState.LEASED
    )
    done = update(_ENTRY).where(_ENTRY.c.message_id == early.message_id).values(state=EntryState.DONE.value)
    recorder = threading.Timer(0.1, lambda: office.store.run(lambda conn: conn.execute(done)))
    recorder.start()
    outcome = take(office, desk, "postfix", early.message_id)
    recorder.join()
    assert isinstance(outcome, Part)
    assert mail_in(outcome)["To"] == ANNA


def test_a_report_about_what_is_being_sent_is_put_off(
    office: Office, desk: Bounces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as we do not know that the mail was taken, a report about it comes too early: 451."""
    monkeypatch.setattr("relay.conversation.bounces.RECORDED_WITHIN", 0.05)
    sealed = office.seal(JANE)
    early = office.queue(
        Kind.NOTICE, JANE, sealed.message_id, sealed.links[JANE].participant_id, state=EntryState.LEASED
    )
    outcome = take(office, desk, "postfix", early.message_id)
    assert isinstance(outcome, Reply)
    assert outcome.code == 451


def test_a_report_about_a_mail_that_nobody_knows_is_dropped(office: Office, desk: Bounces) -> None:
    """After a month the mail itself is forgotten."""
    outcome = take(office, desk, "postfix", b"m" * 16)
    assert isinstance(outcome, Part)
    assert outcome.drafts == ()


def test_a_mail_that_was_forwarded_fails_under_another_address(office: Office, desk: Bounces) -> None:
    """A mail with one recipient is meant, whatever address the last server names; the report names ours."""
    office.seal(BOB)
    mail = mail_in(take(office, desk, "exchange", office.notices[BOB]))
    text = mail.get_body(("plain",))
    assert text is not None
    assert text.get_content().count(f"\r\n{BOB}\r\n") == 1
    assert b"Final-Recipient: rfc822; bob@example.net" in mail.as_bytes()


def test_who_has_read_is_not_called_unreachable(office: Office, desk: Bounces) -> None:
    """Where the reader has been there since, a forwarded copy failed: no alarm for the sender."""
    sealed = office.seal(JANE)
    jane = sealed.links[JANE].participant_id
    office.set_reader(jane, state=ReaderState.READ.value, read_at=NOW + timedelta(minutes=5))
    outcome = take(office, desk, "postfix", office.notices[JANE])
    assert isinstance(outcome, Part)
    assert outcome.drafts == ()
    assert office.reader(jane).state == ReaderState.READ


def test_of_codes_that_come_back_the_first_is_reported(office: Office, desk: Bounces) -> None:
    """The reader asks again and again; the sender has one mail about it."""
    sealed = office.seal(JANE)
    jane = sealed.links[JANE].participant_id
    office.set_reader(jane, state=ReaderState.LINK_OPENED.value)
    codes = [office.queue(Kind.CODE, JANE, None, jane).message_id for _ in range(2)]
    first, second = (take(office, desk, "postfix", code) for code in codes)
    assert "the code for it could not be delivered" in str(mail_in(first))
    assert isinstance(second, Part)
    assert second.drafts == ()
    assert [office.state_of(code) for code in codes] == [EntryState.BOUNCED] * 2


@pytest.mark.parametrize("kind", [b"message/rfc822", b"text/rfc822-headers"])
def test_a_report_tells_by_the_message_id_which_mail_to_a_reader_it_is(
    office: Office, desk: Bounces, kind: bytes
) -> None:
    """Notice and code have one return address: what the report brings back says which of them is meant."""
    jane = office.seal(JANE).links[JANE].participant_id
    codes = [office.queue(Kind.CODE, JANE, None, jane).message_id for _ in range(2)]
    returned = b"Subject: A message\r\nMessage-ID: " + own_message_id(office.notices[JANE], DOMAIN).encode()
    content = report("postfix").replace(b"message/rfc822", kind).replace(b"Subject: A message", returned)
    assert "the recipient does not know of it" in str(mail_in(take(office, desk, "", jane, content=content)))
    assert office.state_of(office.notices[JANE]) == EntryState.BOUNCED
    assert [office.state_of(code) for code in codes] == [EntryState.DONE] * 2


@pytest.mark.parametrize("at", [DOMAIN, "example.org"])
def test_a_report_that_does_not_say_is_about_the_newest(office: Office, desk: Bounces, at: str) -> None:
    """Without a Message-ID, or with that of another reader's mail, the last mail to this reader is meant, once."""
    links = office.seal(JANE, BOB).links
    jane = links[JANE].participant_id
    code = office.queue(Kind.CODE, JANE, None, jane, NOW + timedelta(seconds=1)).message_id
    office.queue(Kind.CODE, JANE, None, jane, NOW + timedelta(seconds=2), EntryState.DUE)
    foreign = b"Message-ID: " + own_message_id(office.notices[BOB], at).encode() + b"\r\nSubject: A message"
    for content in (report("postfix"), report("postfix").replace(b"Subject: A message", foreign)):
        take(office, desk, "", jane, content=content)
    assert office.state_of(code) == EntryState.BOUNCED
    assert "it was known before" in office.told()[-1]
    assert [office.state_of(office.notices[one]) for one in (JANE, BOB)] == [EntryState.DONE] * 2


def test_a_receipt_that_comes_back_is_only_recorded(office: Office, desk: Bounces) -> None:
    """The sender's own mailbox failed: there is nobody to write to."""
    office.seal(JANE)
    (receipt,) = office.entries(Kind.RECEIPT)
    outcome = take(office, desk, "postfix", receipt.message_id)
    assert isinstance(outcome, Part)
    assert outcome.drafts == ()
    assert office.state_of(receipt.message_id) == EntryState.BOUNCED


def test_without_a_sender_inside_nobody_is_told(office: Office, desk: Bounces) -> None:
    """A message that a machine without a return address sent still marks its reader."""
    sealed = office.seal(JANE, sender="")
    outcome = take(office, desk, "postfix", office.notices[JANE])
    assert isinstance(outcome, Part)
    assert outcome.drafts == ()
    assert office.reader(sealed.links[JANE].participant_id).state == ReaderState.UNDELIVERABLE


def test_nobody_is_mailed_to_because_a_row_was_changed(office: Office, desk: Bounces) -> None:
    """Who can write the database cannot send a report to an address of their own."""
    sealed = office.seal(JANE)
    assert sealed.sender_participant_id is not None
    office.set_reader(sealed.sender_participant_id, address=office.keyring.seal_address("thief@example.com"))
    with pytest.raises(SealingError):
        take(office, desk, "postfix", office.notices[JANE])


def test_one_message_may_report_about_two_mails(office: Office, desk: Bounces) -> None:
    """Two of our addresses as recipients are two reports."""
    office.seal(JANE, BOB)
    outcome = take(office, desk, "postfix", office.notices[JANE], office.notices[BOB])
    assert isinstance(outcome, Part)
    assert len(outcome.drafts) == 2


@pytest.mark.parametrize(
    ("diagnostic", "status", "code", "enhanced", "text"),
    [
        ("550 5.1.1 no such user", "5.1.1", 550, "5.1.1", "no such user"),
        ("550-5.1.1 no such 550 5.1.1 user", "", 550, "5.1.1", "no such 550 5.1.1 user"),
        ("mailbox is full", "5.2.2", 0, "5.2.2", "mailbox is full"),
        ("", "", 0, "5.0.0", "the mail server gave no reason"),
        ("999 strange", "5.1.1", 0, "5.1.1", "999 strange"),
    ],
)
def test_the_servers_answer_is_found_in_a_diagnostic(
    diagnostic: str, status: str, code: int, enhanced: str, text: str
) -> None:
    """Reply code and status where they are, a sentence where nothing is."""
    answer = answer_of(ReportedDelivery("a@example.net", "", "failed", status, diagnostic))
    assert (answer.code, answer.enhanced, answer.text) == (code, enhanced, text)


def test_what_the_own_mailbox_sends_back_goes_round_in_no_circle(office: Office) -> None:
    """A reader's answer that comes back goes to the organisation's mailbox; from there it goes nowhere."""
    asked: list[bytes] = []

    class Lost:
        def returned(self, _conn: object, queued_id: bytes, *_more: object) -> Part:
            asked.append(queued_id)
            return Part()

    desk = Bounces(office.store, office.keyring, office.returns, office.reports, Lost())
    to_mailbox = office.queue(Kind.REPLY, "post@example.org", None, None)
    take(office, desk, "postfix", to_mailbox.message_id)
    assert (asked, office.state_of(to_mailbox.message_id)) == ([], "bounced")
    answer = office.queue(Kind.REPLY, ANNA, None, None, route=REPLIES)
    take(office, desk, "postfix", answer.message_id)
    assert asked == [answer.message_id]
