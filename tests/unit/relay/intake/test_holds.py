"""Copies that wait for a person: the question, each answer, and the end of the time."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import Connection, delete, select, update
from structlog.testing import capture_logs

from relay import clock
from relay.conversation.control.commands import Command, Verb, parse
from relay.conversation.release import BY_ADMINISTRATOR, Release
from relay.errors import OvertakenError
from relay.message.loop_evidence import FIELD
from relay.message.reading import read
from relay.message.secret_address import AddressKind
from relay.plan import Part
from relay.queue.holds import Held, insert_hold, list_holds
from relay.queue.own_mail import control_address
from relay.store.tables.queue import HoldState, Kind
from relay.vault.retention import sweep
from tests.letters import ANNA, COLLEAGUE, HIDDEN, JANE, PARTNER, letter
from tests.unit.relay.intake.house import CONVERSATION, ENTRY, SEALED, SPOOL, House, Posted

GOUT = letter(to=[JANE, COLLEAGUE], text="about your gout\n", subject="Thursday", message_id="<g@desk.example.org>")
SOFT = letter(to=["a@mail.example", "b@mail.example"], message_id="<s@desk.example.org>")


def the_hold(house: House) -> Held:
    with house.gateway.store.read() as conn:
        [held] = list_holds(conn, house.gateway.keyring)
    return held


def answer(house: House, verb: Verb, *addresses: str, held: Held | None = None) -> tuple[str, ...]:
    """Decide as the desk for commands does, and return what was said."""
    held = held or the_hold(house)
    decided = house.gateway.holding.decide(held, Command(verb, addresses), now=clock.now())
    house.gateway.holding.release.carry_out(held, decided.part, clock.now())
    return decided.said


def states(house: House) -> dict[str, str]:
    return {one.recipient: one.state for one in house.posted(Kind.MAIL)}


def question(house: House) -> Posted:
    return house.posted(Kind.CONTROL)[-1]


def test_a_held_copy_waits_and_its_sender_is_asked(house: House) -> None:
    """The colleague's copy leaves at once; the question says for whom, why, until when, and the words."""
    with time_machine.travel(datetime(2026, 11, 26, 14, tzinfo=UTC), tick=False):  # a Thursday, 15:00 in Amsterdam
        assert house.take(ANNA, [JANE, COLLEAGUE], GOUT).code == 250
    assert states(house) == {JANE: "held", COLLEAGUE: "due"}
    asked = question(house)
    assert asked.recipient == ANNA
    assert JANE in asked.text
    assert COLLEAGUE not in asked.text
    assert "it speaks of gout (rule second-look)" in asked.text
    assert "1 December 2026, 15:00 CET" in asked.text
    assert asked.message["Subject"] == "Waits for your answer: Thursday"
    assert asked.message["In-Reply-To"] == "<g@desk.example.org>"
    assert asked.message["Auto-Submitted"] == "auto-generated"
    address = asked.answered_at
    assert address.kind is AddressKind.CONTROL
    assert address == control_address(house.gateway.keyring, address.id)
    assert house.gateway.holding.find(address.id) == the_hold(house)
    assert house.send_receipts() == []


@pytest.mark.parametrize(("mail", "to", "plain"), [(GOUT, JANE, False), (SOFT, "a@mail.example", True)])
def test_the_question_teaches_words_that_are_understood(mail: bytes, to: str, plain: bool, house: House) -> None:
    """The word "send" stands there only where the rules allow it; every line of it is a command."""
    house.take(ANNA, [to], mail)
    lines = [line.strip() for line in question(house).text.splitlines()]
    assert {"send sealed", "drop", "to name@example.com"} <= set(lines)
    assert ("send" in lines) is plain
    for line in ("send sealed", "send", "drop", "to name@example.com"):
        understood = parse(read(f"Content-Type: text/plain\r\n\r\n{line}\r\n".encode()))
        assert [command.verb.value for command in understood.commands] == [line.removesuffix(" name@example.com")]  # type: ignore[union-attr]


def test_send_sealed(house: House) -> None:
    """The copy is destroyed, what came in is sealed without what we put above it, the reader gets a notice."""
    house.take(ANNA, [JANE], GOUT)
    assert answer(house, Verb.SEND_SEALED) == (f"Sealed for {JANE}, with a notice that leads to it.",)
    assert states(house) == {JANE: "dropped"}
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE]
    assert house.count(SEALED) == 1
    assert all(one.content == b"" for one in house.posted(Kind.MAIL))
    assert house.gateway.holding.decide(
        house.gateway.holding.find(question(house).answered_at.id) or the_hold(house),
        Command(Verb.SEND),
        now=clock.now(),
    ).said == ("This was decided before: nothing waits any more.",)


