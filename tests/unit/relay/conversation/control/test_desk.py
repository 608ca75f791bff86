"""The desk for control addresses: who is obeyed, what each command changes, and what is answered."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from policies.ruleset import RuleSpec, compile_rules
from relay.clock import new_id
from relay.conversation.control import desk as desk_module
from relay.conversation.control.answers import Answers
from relay.conversation.control.desk import Controls, seen_by
from relay.conversation.control.orders import Bounds
from relay.conversation.control.permission import Permission
from relay.conversation.pickups import Pickups
from relay.conversation.reception import Addressed
from relay.conversation.senders import Delegates
from relay.judging import Judge
from relay.message.extraction import Extractor
from relay.message.secret_address import AddressKind, SecretAddress, read_secret_address
from relay.notices.compose import Notices
from relay.notices.controls import ControlNotices
from relay.notices.letterhead import Letterhead
from relay.plan import Arrival, Earlier, Part
from relay.queue.items import QueuedEnvelope
from relay.queue.own_mail import control_address
from relay.queue.spooling import Draft, insert_message
from relay.smtp.values import ClientFacts, ForwardPath, Reply
from relay.store.tables.queue import Direction, Kind
from relay.store.tables.sealed import ReaderState
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.people import people
from relay.vault.status import status
from relay.vault.vault import SealedDraft
from tests.unit.relay.conversation.office import ANNA, BOB, DOMAIN, JANE, NOW, Office

OURS = ClientFacts("10.0.0.7", 25, "mail.example.org", esmtp=True, trusted=True)
PA = "pa@example.org"
CAROL, COMPETITOR, LIST = "carol@example.com", "eve@rival.example", "members@lists.example"
RULES = [
    RuleSpec.model_validate(
        {"name": "rivals", "because": "it is a rival", "to": "rival.example", "when": {"subject_tag": "canary"}}
        | {"action": "refuse"}
    )
]


class NoHolds:
    """Nothing is held here."""

    def find(self, _hold_id: bytes) -> None:
        return None


@dataclass
class Desk:
    """The desk of one office with one sealed letter; ``control`` is where the next answer goes."""

    office: Office
    controls: Controls
    sealed: SealedDraft
    control: SecretAddress = field(init=False)
    number: int = 0

    def __post_init__(self) -> None:
        self.control = SecretAddress(AddressKind.CONTROL, self.sealed.message_id, self.sealed.sender_secret)

    def arrival(self, typed: str, *, by: str = ANNA, client: ClientFacts = OURS, more: str = "") -> Arrival:
        """An answer to the newest mail of ours."""
        self.number += 1
        content = (
            f"From: {by}\r\nTo: <{self.control.write(DOMAIN)}>\r\nSubject: Re: Sealed: Canary\r\n{more}"
            f"Message-ID: <answer-{self.number}@desk>\r\n\r\n{typed}\r\n"
        ).encode()
        arrival = self.office.arrival(content, self.control.write(DOMAIN), client=client, reverse_path=by)
        return replace(arrival, key=self.number.to_bytes(32, "big"))

    def take(self, arrival: Arrival) -> Part | Reply:
        """Hand a mail to the desk and write what it wants written."""
        addressed = [Addressed(path, self.control) for path in arrival.envelope.recipients]
        outcome = self.controls.take(arrival, addressed)
        if isinstance(outcome, Part):
            self.office.commit(arrival, outcome)
        return outcome

    def says(self, typed: str, **more: Any) -> str:
        """Answer and return the text that comes back; the next answer goes where it says."""
        outcome = self.take(self.arrival(typed, **more))
        assert isinstance(outcome, Part), outcome
        mail = mail_in(outcome)
        to = read_secret_address(mail["Reply-To"].addresses[0].addr_spec, DOMAIN)
        assert to is not None
        self.control = to
        body = mail.get_body(("plain",))
        assert body is not None
        return " ".join(cast("EmailMessage", body).get_content().split())

    def note(self, arrival: Arrival, direction: Direction) -> None:
        """Keep the record of a mail that came before."""
        spooler = self.office.spooler
        envelope = QueuedEnvelope(arrival.envelope.reverse_path)
        record = spooler.draft(envelope, [], b"", now=NOW, direction=direction, message_key=arrival.key)
        self.office.store.run(lambda conn: insert_message(conn, record))

    def person(self, address: str) -> Any:
        """How somebody stands."""
        with self.office.store.read() as conn:
            everybody = people(conn, self.office.keyring, self.sealed.conversation_id)
        return [one for one in everybody if one.address == address][-1]


def mail_in(part: Part) -> EmailMessage:
    """The answer of a part: its first draft."""
    return _written(part.drafts[0])


def _written(draft: Draft) -> EmailMessage:
    return message_from_bytes(b"".join(draft.consignments[0].content.pieces()), policy=policy.default)


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """An office, once on each kind of database."""
    return Office.open(store, tmp_path)


@pytest.fixture
def desk(office: Office, tmp_path: Path) -> Desk:
    """Anna's letter to Jane and Bob, and the desk."""
    letterhead = Letterhead(
        organisation="Example Council",
        contact="Help desk",
        domain=DOMAIN,
        base_url="https://letter.example.org",
        tags=("en", "nl", "de", "fr"),
    )
    pickups = Pickups(office.keyring, Notices(letterhead), office.spooler, office.routes, DOMAIN)
    judge = Judge(
        compile_rules(RULES, lists={}, groups={}, mailing_lists=[LIST]),
        cast("Extractor", None),
        ["example.org"],
        seconds=1,
        history=None,
    )
    controls = Controls(
        store=office.store,
        keyring=office.keyring,
        delegates=Delegates.of({ANNA: [PA]}),
        permission=Permission(FileBlobs(tmp_path / "blobs"), judge),
        answers=Answers(office.keyring, ControlNotices(letterhead), pickups, office.spooler, office.routes, DOMAIN),
        holding=cast("Any", NoHolds()),
        bounds=Bounds(frozenset({"example.org"}), timedelta(days=60)),
    )
    return Desk(office, controls, office.seal(JANE, BOB))


