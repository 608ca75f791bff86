"""Mail of machines: flagged mail of one day to one recipient is one conversation with one notice."""

from datetime import UTC, datetime, timedelta

import time_machine
from sqlalchemy import update

from relay.store.tables import Participant
from relay.store.tables.queue import Kind
from relay.store.tables.sealed import ReaderState
from tests.letters import JANE, PARTNER, letter
from tests.unit.relay.intake.house import CONVERSATION, SEALED, House

SCANNER = "scanner@example.org"
MORNING = datetime(2026, 11, 23, 9, tzinfo=UTC)
PARTICIPANT = Participant.__table__  # type: ignore[attr-defined]


def scan(number: int, *to: str, text: str = "asthma") -> bytes:
    mail = letter(to=to, sender=SCANNER, text=f"page {number}: {text}\n", message_id=f"<{number}@scanner.example.org>")
    return b"Auto-Submitted: auto-generated\r\n" + mail


def test_flagged_mail_of_a_day_has_one_notice_and_no_receipt(house: House) -> None:
    """Each is sealed and found with the first one's link; the next day begins a conversation anew."""
    for hours, to in enumerate([[JANE], [JANE], [JANE, PARTNER], [PARTNER]]):
        with time_machine.travel(MORNING + timedelta(hours=hours), tick=False):
            assert house.take(SCANNER, to, scan(hours, *to)).code == 250
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE, PARTNER]
    assert house.count(CONVERSATION) == 2
    assert house.count(SEALED) == 5  # the third was sealed into two conversations
    assert house.send_receipts() == []
    with time_machine.travel(MORNING + timedelta(days=1), tick=False):
        house.take(SCANNER, [JANE], scan(9, JANE))
    assert [one.recipient for one in house.posted(Kind.NOTICE)] == [JANE, PARTNER, JANE]


def test_machines_that_come_at_the_same_moment_share_the_conversation(house: House) -> None:
    """Whoever is first begins it; the others are planned again and join."""
    with time_machine.travel(MORNING, tick=False):
        replies = house.take_all([(SCANNER, [JANE], scan(number, JANE)) for number in range(5)])
    assert {reply.code for reply in replies} == {250}
    assert house.count(CONVERSATION) == 1
    assert house.count(SEALED) == 5
    assert len(house.posted(Kind.NOTICE)) == 1


def test_a_reader_who_was_taken_out_gets_a_conversation_of_their_own(house: House) -> None:
    """What joins nothing any more begins anew, the same day."""
    with time_machine.travel(MORNING, tick=False):
        house.take(SCANNER, [JANE], scan(1, JANE))
        removed = {"state": ReaderState.REMOVED.value}
        house.gateway.store.run(lambda conn: conn.execute(update(PARTICIPANT).values(removed)) and None)
        house.take(SCANNER, [JANE], scan(2, JANE))
        house.take(SCANNER, [JANE], scan(3, JANE))
    assert house.count(CONVERSATION) == 2
    assert len(house.posted(Kind.NOTICE)) == 2


def test_a_machine_is_not_asked(house: House) -> None:
    """What a rule holds is refused with the reason: a machine answers no question, and gets no mail about it."""
    reply = house.take(SCANNER, [JANE], scan(1, JANE, text="gout"))
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert "it speaks of gout (rule second-look)" in reply.text
    assert house.posted() == []


def test_clean_mail_of_a_machine_is_relayed(house: House) -> None:
    """Nothing is grouped that is not sealed."""
    for number in (1, 2):
        house.take(SCANNER, [JANE], scan(number, JANE, text="all is well"))
    assert len(house.posted(Kind.MAIL)) == 2
    assert house.count(SEALED) == 0
