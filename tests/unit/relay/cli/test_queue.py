from datetime import timedelta

import pytest

from relay import clock
from relay.queue.entries import claim
from relay.store.tables.queue import Kind
from tests.unit.relay.cli.conftest import Home


def test_an_empty_queue_says_so(home: Home) -> None:
    """Nothing waiting is a sentence, and an empty list for a script."""
    assert home.run("queue", "list").stdout == "Nothing is waiting.\n"
    assert home.json("queue", "list") == {"entries": [], "counts": {}, "paused": []}


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


def test_what_waits_is_added_up_by_way_and_reason(home: Home) -> None:
    """How many, for how long, where to and why, the most first; the list names it where it shows a part."""
    assert home.run("queue", "summary").stdout == "Nothing is waiting.\n"
    ago = clock.now() - timedelta(hours=3)
    home.put("jane@example.net", "ron@example.net", "kim@example.com", at=ago)
    paused = home.put("lee@example.net", at=ago + timedelta(hours=1))
    home.run("queue", "pause", clock.id_text(paused))
    table = home.run("queue", "summary").stdout.splitlines()
    assert [" ".join(line.split()) for line in table[1:3]] == [
        "3 3 h now outside example.net 2, example.com 1 waits for its first try",
        "1 2 h outside example.net kept back by an operator",
    ]
    assert table[3] == "4 entries waiting."
    [many, one] = home.json("queue", "summary")
    assert (many["entries"], many["domains"], many["oldest"]) == (
        3,
        {"example.net": 2, "example.com": 1},
        ago.isoformat(),
    )
    assert (one["state"], one["next_try"]) == ("paused", None)
    assert '"letterlock queue summary" adds them up.' in home.run("queue", "list", "--limit", "1").stdout


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


def test_drop_asks_about_what_is_there(home: Home) -> None:
    """A wrong id is named before anybody is asked to confirm; the question counts entries, not ids."""
    asked = "Take 2 entries out of the queue for good?"
    message = clock.id_text(home.put("jane@example.net", "ron@example.net"))
    assert asked in home.run("queue", "drop", message, typed="n\n", code=1).stderr
    refused = home.run("queue", "drop", message, clock.id_text(bytes(16)), code=1).stderr
    assert "There is no queue entry" in refused
    assert "for good?" not in refused


def test_many_are_dropped_a_few_at_a_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that runs beside it commits in between; the last word counts them all."""
    monkeypatch.setattr("relay.cli.whom.PORTION", 2)
    messages = [clock.id_text(home.put(f"jane{number}@example.net")) for number in range(5)]
    assert home.run("queue", "drop", *messages, "--yes").stdout.startswith(
        "Took 5 entries out of the queue.\n5 reports"
    )


def test_drop_takes_all_that_is_named_or_nothing(home: Home) -> None:
    """An id that is not there leaves the others where they are, with no report; one that is named twice counts once."""
    first, second = (clock.id_text(home.put(f"{name}@example.net")) for name in ("jane", "ron"))
    assert "There is no" in home.run("queue", "drop", first, "a" * 26, "--yes", code=1).stderr
    assert [entry["kind"] for entry in home.json("queue", "list")["entries"]] == ["mail", "mail"]
    text = home.run("queue", "drop", first, second, first, "--yes").stdout
    assert text == "Took 2 entries out of the queue.\n2 reports to the sender.\n"


def test_a_message_and_its_entry_may_both_be_named(home: Home) -> None:
    """Whichever comes first, each entry is taken out once."""
    for first in (0, 1):
        message = clock.id_text(home.put("jane@example.net", "ron@example.net"))
        ids = [home.json("queue", "show", message)[0]["id"], message]
        text = home.run("queue", "drop", ids[first], ids[1 - first], "--yes").stdout
        assert text.startswith("Took 2 entries out of the queue.")


def test_a_readers_answer_that_is_dropped_goes_to_the_organisations_mailbox(home: Home) -> None:
    """As its reader's page says; even without a word to senders. What was on its way there already causes no other."""
    answer = clock.id_text(home.put("anna@example.org", kind=Kind.REPLY, route="replies"))
    text = home.run("queue", "drop", answer, "--yes", "--silent").stdout
    assert "1 answer of readers to postmaster@example.org instead.\nNo sender was told." in text
    [mail] = home.json("queue", "list")["entries"]
    assert (mail["kind"], mail["route"], mail["recipient"]) == ("reply", "inside", "postmaster@example.org")
    home.run("queue", "drop", mail["id"], "--yes")
    assert home.json("queue", "list")["entries"] == []