def test_status_tells_link_opened_from_read(desk: Desk) -> None:
    """Whose link was opened has not read; whose notice came back knows of nothing."""
    desk.office.set_reader(desk.sealed.links[JANE].participant_id, state=ReaderState.LINK_OPENED.value, opened_at=NOW)
    desk.office.set_reader(desk.sealed.links[BOB].participant_id, state=ReaderState.UNDELIVERABLE.value)
    said = desk.says("status")
    assert f"{JANE} The link was opened on" in said
    assert "Not read yet" in said
    assert f"{BOB} The notice could not be delivered" in said


def test_recall_and_restore_reach_those_who_are_named(desk: Desk) -> None:
    """One of two is recalled, then everybody; who was recalled before is said to be; a restore undoes it."""
    said = desk.says(f"recall {JANE.upper()}")
    assert f"{JANE}: taken back" in said
    assert "It can be read until" in said
    assert (desk.person(JANE).recalled_at, desk.person(BOB).recalled_at) == (NOW, None)
    said = desk.says("recall")
    assert f"{JANE}: it was taken back before" in said
    assert f"{BOB}: taken back" in said
    assert "It can be read until" not in said, "nobody can"
    assert "let it be read again" in said
    assert f"{JANE}: nothing was sent, because it is taken back" in desk.says(f"resend {JANE}")
    assert f"{BOB} can read it again" in desk.says(f"restore {BOB}")
    assert (desk.person(JANE).recalled_at, desk.person(BOB).recalled_at) == (NOW, None)


