from datetime import timedelta

import pytest

from relay import clock
from tests.unit.relay.cli.conftest import Home


@pytest.mark.parametrize("spelling", ["<4711@example.org>", "4711@example.org", " <4711@example.org> "])
def test_a_message_is_traced_by_its_message_id(home: Home, spelling: str) -> None:
    """The Message-ID finds the message with or without brackets, and the trace reads as sentences."""
    home.put("jane@example.net")
    text = home.run("trace", spelling).stdout
    assert "accepted from anna@example.org for jane@example.net" in text
    assert "mail to jane@example.net waits for its first try" in text


def test_every_message_with_that_message_id_is_traced(home: Home) -> None:
    """A client that sent twice is told about both; a script gets events and personal facts apart."""
    home.put("jane@example.net")
    home.put("ron@example.net")
    traces = home.json("trace", "<4711@example.org>")
    assert [each["events"][0]["personal"]["recipients"] for each in traces] == ["jane@example.net", "ron@example.net"]


def test_a_trace_whose_names_were_forgotten_still_reads(home: Home) -> None:
    """When the audit key of a message is destroyed the events stay, without names."""
    message = home.put("jane@example.net")
    with home.opened() as one:
        one.store.run(lambda conn: one.audit.forget(conn, [message]))
    text = home.run("trace", clock.id_text(message)).stdout
    assert "names and addresses were forgotten" in text
    assert "anna" not in text.splitlines()[1]


@pytest.mark.parametrize("wanted", ["<nothing@example.org>", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "<>"])
def test_an_unknown_message_is_a_sentence(home: Home, wanted: str) -> None:
    """Nothing recorded is said as such."""
    assert home.run("trace", wanted, code=1).stderr == f"nothing is recorded of {wanted}\n"


def test_the_report_counts_actions_rules_and_shadow_hits(home: Home) -> None:
    """Copies are counted by action and by rule; shadow rules by what they would have done."""
    home.decide("seal", rules=["nhs-numbers"], shadow=[("spreadsheets-to-partners", "seal")])
    home.decide("seal", rules=["nhs-numbers", "first-contact"])
    home.decide("pass", inside=True)
    home.decide("seal", rules=["nhs-numbers"], at=clock.now() - timedelta(days=8))
    found = home.json("report")
    assert (found["messages"], found["copies"]) == (3, 3)
    assert found["actions"] == [
        {"action": "pass", "inside": True, "copies": 1},
        {"action": "seal", "inside": False, "copies": 2},
    ]
    assert {"rule": "nhs-numbers", "action": "seal", "copies": 2} in found["rules"]
    assert found["shadow"] == [{"rule": "spreadsheets-to-partners", "would": "seal", "copies": 1}]
    text = home.run("report", "--since", "30d").stdout
    assert "4 messages, 4 copies judged" in text
    assert "1 would be sealed" in text


def test_a_rule_that_never_held_is_in_the_report(home: Home) -> None:
    """A rule that does nothing is visible as such."""
    home.decide("pass")
    [line] = [line for line in home.run("report").stdout.splitlines() if line.startswith("payment-details")]
    assert line.split() == ["payment-details", "live", "0"]


def test_a_report_about_nothing_is_short(home: Home) -> None:
    """Without decisions there is one line."""
    assert home.run("report", "--since", "2026-01-31").stdout.endswith("0 messages, 0 copies judged.\n")


def test_a_wrong_time_is_a_sentence(home: Home) -> None:
    """What is no time is answered with how times are written."""
    assert "write 7d, 12h or 2026-11-01" in home.run("report", "--since", "yesterday", code=2).stderr
