from pathlib import Path

import pytest

from relay.store.history import observe_sent
from tests.unit.relay.cli.conftest import Home

FLAGGED = (
    b"From: Anna Baker <anna@example.org>\r\nTo: jane@example.net, bob@example.org\r\nSubject: Your referral\r\n"
    b"Message-ID: <1@example.org>\r\n\r\nYour NHS number is 999 864 1969.\r\n"
)


@pytest.fixture(autouse=True)
def message(home: Home) -> None:
    """Lay a message with an NHS number into the folder."""
    (home.folder / "m.eml").write_bytes(FLAGGED)


def test_each_recipient_gets_an_action_and_the_reason(home: Home) -> None:
    """The outside recipient's copy is sealed by the rule that says so, the colleague's passes; evidence is masked."""
    text = home.run("policy", "test", "m.eml").stdout
    assert "jane@example.net (outside): seal" in text
    assert "bob@example.org (inside): pass" in text
    assert "nhs-numbers: hit, asks to seal, decides" in text
    assert "because the message contains an NHS number" in text
    assert "999 864 1969" not in text


def test_a_script_reads_an_action_for_each_recipient(home: Home) -> None:
    """--json has recipients with action, rules and masked findings."""
    found = home.json("policy", "test", "m.eml")
    assert {one["recipient"]: one["action"] for one in found["recipients"]} == {
        "jane@example.net": "seal",
        "bob@example.org": "pass",
    }
    [decided] = [rule for rule in found["recipients"][0]["rules"] if rule["decides"]]
    assert decided["rule"] == "nhs-numbers"
    assert decided["findings"][0]["detector"] == "nhs"
    assert found["sender"] == "anna@example.org"


def test_recipients_can_be_named(home: Home) -> None:
    """--to stands for the envelope: the header's recipients are not judged, and a hidden one counts as Bcc."""
    [one] = home.json("policy", "test", "m.eml", "--to", "eve@example.net", "--from", "dora@example.org")["recipients"]
    assert (one["recipient"], one["visible"]) == ("eve@example.net", False)
    assert "eve@example.net (outside, Bcc)" in home.run("policy", "test", "m.eml", "--to", "eve@example.net").stdout


def test_a_partner_is_named(home: Home) -> None:
    """Whoever reads why a copy would leave in clear reads that its recipient is a partner's."""
    with (home.folder / "relay.toml").open("a", encoding="utf-8") as file:
        file.write('[[partner]]\nname = "hospital"\ndomains = ["example.net"]\nhosts = ["127.0.0.1:2599"]\n')
    assert "jane@example.net (outside, partner hospital): seal" in home.run("policy", "test", "m.eml").stdout
    found = home.json("policy", "test", "m.eml")["recipients"]
    assert [one["partner"] for one in found] == ["hospital", None]


def test_history_is_read_where_there_is_one(home: Home) -> None:
    """Somebody the sender wrote to before is no first contact; without history everybody is, and that is said."""

    def contact(*options: str) -> str:
        found = home.json("policy", "test", "m.eml", "--to", "jane@example.net", *options)
        [rule] = [rule for rule in found["recipients"][0]["rules"] if rule["rule"] == "first-contact"]
        return str(rule["outcome"])

    assert contact() == "hit"
    with home.opened() as one:
        sender, reader = map(one.keyring.address_hash, ("anna@example.org", "jane@example.net"))
        from relay import clock  # noqa: PLC0415

        one.store.run(lambda conn: observe_sent(conn, clock.now(), sender, [reader]))
    assert contact() == "no"
    assert contact("--no-history") == "hit"
    assert "no history was read" in home.run("policy", "test", "m.eml", "--no-history").stderr


def test_rules_can_be_tried_before_there_are_keys(home: Home) -> None:
    """A policy is tested with nothing but relay.toml; the missing history is said."""
    (home.folder / "var/letterlock.db").unlink()
    result = home.run("policy", "test", "m.eml")
    assert "jane@example.net (outside): seal" in result.stdout
    assert "no history was read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("empty.eml",), "empty.eml names no recipient: add --to ADDRESS"),
        (("m.eml", "--to", "jane"), '"jane" is no address: '),
        (("m.eml", "--from", "a@b@c"), '"a@b@c" is no address: '),
    ],
)
def test_what_cannot_be_judged_is_a_sentence(home: Home, arguments: tuple[str, ...], sentence: str) -> None:
    """Missing and wrong addresses are named."""
    (home.folder / "empty.eml").write_bytes(b"")
    result = home.run("policy", "test", *arguments, code=1)
    assert result.stderr.startswith(sentence)
    assert result.stdout == ""


def test_hostile_bytes_are_judged_and_not_shown_raw(home: Home) -> None:
    """A file that is no message is judged all the same, and its escape sequences do not reach the terminal."""
    (home.folder / "bad.eml").write_bytes(
        b"Subject: \x1b[2J\r\nContent-Type: multipart/mixed; boundary=\r\n\r\n\xff\x00\x1b[31m"
    )
    result = home.run("policy", "test", "bad.eml", "--to", "jane@example.net")
    assert "\x1b" not in result.output


def test_a_wrong_policy_is_told_at_its_line(home: Home) -> None:
    """A configuration that is wrong is not used for judging."""
    path = Path("relay.toml")
    path.write_text(path.read_text().replace('identifier = "nhs"', 'identifier = "nsh"'))
    assert 'did you mean "nhs"?' in home.run("policy", "test", "m.eml", code=1).stderr
