"""A rule holds a copy: the sender is asked by mail, and answers as people do."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from email.utils import parseaddr
from pathlib import Path

import pytest

from tests.gateway import RULES, Gateway, running
from tests.letters import ANNA, COLLEAGUE, JANE, NHS_NUMBER, PARTNER, letter
from tests.postoffice import Delivered, PostOffice
from tests.stories.links import link_in

pytestmark = pytest.mark.story

HOLDS = (
    RULES
    + """
[[rules]]
name = "second-look"
because = "it speaks of the merger"
to = "outside"
when = { keywords = ["merger"] }
action = "hold"

[[rules]]
name = "soft-look"
because = "it goes to a private mailbox"
when = { recipient_domain = "mail.example" }
action = "hold"
release = "any"
"""
)
WRONG = "jane@mail.example"
MERGER = "About the merger: Thursday at ten.\n"


@pytest.fixture
def holding(tmp_path: Path, world: PostOffice) -> Iterator[Gateway]:
    """A running gateway whose rules hold."""
    installed = Gateway.install(tmp_path, world.port, rules=HOLDS)
    with running(installed):
        yield installed


def question_in(mails: list[Delivered]) -> Delivered:
    """Return the newest question among them."""
    return [mail for mail in mails if mail.message["Subject"].startswith("Waits for your answer")][-1]


def answer(question: Delivered, words: str) -> tuple[str, bytes]:
    """Return where an answer goes and how a mail client writes it, the question quoted below."""
    to = parseaddr(question.message["Reply-To"])[1]
    quoted = "".join(f"> {line}\n" for line in question.text.splitlines())
    subject = f"Re: {question.message['Subject']}"
    return to, letter(to=[to], subject=subject, text=f"{words}\n\nOn Sunday Example Council wrote:\n{quoted}")


def decide(gateway: Gateway, world: PostOffice, words: str) -> Delivered:
    """Answer the newest question in the sender's mailbox; return the answer that comes back."""
    before = len(world.wait_for(ANNA))
    to, content = answer(question_in(world.wait_for(ANNA)), words)
    gateway.send(ANNA, [to], content)
    return world.wait_for(ANNA, before + 1)[-1]


def test_a_wrong_address_is_corrected_before_anybody_got_the_letter(holding: Gateway, world: PostOffice) -> None:
    """The colleague's copy does not wait; the right address gets the letter as it was, the wrong one never does."""
    sent = letter(to=[WRONG, COLLEAGUE])
    holding.send(ANNA, [WRONG, COLLEAGUE], sent)
    assert world.wait_for(COLLEAGUE)[0].content.endswith(sent)
    question = question_in(world.wait_for(ANNA))
    assert "it goes to a private mailbox (rule soft-look)" in question.text
    assert COLLEAGUE not in question.text
    said = decide(holding, world, f"to {JANE}")
    assert f"Sent to {JANE} instead of {WRONG}." in said.text
    assert world.wait_for(JANE)[0].content.endswith(sent)
    assert world.of(WRONG) == []
    assert "Nothing is held." in holding.letterlock("held", "list")


def test_send_sealed_makes_a_notice_of_it(holding: Gateway, world: PostOffice) -> None:
    """What the rule does not let go as it is can be sent sealed; "send" alone is answered with that."""
    holding.send(ANNA, [JANE], letter(to=[JANE], text=MERGER))
    said = decide(holding, world, "send").text
    assert "do not let the copy for jane@example.net leave as it is" in said
    assert "\r\n  send sealed\r\n" in said
    assert "\r\n  send\r\n" not in said
    assert world.of(JANE) == []
    assert f"Sealed for {JANE}" in decide(holding, world, "Send sealed, please.").text
    [notice] = world.wait_for(JANE)
    assert link_in(notice)
    assert b"merger" not in notice.content


def test_send_lets_it_go_where_the_rule_allows(holding: Gateway, world: PostOffice) -> None:
    """Byte for byte below what every relay adds."""
    sent = letter(to=[WRONG])
    holding.send(ANNA, [WRONG], sent)
    decide(holding, world, "send")
    assert world.wait_for(WRONG)[0].content.endswith(sent)


def test_drop_ends_it_and_a_second_answer_changes_nothing(holding: Gateway, world: PostOffice) -> None:
    """Whatever is answered later, nothing waits any more."""
    holding.send(ANNA, [WRONG], letter(to=[WRONG]))
    question = question_in(world.wait_for(ANNA))
    assert f"Not sent to {WRONG}" in decide(holding, world, "drop").text
    to, content = answer(question, "send")
    holding.send(ANNA, [to], content)
    assert "nothing waits any more" in world.wait_for(ANNA, 3)[-1].text
    to, content = answer(question, "Yes, that is fine")
    holding.send(ANNA, [to], content)
    said = world.wait_for(ANNA, 4)[-1].text
    assert "nothing waits any more" in said
    assert "send sealed" not in said
    assert world.of(WRONG) == []


