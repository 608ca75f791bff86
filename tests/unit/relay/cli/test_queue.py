from datetime import timedelta

import pytest

from relay import clock
from relay.queue.entries import claim
from tests.unit.relay.cli.conftest import Home


def test_an_empty_queue_says_so(home: Home) -> None:
    """Nothing waiting is a sentence, and an empty list for a script."""
    assert home.run("queue", "list").stdout == "Nothing is waiting.\n"
    assert home.json("queue", "list") == {"entries": [], "counts": {}}


def test_what_waits_is_listed_with_the_reason(home: Home) -> None:
    """Each entry shows id, recipient and why it is still here; the limit is said."""
    message = home.put("jane@example.net", "ron@example.net")
    text = home.run("queue", "list").stdout
    assert "jane@example.net" in text
    assert "waits for its first try" in text
    assert "2 entries waiting." in text
    assert "2 entries waiting, 1 shown." in home.run("queue", "list", "--limit", "1").stdout
    [first, _second] = home.json("queue", "list")["entries"]
    assert (first["message"], first["state"], first["sender"]) == (clock.id_text(message), "due", "anna@example.org")
    assert home.json("queue", "list", "--route", "inside")["entries"] == []


def test_a_message_is_shown_with_all_its_entries(home: Home) -> None:
    """The id of a message shows every recipient, the id of an entry only its own; upper case is accepted."""
    message = clock.id_text(home.put("jane@example.net", "ron@example.net"))
    assert len(home.json("queue", "show", message)) == 2
    entry = home.json("queue", "list")["entries"][0]["id"]
    assert len(home.json("queue", "show", entry.upper())) == 1
    text = home.run("queue", "show", message).stdout
    assert "from:         anna@example.org" in text
    assert "next try:" in text


def test_retry_makes_entries_due_at_once(home: Home) -> None:
    """What was to be tried in an hour is due now, and the audit says that a person did it."""
    message = clock.id_text(home.put("jane@example.net"))
    assert "1 entry is due now" in home.run("queue", "retry", message).stdout
    [entry] = home.json("queue", "list")["entries"]
    assert entry["next_try"] <= clock.now().isoformat()
    assert "put back into the queue by hand" in home.run("trace", message).stdout


def test_drop_takes_entries_out_and_tells_the_sender(home: Home) -> None:
    """A dropped entry is gone for good; a report to its sender waits in its place (RFC 5321 section 6.1)."""
    message = clock.id_text(home.put("jane@example.net"))
    result = home.run("queue", "drop", message, typed="y\n")
    assert "Took 1 entry out of the queue." in result.stdout
    [report] = home.json("queue", "list")["entries"]
    assert (report["kind"], report["recipient"], report["sender"]) == ("dsn", "anna@example.org", "")
    assert home.json("queue", "show", message)[0]["state"] == "dropped"
    assert "taken out of the queue by hand" in home.run("trace", message).stdout


def test_drop_can_be_silent_and_asks_first(home: Home) -> None:
    """Without a yes nothing happens; --silent writes no report."""
    message = clock.id_text(home.put("jane@example.net"))
    home.run("queue", "drop", message, typed="n\n", code=1)
    assert len(home.json("queue", "list")["entries"]) == 1
    assert "No sender was told." in home.run("queue", "drop", message, "--yes", "--silent").stdout
    assert home.json("queue", "list")["entries"] == []


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_what_is_being_sent_is_left_alone(home: Home, verb: str) -> None:
    """An entry that a worker holds is neither retried nor dropped."""
    message = home.put("jane@example.net", at=clock.now() - timedelta(hours=2))
    with home.opened() as one:
        one.store.run(lambda conn: claim(conn, b"worker", "outside", clock.now(), 10))
    options = ("--yes",) if verb == "drop" else ()
    assert "is waiting" in home.run("queue", verb, clock.id_text(message), *options, code=1).stderr
    assert home.json("queue", "list")["entries"][0]["state"] == "leased"


@pytest.mark.parametrize("verb", ["show", "retry", "drop"])
def test_a_wrong_id_is_a_sentence(home: Home, verb: str) -> None:
    """What is no id, and an id of nothing, are told apart."""
    options = ("--yes",) if verb == "drop" else ()
    assert '"abc" is no id of the queue' in home.run("queue", verb, "abc", *options, code=1).stderr
    unknown = clock.id_text(bytes(16))
    assert "There is no queue entry or message" in home.run("queue", verb, unknown, *options, code=1).stderr