def test_a_fresh_secret_in_each_answer_opens_what_the_old_one_did(desk: Desk) -> None:
    """Each answer is answered in turn; the last secret still gives a new reader the letter."""
    for _ in range(3):
        before = desk.control
        desk.says("status")
        assert desk.control.id == before.id
        assert desk.control.secret != before.secret
    assert "a notice with a new link is on its way. The old links" not in desk.says(f"resend {JANE}")
    assert f"{CAROL} can read it, too" in desk.says(f"add {CAROL}")


def test_resend_says_when_the_old_links_end(desk: Desk) -> None:
    """`resend` alone ends what is needless in silence; with `revoke` the answer says it."""
    outcome = desk.take(desk.arrival(f"resend {JANE} revoke"))
    assert isinstance(outcome, Part)
    answer, notice = outcome.drafts
    assert [draft.entry_rows[0]["kind"] for draft in (answer, notice)] == [Kind.CONTROL.value, Kind.NOTICE.value]
    assert "The old links are no longer valid" in " ".join(str(mail_in(outcome)).split()).replace("= ", "")


@pytest.mark.parametrize("command", [f"resend {JANE}", f"add {CAROL}"])
def test_a_fresh_link_is_no_further_message(desk: Desk, command: str) -> None:
    """Who is added was told of nothing before; the notice names the sender as the message did."""
    arrival = desk.arrival(command)
    outcome = desk.take(replace(arrival, reading=replace(arrival.reading, from_name="Anna Baker")))
    assert isinstance(outcome, Part)
    said = _written(outcome.drafts[1]).as_string()
    assert "keeps a message for you" in said
    assert f"From: Anna Baker <{ANNA}>" in said
    assert "told of before" not in said


def test_extending_stops_at_what_the_organisation_allows(desk: Desk) -> None:
    """Thirty days at first; fourteen more are fourteen more, a thousand end at sixty from now."""
    assert "It can now be read until 5 January 2027" in desk.says("extend 14")
    assert "21 January 2027" in desk.says("extend 1000")
    assert "That is as long as your organisation allows" in desk.says("extend 1")


def test_extending_what_nobody_can_read_says_what_to_do(desk: Desk) -> None:
    """It is kept longer, but no date to read until is promised before somebody can read again."""
    kept = "It is kept until 5 January 2027, 12:00 UTC, but nobody can read it: restore it for a reader, or add one."
    said = desk.says("extend 14\nrecall")
    assert kept in said
    assert "be read until" not in said
    assert "be read until" not in desk.says("extend 1000")
    assert "It can be read until 21 January 2027" in desk.says(f"extend 1\nrestore {BOB}")


def test_adding_asks_the_rules(desk: Desk) -> None:
    """Colleagues are not readers, nobody is added twice, and what the rules refuse or would ask about is not added."""
    said = desk.says(f"add bob@example.org, {JANE}, {COMPETITOR}, {LIST}, {CAROL}")
    assert "bob@example.org belongs to your own organisation" in said
    assert f"{JANE} is among the readers already" in said
    assert f"{COMPETITOR} was not added" in said
    assert f"{LIST} was not added" in said
    assert f"{CAROL} can read it, too" in said
    assert "Taken out" in desk.says(f"remove {CAROL}")
    assert desk.person(CAROL).removed
    assert f"{CAROL} is not among the readers" in desk.says(f"recall {CAROL}")


def test_several_commands_are_one_commit_and_one_answer(desk: Desk) -> None:
    """In the order in which they were written; who is removed and added again stays."""
    said = desk.says(f"recall {JANE}\nremove {BOB}\nadd {CAROL}\nextend 7\nrestore {JANE}\nstatus")
    for words in (f"{JANE}: taken back", f"{BOB} was taken out", f"{CAROL} can read it, too", f"{JANE} can read it"):
        assert words in said
    assert desk.person(JANE).recalled_at is None
    assert desk.person(BOB).removed