def test_nobody_else_decides(holding: Gateway, world: PostOffice) -> None:
    """Not a colleague, and not a secret that was made up."""
    holding.send(ANNA, [WRONG], letter(to=[WRONG]))
    to, content = answer(question_in(world.wait_for(ANNA)), "send")
    forged = content.replace(ANNA.encode(), COLLEAGUE.encode())
    local, _, domain = to.partition("@")
    guessed = f"{local[:-4]}{'aaaa' if not local.endswith('aaaa') else 'bbbb'}@{domain}"
    for sender, recipient, mail in ((COLLEAGUE, to, forged), (ANNA, guessed, content)):
        with pytest.raises(Exception, match=r"5\.7\.1|5\.1\.1"):
            holding.send(sender, [recipient], mail)
    assert world.of(WRONG) == []


def test_without_an_answer_it_comes_back(tmp_path: Path, world: PostOffice) -> None:
    """The time of the question ends while the gateway runs; the report says why, with the header only."""
    installed = Gateway.install(tmp_path, world.port, rules=HOLDS)
    with running(installed):
        installed.send(ANNA, [WRONG], letter(to=[WRONG], text="A plain word.\n"))
        world.wait_for(ANNA)
    _end_time_of_questions(tmp_path / "var" / "letterlock.db")
    with running(installed):
        report = world.wait_for(ANNA, 2)[-1]
    assert report.message.get_content_type() == "multipart/report"
    assert "Nobody answered the question about it within 3 working days" in report.text
    assert b"A plain word." not in report.content
    assert world.of(WRONG) == []


def test_the_administrator_decides_from_the_command_line(holding: Gateway, world: PostOffice) -> None:
    """List, show, release sealed, release as it is, return; the sender is told each time."""
    holding.send(ANNA, [JANE], letter(to=[JANE], text=MERGER))
    holding.send(ANNA, [WRONG], letter(to=[WRONG], text="Second.\n"))
    holding.send(ANNA, [PARTNER], letter(to=[PARTNER], text=MERGER))
    world.wait_for(ANNA, 3)
    listed = json.loads(holding.letterlock("held", "list", "--json"))
    ids = {held["copies"][0]["recipient"]: held["id"] for held in listed}
    assert {held["sender"] for held in listed} == {ANNA}
    shown = holding.letterlock("held", "show", ids[JANE])
    assert "because it speaks of the merger (rule second-look)" in shown
    assert "Thursday at ten" not in shown

    assert f"Sealed for {JANE}" in holding.letterlock("held", "release", ids[JANE])
    assert link_in(world.wait_for(JANE)[0])
    assert f"Sent to {WRONG} as it was." in holding.letterlock("held", "release", ids[WRONG], "--plain")
    assert b"Second." in world.wait_for(WRONG)[0].content
    assert "Returned; the sender is told." in holding.letterlock("held", "return", ids[PARTNER])
    told = world.wait_for(ANNA, 6)[3:]
    assert sum(mail.message["Subject"].startswith("Decided: ") for mail in told) == 2
    assert any("The administrator returned it" in mail.text for mail in told)
    assert world.of(PARTNER) == []
    trace = holding.letterlock("trace", listed[0]["message"])
    assert "as an administrator decided" in trace
    holding.letterlock("held", "release", ids[JANE], expect=1)
    assert "\n  decided:  " in holding.letterlock("held", "show", ids[JANE])


def test_one_letter_in_three_transactions_is_one_conversation_and_one_receipt(
    tmp_path: Path, world: PostOffice
) -> None:
    """As Exchange hands it over: the same mail, its recipients one by one; sent again, nobody gets a second."""
    installed = Gateway.install(tmp_path, world.port, rules=HOLDS)
    file = tmp_path / "relay.toml"
    file.write_text(file.read_text().replace('wait = "0s"', 'wait = "3s"'))
    with running(installed):
        sent = letter(to=[JANE, PARTNER, COLLEAGUE], text=f"NHS number {NHS_NUMBER}\n")
        replies = [installed.send(ANNA, [recipient], sent) for recipient in (JANE, PARTNER, COLLEAGUE, JANE)]
        assert replies[3] == replies[0]
        [receipt] = world.wait_for(ANNA)
        assert JANE in receipt.text
        assert PARTNER in receipt.text
        assert world.wait_for(COLLEAGUE)[0].content.endswith(sent)
        assert len({link_in(world.wait_for(reader)[0]) for reader in (JANE, PARTNER)}) == 2
        traces = [installed.letterlock("trace", reply.split()[-1]) for reply in replies[:2]]
        assert all("sealed for " in trace for trace in traces)
    assert [len(world.of(address)) for address in (ANNA, JANE, PARTNER, COLLEAGUE)] == [1, 1, 1, 1]
    assert _count(tmp_path / "var" / "letterlock.db", "conversation") == 1


def _end_time_of_questions(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE hold SET until = created_at")


def _count(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as database:
        [(count,)] = database.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608  # our own names
    return int(count)