def test_send_sealed_joins_what_was_sealed_of_it(house: House) -> None:
    """Another reader's copy was sealed at once: both are in one conversation."""
    mail = letter(to=[JANE, "a@mail.example"], text="asthma\n", message_id="<b@desk.example.org>")
    house.take(ANNA, [JANE, "a@mail.example"], mail)
    answer(house, Verb.SEND_SEALED)
    assert house.count(CONVERSATION) == 1
    assert house.count(SEALED) == 2
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE, "a@mail.example"]


def test_send_leaves_as_it_came(house: House) -> None:
    """Where the rules allow it; byte for byte below our trace."""
    house.take(ANNA, ["a@mail.example", "b@mail.example"], SOFT)
    assert answer(house, Verb.SEND) == ("Sent to a@mail.example, b@mail.example as it was.",)
    assert states(house) == {"a@mail.example": "due", "b@mail.example": "due"}
    for one in house.posted(Kind.MAIL):
        assert one.content.endswith(SOFT)
        assert one.message[FIELD]


def test_send_is_not_for_what_must_be_sealed(house: House) -> None:
    """What the rules let go leaves; the rest waits still, and can be answered again."""
    mail = letter(to=[JANE, "a@mail.example"], text="gout\n")
    soft = letter(to=["a@mail.example"], text="asthma\n")
    house.take(ANNA, [JANE], mail)
    [said] = answer(house, Verb.SEND)
    assert "do not let the copy for jane@example.net leave as it is" in said
    assert states(house) == {JANE: "held"}
    answer(house, Verb.DROP)
    house.take(ANNA, ["a@mail.example"], soft)
    assert "send" not in [line.strip() for line in question(house).text.splitlines()]
    [said] = answer(house, Verb.SEND)
    assert "can be sent sealed" in said


def test_drop(house: House) -> None:
    """Nobody gets it, and its bytes are gone."""
    house.take(ANNA, [JANE], GOUT)
    assert answer(house, Verb.DROP) == (f"Not sent to {JANE}. The copy was destroyed.",)
    assert states(house) == {JANE: "dropped"}
    assert house.count(SPOOL) == 1  # the question
    assert house.posted(Kind.NOTICE) == house.posted(Kind.DSN) == []


@pytest.mark.parametrize(
    ("text", "right", "state", "said"),
    [
        ("hello", PARTNER, "due", f"Sent to {PARTNER} instead of a@mail.example."),
        (
            "asthma",
            PARTNER,
            None,
            f"Sealed for {PARTNER} instead of a@mail.example, with a notice that leads to it.",
        ),
        ("gout", PARTNER, "held", f"A rule holds the copy for {PARTNER}, too"),
        ("hello", "x@never.example", None, "nothing goes to this firm (rule never)"),
        ("hello", COLLEAGUE, "due", f"Sent to {COLLEAGUE} instead of a@mail.example."),
    ],
)
def test_the_right_address_is_judged_anew(text: str, right: str, state: str | None, said: str, house: House) -> None:
    """Whatever the rules say of it, the copy for the wrong address is destroyed."""
    house.take(ANNA, ["a@mail.example"], letter(to=["a@mail.example"], text=f"{text}\n"))
    assert said in answer(house, Verb.TO, right)[0]
    expected = {"a@mail.example": "dropped"} | ({right: state} if state else {})
    assert states(house) == expected
    sealed = int(said.startswith("Sealed"))
    assert house.count(SEALED) == sealed
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [right] * sealed
    if state == "held":
        assert [one.recipient for one in house.posted(Kind.CONTROL)] == [ANNA, ANNA]
        assert the_hold(house).addresses == (right,)
    if state:
        content = {one.recipient: one.content for one in house.posted(Kind.MAIL)}
        assert content[right].endswith(b"hello\r\n") or text == "gout"
    if right == COLLEAGUE:
        assert [one.route for one in house.posted(Kind.MAIL)] == ["outside", "inside"]


def test_of_several_copies_the_wrong_one_is_named(house: House) -> None:
    """One address is not enough then; the others go on waiting."""
    house.take(ANNA, ["a@mail.example", "b@mail.example"], SOFT)
    assert "Write the wrong address first" in answer(house, Verb.TO, PARTNER)[0]
    assert answer(house, Verb.TO, "c@mail.example", PARTNER) == ("No copy for c@mail.example is waiting.",)
    assert "was among the recipients already" in answer(house, Verb.TO, "a@mail.example", "B@MAIL.example")[0]
    assert states(house) == {"a@mail.example": "held", "b@mail.example": "held"}
    assert answer(house, Verb.TO, "A@mail.example", PARTNER) == (f"Sent to {PARTNER} instead of a@mail.example.",)
    assert states(house) == {"a@mail.example": "dropped", "b@mail.example": "held", PARTNER: "due"}
    answer(house, Verb.SEND)
    assert states(house)["b@mail.example"] == "due"


