"""A message that comes twice, in pieces, or back: what was known stays one, what is new joins it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from relay.message.loop_evidence import FIELD
from relay.store.tables.queue import Kind
from tests.letters import ANNA, COLLEAGUE, HIDDEN, JANE, PARTNER, letter
from tests.unit.relay.intake.house import CONVERSATION, SEALED, House

SECRET = letter(to=[JANE, PARTNER, COLLEAGUE], text="about your asthma\n", message_id="<1@desk.example.org>")
PLAIN = letter(to=[JANE, PARTNER, COLLEAGUE], message_id="<2@desk.example.org>")


def test_a_message_that_is_sent_again_is_taken_once(house: House) -> None:
    """A client that has not heard the 250 hears the same one; nobody gets a second copy or notice."""
    first = house.take(ANNA, [JANE, COLLEAGUE], SECRET)
    again = house.take(ANNA, [JANE, COLLEAGUE], b"Received: from elsewhere\r\n" + SECRET)
    assert first == again
    assert first.code == 250
    assert [one.recipient for one in house.posted(Kind.MAIL)] == [COLLEAGUE]
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE]
    assert len(house.send_receipts()) == 1


def test_a_message_in_three_transactions_is_one_conversation_with_one_receipt(house: House) -> None:
    """As Exchange hands over one mail with several recipients; each reader has a link of their own."""
    for recipient in (COLLEAGUE, JANE, PARTNER):
        assert house.take(ANNA, [recipient], SECRET).code == 250
    assert house.count(CONVERSATION) == 1
    assert house.count(SEALED) == 2
    notices = house.posted(Kind.NOTICE)
    assert [one.recipient for one in notices] == [JANE, PARTNER]
    assert len({one.link for one in notices}) == 2
    [receipt] = house.send_receipts()
    assert JANE in receipt.text
    assert PARTNER in receipt.text
    assert [one.recipient for one in house.posted(Kind.MAIL)] == [COLLEAGUE]


def test_pieces_that_come_at_the_same_moment_are_one_conversation(house: House) -> None:
    """One writer, one batch: each sees what came of the others, and the same recipient in two of them gets one."""
    mails = [(ANNA, [to], SECRET) for to in (JANE, PARTNER, HIDDEN, JANE, "d@example.net", "e@example.net", JANE)]
    assert {reply.code for reply in house.take_all(mails)} == {250}
    assert house.count(CONVERSATION) == 1
    recipients = sorted(one.recipient for one in house.posted(Kind.NOTICE))
    assert recipients == sorted([JANE, PARTNER, HIDDEN, "d@example.net", "e@example.net"])
    assert len(house.send_receipts()) == 1


def test_two_processes_know_each_others_messages(house: House, another: Callable[[], House]) -> None:
    """The key is looked up in the store that they share."""
    second = another()
    assert house.take(ANNA, [JANE], SECRET).code == 250
    assert second.take(ANNA, [JANE], SECRET).code == 250
    assert second.take(ANNA, [PARTNER], SECRET).code == 250
    assert house.count(CONVERSATION) == 1
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE, PARTNER]


def test_only_new_recipients_of_a_repetition_get_it(house: House) -> None:
    """Relayed copies too; the id in the reply is that of the new ones' message."""
    first = house.take(ANNA, [JANE], PLAIN)
    second = house.take(ANNA, [JANE, PARTNER], PLAIN)
    assert first.code == second.code == 250
    assert first != second
    assert [one.recipient for one in house.posted(Kind.MAIL)] == [JANE, PARTNER]


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(b"Thursday at ten", b"Thursday at two"),
        PLAIN.replace(b"Message-ID: <2@", b"Message-ID: <3@"),
        b"Resent-Date: Sun, 22 Nov 2026 13:00:00 +0000\r\n" + PLAIN,
    ],
)
def test_another_message_is_another(other: bytes, house: House) -> None:
    """What people see differs, or somebody sent it anew on purpose."""
    house.take(ANNA, [JANE], PLAIN)
    house.take(ANNA, [JANE], other)
    assert len(house.posted(Kind.MAIL)) == 2


def test_without_a_message_id_nothing_is_a_repetition(house: House) -> None:
    """Two equal alarms of a machine are two: nothing says that they are one."""
    alarm = b"From: anna.baker@example.org\r\nSubject: alarm\r\n\r\nthe fridge is warm\r\n"
    for _ in range(2):
        assert house.take(ANNA, [JANE], alarm).code == 250
    assert len(house.posted(Kind.MAIL)) == 2


def test_after_a_day_a_message_is_new(house: House) -> None:
    """Longer than clients try again."""
    start = datetime(2026, 11, 23, 9, tzinfo=UTC)
    for hours in (0, 23, 25):
        with time_machine.travel(start + timedelta(hours=hours), tick=False):
            house.take(ANNA, [JANE], PLAIN)
    assert len(house.posted(Kind.MAIL)) == 2


def test_a_refused_message_may_be_sent_again(house: House) -> None:
    """Nothing came of it, so nothing is known of it: the same answer again."""
    mail = letter(to=["x@never.example"], message_id="<4@desk.example.org>")
    assert [house.take(ANNA, ["x@never.example"], mail).code for _ in range(2)] == [550, 550]


def test_our_own_mail_that_comes_back_is_judged_again_and_ends_in_time(house: House) -> None:
    """It is no repetition: a forwarder may send it on. The fourth pass is refused."""
    mail, replies = PLAIN, []
    for _ in range(4):
        replies.append(house.take(ANNA, [JANE], mail))
        mail = house.posted(Kind.MAIL)[-1].content
    assert [reply.code for reply in replies] == [250, 250, 250, 554]
    assert replies[-1].enhanced == "5.4.6"
    relayed = house.posted(Kind.MAIL)
    assert [one.message[FIELD].split()[0] for one in relayed] == ["1", "2", "3"]
    assert all(one.content.count(FIELD.encode()) == 1 for one in relayed)
    assert all(one.content.endswith(PLAIN) for one in relayed)


def test_evidence_never_skips_judging(house: House) -> None:
    """What left for staff and is redirected to the outside is sealed there like any other."""
    house.take(ANNA, [COLLEAGUE], SECRET)
    [back] = house.posted(Kind.MAIL)
    house.take(ANNA, [JANE], back.content)
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE]
    assert len(house.posted(Kind.MAIL)) == 1


def test_fifty_hops_are_enough(house: House) -> None:
    """A circle whose hops change the body has no evidence, but a long trace (RFC 5321 section 6.3)."""
    trace = b"Received: from a by b; Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    assert house.take(ANNA, [JANE], trace * 50 + PLAIN).code == 250
    reply = house.take(ANNA, [JANE], trace * 51 + PLAIN)
    assert (reply.code, reply.enhanced) == (554, "5.4.6")
