import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relay import clock
from relay.store.audit import forget_until
from relay.store.events import Event, sentence
from tests.unit.relay.cli.conftest import Home


@pytest.fixture
def london(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is that of London."""
    monkeypatch.setenv("TZ", "Europe/London")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


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


def test_an_entry_is_traced_with_its_message(home: Home) -> None:
    """The id that a list of the queue shows is enough."""
    home.put("jane@example.net")
    [entry] = home.json("queue", "list")["entries"]
    assert [found["id"] for found in home.json("trace", entry["id"])] == [entry["message"]]


def deferral(home: Home, message: bytes, entry: bytes, *, code: int, status: str, minute: int) -> None:
    """Record that an entry was put off, that many minutes after noon."""
    at = datetime(2026, 11, 22, 12, minute, tzinfo=UTC)
    facts: dict[str, Any] = {
        "entry": entry.hex(),
        "kind": "mail",
        "next_hop": "192.0.2.7:25",
        "code": code,
        "status": status,
        "due_at": (at + timedelta(minutes=5)).isoformat(),
    }
    people = {"recipient": "jane@example.net", "reply": "no connection"}
    with home.opened() as one:
        one.store.run(lambda conn: one.audit.append(conn, Event.DEFERRED, message, facts, people, at=at))


@pytest.mark.usefixtures("london")
def test_what_was_put_off_again_and_again_is_one_line(home: Home) -> None:
    """Ten deferrals of an entry are told once, with their number and the last; without a reply there is no code 0."""
    message = home.put("jane@example.net", at=datetime(2026, 11, 22, 12, tzinfo=UTC))
    entry, other = clock.new_id(), clock.new_id()
    for minute in range(1, 11):
        deferral(home, message, entry, code=0, status="4.4.1", minute=minute)
    deferral(home, message, other, code=451, status="4.7.1", minute=20)
    text = home.run("trace", clock.id_text(message)).stdout
    assert [line for line in text.splitlines() if "put off" in line] == [
        (
            "  2026-11-22 12:10:00 GMT  mail put off for jane@example.net 10 times since 2026-11-22 12:01:00 GMT, "
            "last at 192.0.2.7:25 (4.4.1), next try 2026-11-22 12:15:00 GMT: no connection"
        ),
        (
            "  2026-11-22 12:20:00 GMT  mail put off for jane@example.net at 192.0.2.7:25 (451 4.7.1), "
            "next try 2026-11-22 12:25:00 GMT: no connection"
        ),
    ]
    assert len(home.json("trace", clock.id_text(message))[0]["events"]) == 12


@pytest.mark.usefixtures("london")
def test_a_retry_by_hand_begins_a_new_count(home: Home) -> None:
    """What was put off before somebody tried again is not counted with what came after."""
    message = home.put("jane@example.net", at=datetime(2026, 11, 22, 12, tzinfo=UTC))
    entry = clock.new_id()
    for minute in (1, 2):
        deferral(home, message, entry, code=451, status="4.4.1", minute=minute)
    with home.opened() as one:
        at, facts = datetime(2026, 11, 22, 12, 3, tzinfo=UTC), {"entry": entry.hex(), "kind": "mail"}
        one.store.run(lambda conn: one.audit.append(conn, Event.RETRIED, message, facts, at=at))
    deferral(home, message, entry, code=451, status="4.4.1", minute=4)
    said = [line.split("  ")[2] for line in home.run("trace", clock.id_text(message)).stdout.splitlines()[2:5]]
    assert ["2 times" in said[0], said[1], "times" in said[2]] == [True, "put back into the queue by hand", False]


def test_what_waits_stands_with_the_id_that_retry_takes(home: Home) -> None:
    """The line about now names the entry; queue retry accepts it."""
    home.put("jane@example.net")
    [line] = [line for line in home.run("trace", "<4711@example.org>").stdout.splitlines() if " now " in line]
    entry = line.rpartition("(entry ")[2].removesuffix(")")
    assert "1 entry is due now" in home.run("queue", "retry", entry).stdout


@pytest.mark.parametrize(("readers", "words"), [(1, "for 1 reader in 1 part,"), (3, "for 3 readers in 1 part,")])
def test_numbers_are_said_properly(readers: int, words: str) -> None:
    """One reader, three readers; a moment is local and names its zone."""
    said = sentence("sealed", {"readers": readers, "parts": 1, "until": "2026-12-22T12:00:00+00:00"})
    assert words in said
    assert said.endswith(clock.local_text(datetime(2026, 12, 22, 12, tzinfo=UTC)))


def test_a_trace_whose_names_were_forgotten_still_reads(home: Home) -> None:
    """When the audit key of a message is destroyed the events stay, without names."""
    message = home.put("jane@example.net")
    with home.opened() as one:
        one.store.run(lambda conn: forget_until(conn, clock.now() + timedelta(days=1)))
    text = home.run("trace", clock.id_text(message)).stdout
    assert "names and addresses were forgotten" in text
    assert "anna" not in text.splitlines()[1]


@pytest.mark.parametrize("wanted", ["<nothing@example.org>", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "<>"])
def test_an_unknown_message_is_a_sentence(home: Home, wanted: str) -> None:
    """Nothing recorded is said as such."""
    assert home.run("trace", wanted, code=1).stderr == f"Nothing is recorded of {wanted}\n"


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


@pytest.mark.parametrize("since", ["0d", "2999-01-01"])
def test_a_time_that_has_not_passed_is_a_sentence(home: Home, since: str) -> None:
    """No time, or a day to come, cannot be reported on."""
    assert "leaves no time to report on: write a time before now" in home.run("report", "--since", since, code=2).stderr
