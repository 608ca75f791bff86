"""A flagged message is sealed for those outside, and everybody gets what was meant for them."""

import json
import smtplib
from pathlib import Path

import pytest

from tests.gateway import RULES, Gateway, running
from tests.letters import ANNA, COLLEAGUE, HIDDEN, JANE, NHS_NUMBER, PARTNER, XLSX, letter, spreadsheet
from tests.postoffice import PostOffice
from tests.stories.links import link_in

pytestmark = pytest.mark.story


def test_a_number_on_a_hidden_sheet_is_found(gateway: Gateway, world: PostOffice) -> None:
    """A colleague gets the letter itself, three people outside a notice each, with a link of their own.

    One of the three stands in Bcc; the NHS number stands on a sheet that nobody sees at first.
    """
    sheet = spreadsheet([["patient", "NHS number"], ["A", NHS_NUMBER]], hidden=True)
    sent = letter(to=[COLLEAGUE, JANE], cc=[PARTNER], subject="Figures", attachments=[("figures.xlsx", XLSX, sheet)])
    gateway.send(ANNA, [COLLEAGUE, JANE, PARTNER, HIDDEN], sent)

    [at_colleague] = world.wait_for(COLLEAGUE)
    assert at_colleague.content.endswith(sent)

    notices = {address: world.wait_for(address)[0] for address in (JANE, PARTNER, HIDDEN)}
    assert len({link_in(notice) for notice in notices.values()}) == 3
    for address, notice in notices.items():
        others = {JANE, PARTNER, HIDDEN} - {address}
        assert not any(other.encode() in notice.content for other in others)
        assert b"Figures" not in notice.content
        assert NHS_NUMBER.encode() not in notice.content
        assert notice.message["Auto-Submitted"] == "auto-generated"
        assert "Example Council" in notice.text
        assert "+44 20 7946 0000" in notice.text

    [receipt] = world.wait_for(ANNA)
    for address in (JANE, PARTNER, HIDDEN):
        assert address in receipt.text
    assert "nhs-numbers" in receipt.text
    assert NHS_NUMBER not in receipt.text
    assert "figures.xlsx" in receipt.text


FIRST_CONTACT = """
[[rules]]
name = "first-contact"
because = "you have never written to this address"
to = "outside"
when = { unfamiliar = "first-contact" }
action = "notify"
"""


def test_only_the_rules_that_decided_are_named_as_the_reason(tmp_path: Path, world: PostOffice) -> None:
    """A first letter with an NHS number is sealed for the number; the first contact alone would not have done it.

    Receipt, trace and report agree.
    """
    installed = Gateway.install(tmp_path, world.port, rules=RULES + FIRST_CONTACT)
    with running(installed):
        sent = letter(to=[JANE], text=f"NHS number {NHS_NUMBER}\n")
        queue_id = installed.send(ANNA, [JANE], sent).split()[-1]
        [receipt] = world.wait_for(ANNA)
        assert "Why: the message contains an NHS number (rule nhs-numbers)" in receipt.text
        assert "Also noticed: you have never written to this address (rule first-contact)" in receipt.text
        trace = installed.letterlock("trace", queue_id)
        assert "by rule nhs-numbers\n" in trace
        assert "first-contact" not in trace
        assert "sealed for 1 reader in " in trace
        counted = json.loads(installed.letterlock("report", "--json"))["rules"]
        assert counted == [{"rule": "nhs-numbers", "action": "seal", "copies": 1}]


def test_the_sender_can_ask_for_it(gateway: Gateway, world: PostOffice) -> None:
    """[secure] in the subject seals a harmless letter."""
    gateway.send(ANNA, [JANE], letter(to=[JANE], subject="Our talk [Secure]"))
    [notice] = world.wait_for(JANE)
    assert link_in(notice)


def test_what_cannot_be_inspected_is_sealed(gateway: Gateway, world: PostOffice) -> None:
    """An attachment of unknown kind is not taken for harmless."""
    unknown = bytes(range(256)) * 40
    gateway.send(ANNA, [JANE], letter(to=[JANE], attachments=[("dump.bin", "application/octet-stream", unknown)]))
    [notice] = world.wait_for(JANE)
    assert link_in(notice)
    [receipt] = world.wait_for(ANNA)
    assert "dump.bin" in receipt.text


def test_a_refusal_names_the_rule(gateway: Gateway, world: PostOffice) -> None:
    """What must not leave the house is refused at once, with the reason and the rule, and nothing is sent."""
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        gateway.send(ANNA, [JANE], letter(to=[JANE], text="About project nightjar\n"))
    assert refusal.value.smtp_code == 550
    assert b"must not leave the house" in refusal.value.smtp_error
    assert b"never-this" in refusal.value.smtp_error
    assert world.delivered == []


def test_a_refusal_for_some_reaches_the_others(gateway: Gateway, world: PostOffice) -> None:
    """A colleague gets what Jane must not get; Anna gets one report that names Jane."""
    sent = letter(to=[COLLEAGUE, JANE], text="About project nightjar\n")
    gateway.send(ANNA, [COLLEAGUE, JANE], sent)
    [at_colleague] = world.wait_for(COLLEAGUE)
    assert at_colleague.content.endswith(sent)
    [report] = world.wait_for(ANNA)
    assert report.message.get_content_type() == "multipart/report"
    assert JANE.encode() in report.content
    assert b"must not leave the house" in report.content
    assert world.of(JANE) == []


def test_the_null_sender_is_refused_when_flagged(gateway: Gateway, world: PostOffice) -> None:
    """An automatic answer with an NHS number cannot be sealed, for nobody could be told: it is refused."""
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        gateway.send("", [JANE], letter(to=[JANE], text=f"NHS number {NHS_NUMBER}\n"))
    assert refusal.value.smtp_code == 550
    assert world.delivered == []


def test_the_operator_can_tell_what_happened(gateway: Gateway, world: PostOffice) -> None:
    """`trace` tells a sealed message's story in words, `report` counts it, and neither shows its text."""
    sent = letter(to=[JANE], text=f"NHS number {NHS_NUMBER}\n", message_id="<story-1@desk.example.org>")
    gateway.send(ANNA, [JANE], sent)
    world.wait_for(JANE)
    gateway.until(lambda: "handed" in gateway.letterlock("trace", "<story-1@desk.example.org>"))
    story = gateway.letterlock("trace", "<story-1@desk.example.org>")
    assert "sealed" in story
    assert NHS_NUMBER not in story
    report = gateway.letterlock("report", "--since", "7d")
    assert "nhs-numbers" in report