def test_copies_that_left_directly_are_out_of_reach(desk: Desk) -> None:
    """A recall names them, whether everybody or they alone were meant."""
    office = desk.office
    office.queue(Kind.MAIL, "ben@example.org", None, None)
    mail = office.entries(Kind.MAIL)[0]
    address = control_address(office.keyring, mail.message_id)
    office.queue(Kind.RECEIPT, ANNA, mail.message_id, None)
    desk.control = address
    said = desk.says("status")
    assert "ben@example.org Delivered directly" in said
    assert "This message left as an ordinary message" in desk.says("recall")


@pytest.mark.parametrize(
    "change",
    [
        lambda desk: desk.arrival("recall", client=replace(OURS, trusted=False)),
        lambda desk: desk.arrival("recall", by="ben@example.org"),
        lambda desk: desk.arrival("recall", by=JANE),
        lambda desk: replace(
            arrival := desk.arrival("recall"), reading=replace(arrival.reading, message_id=""), key=None
        ),
    ],
)
def test_others_are_refused_and_change_nothing(desk: Desk, change: Callable[[Desk], Arrival]) -> None:
    """Outside, a colleague, a reader, somebody whose mail has no name: 550, and nobody is recalled."""
    outcome = desk.take(change(desk))
    assert isinstance(outcome, Reply)
    assert (outcome.code, outcome.enhanced) == (550, "5.7.1")
    assert desk.person(JANE).recalled_at is None


def test_a_secret_of_another_conversation_is_refused(desk: Desk) -> None:
    """The right message with the wrong secret, and the right secret with another message."""
    other = desk.office.seal("x@example.net")
    for id_, secret in (
        (desk.sealed.message_id, other.sender_secret),
        (other.message_id, desk.sealed.sender_secret),
        (desk.sealed.message_id, bytes(20)),
        (new_id(), desk.sealed.sender_secret),
        (desk.sealed.message_id, control_address(desk.office.keyring, desk.sealed.message_id).secret),
    ):
        desk.control = SecretAddress(AddressKind.CONTROL, id_, secret)
        assert isinstance(desk.take(desk.arrival("recall")), Reply)
    assert desk.person(JANE).recalled_at is None


def test_who_acts_for_the_sender_is_obeyed_and_answered(desk: Desk) -> None:
    """[organisation] delegates: the answer goes to whoever asked."""
    outcome = desk.take(desk.arrival("recall", by=PA))
    assert isinstance(outcome, Part)
    assert mail_in(outcome)["To"] == PA
    assert desk.person(JANE).recalled_at == NOW


@pytest.mark.parametrize(
    "more",
    [
        "Auto-Submitted: auto-replied\r\n",
        "Precedence: bulk\r\n",
        "Precedence: auto_reply\r\n",
        "Auto-Submitted: auto-generated\r\nX-Autoreply: yes\r\n",
    ],
)
def test_machines_are_neither_obeyed_nor_answered(desk: Desk, more: str) -> None:
    """An out-of-office text that begins with "recall" is taken, dropped and recorded."""
    outcome = desk.take(desk.arrival("recall", more=more))
    assert isinstance(outcome, Part)
    assert outcome.drafts == outcome.changes == ()
    assert desk.person(JANE).recalled_at is None
    assert "a machine sent it" in " ".join(desk.office.told())