def test_drop_can_be_silent_and_asks_first(home: Home) -> None:
    """Without a yes nothing happens; --silent writes no report."""
    message = clock.id_text(home.put("jane@example.net"))
    home.run("queue", "drop", message, typed="n\n", code=1)
    assert len(home.json("queue", "list")["entries"]) == 1
    assert "No sender was told." in home.run("queue", "drop", message, "--yes", "--silent").stdout
    assert home.json("queue", "list")["entries"] == []


@pytest.mark.parametrize("verb", ["retry", "drop", "pause"])
def test_what_is_being_sent_is_left_alone(home: Home, verb: str) -> None:
    """An entry that a worker holds is neither retried nor dropped."""
    message = home.put("jane@example.net", at=clock.now() - timedelta(hours=2))
    with home.opened() as one:
        one.store.run(lambda conn: claim(conn, b"worker", "outside", clock.now(), 10))
    options = ("--yes",) if verb == "drop" else ()
    assert "is waiting" in home.run("queue", verb, clock.id_text(message), *options, code=1).stderr
    assert home.json("queue", "list")["entries"][0]["state"] == "leased"


def test_a_wrong_id_names_the_list_of_right_ones(home: Home) -> None:
    """Questions have a list of their own."""
    for group in ("queue", "held"):
        refused = home.run(group, "show", "abc", code=1).stderr
        assert refused == f'"abc" is no id: it has 26 letters and digits, and "letterlock {group} list" shows it\n'


@pytest.mark.parametrize("verb", ["show", "retry", "drop", "pause", "resume"])
def test_a_wrong_id_is_a_sentence(home: Home, verb: str) -> None:
    """What is no id, and an id of nothing, are told apart."""
    options = ("--yes",) if verb == "drop" else ()
    assert '"abc" is no id: ' in home.run("queue", verb, "abc", *options, code=1).stderr
    unknown = clock.id_text(bytes(16))
    assert "There is no queue entry or message" in home.run("queue", verb, unknown, *options, code=1).stderr


def test_the_list_can_be_narrowed(home: Home) -> None:
    """By recipient or domain in any spelling, by sender, by age: together the options leave what fits all."""
    home.put("kim@[IPv6:2001:DB8::1]")
    [literal] = home.json("queue", "list", "--to", "[IPv6:2001:DB8::1]")["entries"]
    assert literal["domain"] == "[ipv6:2001:db8::1]"
    home.put("jane@example.net", "ron@Example.COM", at=clock.now() - timedelta(hours=3))
    home.put("kim@example.com", sender="bob@example.org")
    options = ("--older", "2h", "--to", "EXAMPLE.com", "--from", "anna@example.org")
    assert [entry["recipient"] for entry in home.json("queue", "list", *options)["entries"]] == ["ron@Example.COM"]
    assert "4 entries waiting, 1 of them match." in home.run("queue", "list", *options).stdout


def test_entries_are_paused_and_go_on(home: Home) -> None:
    """A paused entry says so, is not retried, and is due at once when it may go on; the audit knows both."""
    message = clock.id_text(home.put("jane@example.net"))
    assert home.run("queue", "pause", message).stdout == "Keeps back 1 entry.\n"
    assert "kept back by an operator" in home.run("queue", "list").stdout
    [entry] = home.json("queue", "list", "--paused")["entries"]
    assert (entry["state"], entry["next_try"]) == ("paused", None)
    assert "kept back by an operator" in home.run("queue", "retry", message, code=1).stderr
    assert (
        "nothing is waiting for example.net" in home.run("queue", "retry", "--to", "example.net", code=1).stderr.lower()
    )
    assert "1 entry is due now" in home.run("queue", "resume", message).stdout
    assert home.json("queue", "list")["entries"][0]["state"] == "due"
    assert "is paused" in home.run("queue", "resume", message, code=1).stderr
    story = home.run("trace", message).stdout
    assert "kept back by hand" in story
    assert "let go on by hand" in story


