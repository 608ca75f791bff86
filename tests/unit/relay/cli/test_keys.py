import stat
from pathlib import Path

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


def test_a_key_with_one_version_is_refused(home: Home) -> None:
    """A key whose change would close what it opened is not changed, and the reason is given."""
    assert "would not open any more" in home.run("keys", "new", "index", code=1).stderr
    assert "there is no key" in home.run("keys", "activate", "row-9", code=1).stderr


def test_the_recovery_key_goes_into_a_private_file(home: Home) -> None:
    """The private half is readable by its owner only, is not printed, and is never overwritten."""
    result = home.run("keys", "recovery", "recovery.key")
    private = Path("recovery.key")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert private.read_text().split()[2] not in result.output
    assert "already" in home.run("keys", "recovery", "other.key", code=1).stderr