def test_a_machine_that_marks_nothing_is_not_answered_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ticket system thanks for each answer of ours: so many in a day are answered; commands always are."""
    monkeypatch.setattr(desk_module, "MOST_ANSWERS", 2)
    for _ in range(2):
        desk.says("Thank you for your request. We will look into it soon.")
    outcome = desk.take(desk.arrival("Thank you for your request. We will look into it soon."))
    assert isinstance(outcome, Part)
    assert outcome.drafts == outcome.changes == ()
    assert "many were answered today" in desk.office.told()[-1]
    assert f"{JANE}: taken back" in desk.says("recall")


def test_the_same_mail_again_is_dropped(desk: Desk) -> None:
    """What was taken once is known by its key; it changes nothing and is not answered, with others in Cc neither."""
    arrival = desk.arrival("recall")
    desk.note(arrival, Direction.CONTROL)
    mixed = desk.arrival("recall")
    paths = (*mixed.envelope.recipients, ForwardPath(BOB))
    mixed = replace(mixed, envelope=replace(mixed.envelope, recipients=paths), earlier=Earlier((new_id(),)))
    for again in (arrival, replace(arrival, earlier=Earlier((new_id(),))), mixed):
        outcome = desk.controls.take(again, [Addressed(again.envelope.recipients[0], desk.control)])
        assert isinstance(outcome, Part)
        assert outcome.drafts == outcome.changes == ()
    assert desk.person(JANE).recalled_at is None


def test_a_command_is_obeyed_though_its_copy_for_others_came_first(desk: Desk) -> None:
    """Exchange hands one mail over in pieces: that for Bob in Cc, then that for us. It is no repetition."""
    arrival = desk.arrival("recall")
    desk.note(arrival, Direction.OUT)
    outcome = desk.take(replace(arrival, earlier=Earlier((new_id(),), frozenset())))
    assert isinstance(outcome, Part)
    assert len(outcome.drafts) == 1
    assert desk.person(JANE).recalled_at == NOW


def test_two_control_addresses_at_once_are_refused(desk: Desk) -> None:
    """Which of them is meant cannot be told."""
    arrival = desk.arrival("recall")
    other = replace(desk.control, id=new_id())
    path = ForwardPath(desk.control.write(DOMAIN))
    outcome = desk.controls.take(arrival, [Addressed(path, desk.control), Addressed(path, other)])
    assert isinstance(outcome, Reply)
    assert outcome.code == 550


def test_help_shows_the_line_in_the_language_of_the_question(desk: Desk) -> None:
    """The answer to a question lists the commands with a reader's address, and can be answered in turn."""
    said = desk.says("Wie kann ich das bitte nicht mehr zeigen?")
    assert "Wie kann ich das bitte nicht mehr zeigen?" in said
    assert "zurückziehen " in said
    assert f"{JANE}: zurückgezogen" in desk.says(f"zurückziehen {JANE}")


def test_an_expired_conversation_says_so(desk: Desk) -> None:
    """After its end nothing can be done: whose secret has expired is refused like any wrong one."""
    arrival = desk.arrival("recall")
    late = replace(arrival, at=NOW + timedelta(days=31))
    refusal = desk.take(late)
    assert isinstance(refusal, Reply)
    assert "until the message expires" in str(refusal), "who is the sender must not read that they are not"


def test_the_audit_has_commands_and_outcomes_and_no_secret(desk: Desk) -> None:
    """What was asked and what came of it, under the message that it is about."""
    desk.says(f"recall {JANE}\nstatus")
    told = " ".join(desk.office.told())
    assert '"recall"' in told
    assert '"recalled"' in told
    assert desk.control.write(DOMAIN).split(".")[2].split("@")[0] not in told


def test_a_blind_reader_is_shown_to_who_wrote_to_them_alone(desk: Desk) -> None:
    """A colleague who answered in the conversation asks for its status, and does not learn of the Bcc."""
    with desk.office.store.read() as conn:
        stands = status(conn, desk.office.keyring, desk.sealed.conversation_id, NOW)
    jane, bob = sorted(stands.readers, key=lambda one: one.address, reverse=True)
    hidden = replace(stands, readers=(replace(jane, blind=True), bob))
    (letter,) = stands.messages
    assert letter.author_id is not None
    assert seen_by(letter.author_id, hidden) == hidden
    assert [one.address for one in seen_by(new_id(), hidden).readers] == [BOB]


def test_the_answer_goes_to_who_may_ask(desk: Desk) -> None:
    """Anna writes in somebody else's name (From Ben, Sender Anna): her secret does not go to Ben."""
    outcome = desk.take(desk.arrival("status", by="ben@example.org", more=f"Sender: Anna <{ANNA}>\r\n"))
    assert isinstance(outcome, Part)
    assert mail_in(outcome)["To"] == ANNA