def test_a_destination_is_paused_and_goes_on(home: Home) -> None:
    """All mail for a domain stays, whatever its spelling; one entry of it cannot go on alone; nothing else is touched."""
    message = clock.id_text(home.put("jane@example.net", "ron@example.com"))
    assert "Nothing leaves to example.net any more" in home.run("queue", "pause", "--to", "Example.NET").stdout
    assert "is paused already" in home.run("queue", "pause", "--to", "example.net").stdout
    listing = home.run("queue", "list").stdout
    assert "Nothing leaves to example.net since" in listing
    told = home.json("queue", "list")
    assert [(one["domain"], one["entries"]) for one in told["paused"]] == [("example.net", 1)]
    assert {entry["domain"]: entry["state"] for entry in told["entries"]} == {
        "example.net": "paused",
        "example.com": "due",
    }
    assert "queue resume --to example.net" in home.run("queue", "resume", message, code=1).stderr
    assert "1 entry is due now" in home.run("queue", "resume", "--to", "example.net").stdout
    assert "Nothing for example.net is paused" in home.run("queue", "resume", "--to", "example.net", code=1).stderr


def test_paused_mail_can_be_dropped(home: Home) -> None:
    """What an operator keeps back can be taken out for good; its sender is told."""
    message = clock.id_text(home.put("jane@example.net"))
    home.run("queue", "pause", message)
    assert "Took 1 entry out of the queue." in home.run("queue", "drop", message, "--yes").stdout
    assert [entry["kind"] for entry in home.json("queue", "list")["entries"]] == ["dsn"]


def test_retry_of_a_destination(home: Home) -> None:
    """After a server came back, all that waits for its domain is due at once."""
    home.put("jane@example.net", "kim@example.net", "ron@example.com")
    assert "2 entries are due now" in home.run("queue", "retry", "--to", "example.net").stdout
    due = [entry for entry in home.json("queue", "list")["entries"] if entry["next_try"] <= clock.now().isoformat()]
    assert {entry["domain"] for entry in due} == {"example.net"}


def test_retry_of_a_route_and_of_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage of a next hop all that leaves by it is due, in transactions of a few; a misspelt route is named."""
    monkeypatch.setattr("relay.cli.whom.PORTION", 2)
    for number in range(5):
        home.put(f"jane{number}@example.net")
    home.put("ron@example.org", route="inside")
    sentence = home.run("queue", "retry", "--route", "outsid", code=1).stderr
    assert "nothing is waiting for outsid (routes are inside, outside" in sentence.lower()
    assert "5 entries are due now" in home.run("queue", "retry", "--route", "outside").stdout
    due = [entry for entry in home.json("queue", "list")["entries"] if entry["next_try"] <= clock.now().isoformat()]
    assert {entry["route"] for entry in due} == {"outside"}
    assert "6 entries are due now" in home.run("queue", "retry", "--all").stdout


def test_what_can_be_retried_is_retried(home: Home) -> None:
    """One id that is gone keeps the others of a long list from nothing, and is named."""
    there = clock.id_text(home.put("jane@example.net"))
    gone, other = (clock.id_text(bytes([number]) * 16) for number in (1, 2))
    result = home.run("queue", "retry", gone, there, other, code=1)
    assert "1 entry is due now" in result.stdout
    assert f"There is no queue entry or message {gone}; and 1 other could not be found" in result.stderr


def test_wrong_input_is_a_sentence(home: Home) -> None:
    """Each mistake is named with what to write instead, and ends with exit code 2."""
    for line, sentence in {
        "pause": "Name one or more IDs, or a domain with --to.",
        "resume 4ig7yxbkzvv2pcsxhxeyzxuuym --to example.net": "Name one or more IDs, or a domain",
        "retry": "Name one or more IDs, a domain with --to, a route with --route, or --all.",
        "retry --all --route outside": "Name one or more IDs",
        "pause --to jane@example.net": "write its domain alone",
        "pause --to nowhere": '"nowhere" is no domain',
        "list --to jane@@example.net": "is no address",
        "list --from <": "is no domain",
        "list --older long": '"long" is no time: write 15m, 4h or 2d',
        "list --limit 0": "0 is not in the range",
    }.items():
        assert sentence in home.run("queue", *line.split(), code=2).stderr