def test_commands_about_sealed_messages_are_not_for_this(house: House) -> None:
    """They are answered, and nothing happens."""
    house.take(ANNA, [JANE], GOUT)
    assert answer(house, Verb.RECALL) == ("That cannot be done with a message that waits for your answer.",)
    assert states(house) == {JANE: "held"}


def test_whoever_is_first_decides(house: House, another: Callable[[], House]) -> None:
    """The second finds that nothing waits, and nothing of what it worked out is written."""
    house.take(ANNA, [JANE], GOUT)
    held = the_hold(house)
    second = another().gateway.holding
    late = second.decide(held, Command(Verb.SEND_SEALED), now=clock.now())
    answer(house, Verb.DROP)
    with pytest.raises(OvertakenError):
        second.release.carry_out(held, late.part, clock.now())
    assert house.count(SEALED) == 0
    assert house.posted(Kind.NOTICE) == []


def test_without_an_answer_it_is_returned_with_the_reason(house: House) -> None:
    """After three working days; the report has the header of the message and no more."""
    with time_machine.travel(datetime(2026, 11, 27, 14, tzinfo=UTC), tick=False):  # a Friday
        house.take(ANNA, [JANE, COLLEAGUE], GOUT)
    due = datetime(2026, 12, 2, 14, tzinfo=UTC)
    holding = house.gateway.holding
    assert not holding.any_due(due - timedelta(minutes=1))
    assert holding.any_due(due)
    assert holding.return_due(due) == 1
    assert holding.return_due(due) == 0
    assert states(house)[JANE] == "dropped"
    [report] = house.posted(Kind.DSN)
    assert report.recipient == ANNA
    assert report.reverse_path == ""
    assert "Nobody answered the question about it within 3 working days" in report.text
    assert "it speaks of gout (second-look)" in report.text
    assert b"<g@desk.example.org>" in report.content
    assert b"about your gout" not in report.content


def test_an_administrator_may_return_it(house: House) -> None:
    """The same report with another reason."""
    house.take(ANNA, [JANE], GOUT)
    held, now = the_hold(house), clock.now()
    release = house.gateway.holding.release
    release.carry_out(held, release.give_back(held, by=BY_ADMINISTRATOR, now=now), now)
    [report] = house.posted(Kind.DSN)
    assert "The administrator returned it" in report.text


def test_what_waits_is_kept_while_all_else_of_the_message_ends(house: House) -> None:
    """Spool, row and key stay for a held copy, through delivery of the others and through sweeps."""
    long_ago = datetime(2026, 9, 1, 9, tzinfo=UTC)
    with time_machine.travel(long_ago, tick=False):
        house.take(ANNA, [JANE, COLLEAGUE], GOUT)
    gateway = house.gateway
    for before, after in (("due", "leased"), ("leased", "done")):
        step = update(ENTRY).where(ENTRY.c.state == before).values(state=after, finished_at=long_ago)
        gateway.store.run(lambda conn, step=step: conn.execute(step) and None)  # type: ignore[misc]
    with time_machine.travel(long_ago + timedelta(days=60), tick=False):
        sweep(gateway.store, gateway.blobs, gateway.keyring, gateway.audit, clock.now())
        assert states(house)[JANE] == "held"
        answer(house, Verb.SEND_SEALED)
    assert house.count(SEALED) == 1


def test_a_question_whose_copies_were_taken_out_by_hand_ends(house: House) -> None:
    """Nothing is left to ask about, and nobody is told twice."""
    house.take(ANNA, [JANE], GOUT)
    held = the_hold(house)
    gone = update(ENTRY).where(ENTRY.c.state == "held").values(state="dropped")
    house.gateway.store.run(lambda conn: conn.execute(gone) and None)
    assert house.gateway.holding.return_due(held.until) == 1
    assert house.posted(Kind.DSN) == []
    found = house.gateway.holding.find(held.id)
    assert found
    assert found.state is HoldState.RETURNED


def test_one_hold_that_cannot_be_read_keeps_no_other_back(house: House) -> None:
    """A message whose bytes are gone is skipped, with a line in the log."""
    house.take(ANNA, [JANE], GOUT)
    broken = the_hold(house)
    gone = delete(SPOOL).where(SPOOL.c.message_id == broken.message_id)
    house.gateway.store.run(lambda conn: conn.execute(gone) and None)
    house.take(ANNA, ["a@mail.example"], SOFT)
    assert house.gateway.holding.return_due(clock.now() + timedelta(days=10)) == 1
    assert states(house) == {JANE: "held", "a@mail.example": "dropped"}


