import stat
from pathlib import Path

import pytest

from relay.config import load
from tests.unit.relay.cli.conftest import Home


def test_keys_are_listed_without_their_secrets(home: Home) -> None:
    """Each key has a name, a purpose and an id; no secret is printed."""
    keys = home.json("keys", "list")
    assert {"row-1", "index", "code"} <= {key["name"] for key in keys}
    secret = Path("var/keys/relay/row-1.key").read_text()
    shown = home.run("keys", "list").stdout
    assert "MAC over participants and their keys" in shown
    assert not any(word in shown for word in secret.split() if len(word) > 40)


def test_a_new_key_is_used_after_it_was_activated(home: Home) -> None:
    """New makes a version beside the old one, activate puts it into use."""
    assert "letterlock keys activate row-2" in home.run("keys", "new", "row").stdout
    active = {key["name"]: key["active"] for key in home.json("keys", "list")}
    assert (active["row-1"], active["row-2"]) == (True, False)
    home.run("keys", "activate", "row-2")
    active = {key["name"]: key["active"] for key in home.json("keys", "list")}
    assert (active["row-1"], active["row-2"]) == (False, True)


def test_a_key_that_was_activated_is_used_from_the_next_start(home: Home) -> None:
    """The list does not claim that a running gateway uses it already; a key nobody chose is in use."""
    home.run("keys", "new", "row")
    home.run("keys", "activate", "row-2")
    lines = {line.split()[0]: line for line in home.run("keys", "list").stdout.splitlines()}
    assert "from the next start after 20" in lines["row-2"]
    assert "in use" not in lines["row-1"] + lines["row-2"]
    assert "in use" in lines["index"]


@pytest.mark.parametrize("name", ["nope", "nope-1", "row-", "row-9", "kek-2027-13-1", "../row-1"])
def test_an_unknown_key_is_named_whole(home: Home, name: str) -> None:
    """What cannot be activated is named as it was typed."""
    assert home.run("keys", "activate", name, code=1).stderr.startswith(f'There is no key "{name}": ')


def test_a_key_with_one_version_is_refused(home: Home) -> None:
    """A key whose change would close what it opened is not changed, and the reason is given."""
    assert "would not open any more" in home.run("keys", "new", "index", code=1).stderr
    assert "There is no key" in home.run("keys", "activate", "row-9", code=1).stderr


def test_the_recovery_key_goes_into_a_private_file(home: Home) -> None:
    """The private half is readable by its owner only, is not printed, and is never overwritten."""
    result = home.run("keys", "recovery", "recovery.key")
    private = Path("recovery.key")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert private.read_text().split()[2] not in result.output
    assert "already" in home.run("keys", "recovery", "other.key", code=1).stderr


def test_a_dkim_key_is_made_with_its_record(home: Home) -> None:
    """A key file for its owner alone, the record in one piece and as a line of a zone, and the table for relay.toml."""
    shown = home.run("keys", "dkim", "Letter.example.org", "s1").stdout
    file = Path("var/keys/dkim/letter.example.org.s1.pem")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert not any(line in shown for line in file.read_text().splitlines() if len(line) > 40)
    assert "\n  v=DKIM1; k=rsa; p=" in shown
    assert '\n  s1._domainkey.letter.example.org. IN TXT ( "v=DKIM1; k=rsa; p=' in shown
    table = "".join(line.strip() + "\n" for line in shown.partition("[[dkim]]")[2].splitlines())
    with Path("relay.toml").open("a") as configuration:
        configuration.write(f"\n[[dkim]]{table}")
    [key] = load(Path("relay.toml")).dkim
    assert (key.domain, key.selector, key.key) == ("letter.example.org", "s1", file.absolute())


def test_the_record_of_a_dkim_key_is_printed_again(home: Home) -> None:
    """A key that is there is never replaced, wherever it is kept and whatever kind is asked for."""
    made = home.json("keys", "dkim", "letter.example.org", "s1", "--type", "ed25519")
    assert (made["made"], made["algorithm"]) == (True, "ed25519-sha256")
    again = home.json("keys", "dkim", "letter.example.org", "s1")
    assert again == made | {"made": False}
    assert "stays as it is" in home.run("keys", "dkim", "letter.example.org", "s1").stdout
    Path(made["file"]).rename("moved.pem")
    table = '\n[[dkim]]\ndomain = "letter.example.org"\nselector = "s1"\nkey = "moved.pem"\n'
    with Path("relay.toml").open("a") as configuration:
        configuration.write(table)
    moved = home.json("keys", "dkim", "letter.example.org", "s1")
    assert (moved["value"], moved["made"], Path(moved["file"]).name) == (made["value"], False, "moved.pem")


def test_a_dkim_key_can_be_made_for_a_configuration_that_names_it(home: Home) -> None:
    """With --file the key is made although relay.toml cannot be loaded without it: check says which command does."""
    table = '\n[[dkim]]\ndomain = "letter.example.org"\nselector = "s1"\nkey = "dkim.pem"\n'
    with Path("relay.toml").open("a") as configuration:
        configuration.write(table)
    command = "keys dkim letter.example.org s1 --file dkim.pem"
    assert f'("letterlock {command}" makes it)' in home.run("check", code=1).stderr
    home.run(*command.split())
    assert "Signs mail from letter.example.org (DKIM selector s1)." in home.run("check").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("letter.example.org", "under_score"), "Write letters, digits and hyphens"),
        (("example", "s1"), "Write a domain"),
        (("example.org", "s1", "--file", "nowhere/s1.pem"), "nowhere/s1.pem: No such file or directory"),
        (("example.org", "s1", "--file", "relay.toml"), "may be read or changed by other users of this machine"),
    ],
)
def test_a_dkim_key_that_cannot_be_made_is_explained(home: Home, arguments: tuple[str, ...], sentence: str) -> None:
    """A wrong name or place is answered with a sentence, and nothing is written."""
    assert sentence in home.run("keys", "dkim", *arguments, code=1).stderr