def test_many_that_were_decided_hide_none_that_waits(house: House) -> None:
    """All are listed, whatever their number: those of a month stand before it."""
    house.take(ANNA, [JANE], GOUT)
    held, keyring = the_hold(house), house.gateway.keyring
    earlier = replace(held, state=HoldState.RETURNED, until=held.until - timedelta(days=9), copies=())

    def fill(conn: Connection) -> None:
        for _ in range(1000):
            insert_hold(conn, keyring, replace(earlier, id=clock.new_queue_id()))

    house.gateway.store.run(fill)
    with house.gateway.store.read() as conn:
        assert [one.id for one in list_holds(conn, keyring, decided=True) if one.state is HoldState.WAITING] == [
            held.id
        ]


class Defective(Release):
    """A defect of ours that the report about Jane's copy brings out."""

    def give_back(self, held: Held, *, by: str, now: datetime) -> Part:
        """Fail for Jane."""
        if held.addresses == (JANE,):
            raise AttributeError("as from a defect")
        return super().give_back(held, by=by, now=now)


def test_one_hold_that_fails_through_a_defect_keeps_no_other_back(house: House) -> None:
    """It waits on, with a line in the log that has its id; the next is returned."""
    house.take(ANNA, [JANE], GOUT)
    failing = the_hold(house)
    house.take(ANNA, ["a@mail.example"], SOFT)
    holding = house.gateway.holding
    release = Defective(**{field.name: getattr(holding.release, field.name) for field in fields(holding.release)})
    with capture_logs() as lines:
        assert replace(holding, release=release).return_due(clock.now() + timedelta(days=10)) == 1
    assert [line["queue_id"] for line in lines] == [clock.id_text(failing.message_id)]
    assert states(house) == {JANE: "held", "a@mail.example": "dropped"}


def test_a_seal_for_a_mailing_list_is_asked_about(house: House) -> None:
    """The sender may mean it, and then it is sealed."""
    mail = letter(to=["members@lists.example.net"], text="asthma\n")
    house.take(ANNA, ["members@lists.example.net"], mail)
    assert "pickup link and code would reach everybody on it (rule mailing-list)" in question(house).text
    assert "it speaks of asthma (rule secret-words)" in question(house).text
    answer(house, Verb.SEND_SEALED)
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == ["members@lists.example.net"]


def test_a_sealed_conversation_is_not_sealed_for_a_mailing_list(house: House) -> None:
    """Though no rule asks for the seal: its link and code would reach everybody on the list, too."""
    house.take(ANNA, [JANE], letter(to=[JANE], text="asthma\n", message_id="<root@desk.example.org>"))
    further = b"References: <root@desk.example.org>\r\n" + letter(to=["members@lists.example.net"], text="hello\n")
    house.take(ANNA, ["members@lists.example.net"], further)
    assert states(house) == {"members@lists.example.net": "held"}
    assert "(rule mailing-list)" in question(house).text
    assert "it belongs to a sealed conversation (rule sealed-conversation)" in question(house).text


def test_a_held_blind_copy_stays_blind(house: House) -> None:
    """Nobody else learns of it, and the reader is not listed to others when it is sealed."""
    mail = letter(to=[JANE], text="gout and asthma\n")
    house.take(ANNA, [JANE, HIDDEN], mail)
    held = the_hold(house)
    assert {copy.address: copy.visible for copy in held.copies} == {JANE: True, HIDDEN: False}
    answer(house, Verb.SEND_SEALED)
    notices = {one.recipient: one.content for one in house.posted(Kind.NOTICE)}
    assert HIDDEN.encode() not in notices[JANE]


def test_correcting_the_address_does_not_unseal_a_conversation(house: House) -> None:
    """An answer in a sealed conversation stays sealed for whoever gets it instead, though no rule asks for it."""
    house.take(ANNA, [JANE], letter(to=[JANE], text="asthma\n", message_id="<root@desk.example.org>"))
    further = b"References: <root@desk.example.org>\r\n" + letter(to=["a@mail.example"], text="hello\n")
    house.take(ANNA, ["a@mail.example"], further)
    assert states(house) == {"a@mail.example": "held"}
    assert answer(house, Verb.TO, PARTNER)[0].startswith(f"Sealed for {PARTNER}")
    assert states(house) == {"a@mail.example": "dropped"}
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE, PARTNER]


def test_the_time_for_delivery_begins_when_a_copy_is_let_go(house: House) -> None:
    """After five days of waiting a next hop that asks to try later is no reason to give up."""
    house.take(ANNA, ["a@mail.example"], letter(to=["a@mail.example"]))
    held = the_hold(house)
    later = clock.now() + timedelta(days=5)
    decided = house.gateway.holding.decide(held, Command(Verb.SEND), now=later)
    house.gateway.holding.release.carry_out(held, decided.part, later)
    with house.gateway.store.read() as conn:
        [row] = conn.execute(select(ENTRY).where(ENTRY.c.kind == Kind.MAIL.value)).all()
    assert (row.state, row.created_at, row.due_at, row.finished_at) == ("due", later, later, None)
