"""``letterlock users``: passwords from a prompt or a pipe, never shown, never on the command line."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from relay.config.users import read_users
from relay.smtp.passwords import is_password
from tests.unit.relay.cli.conftest import Home

PASSWORD = "correct horse battery"  # of nobody


@pytest.fixture
def named(home: Home) -> Home:
    """The demo with a users file named, and not there yet: relay.toml is wrong until there is one."""
    path = Path("relay.toml")
    text = path.read_text()
    path.write_text(text.replace("[listen.submission]\n", '[listen.submission]\nusers = "users.toml"\n'))
    return home


def add(home: Home, name: str, *senders: str, code: int = 0, typed: str = PASSWORD + "\n") -> str:
    options = [part for sender in senders for part in ("--sender", sender)]
    return home.run("users", "add", name, *options, code=code, typed=typed).output


def test_a_user_is_added_changed_and_removed(named: Home) -> None:
    """The file is made with the first user, for its owner only; it holds a hash and no password."""
    assert "anna may sign in and send as anna@example.org, example.org" in add(
        named, "anna", "anna@example.org", "Example.ORG"
    )
    file = Path("users.toml")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in file.read_text()
    add(named, "Zoë", "zoë@bücher.example")
    [anna, zoe] = named.json("users", "list")
    assert anna == {"name": "anna", "senders": ["anna@example.org", "example.org"]}
    assert zoe == {"name": "Zoë", "senders": ["zoë@xn--bcher-kva.example"]}
    shown = named.run("users", "list").stdout
    assert "anna@example.org, example.org" in shown
    assert "argon2" not in shown

    before = read_users(file)["anna"]
    assert is_password(PASSWORD, before.password)
    named.run("users", "password", "ANNA", typed="another long password\n")
    after = read_users(file)["anna"]
    assert not is_password(PASSWORD, after.password)
    assert is_password("another long password", after.password)
    assert (after.name, after.senders) == (before.name, before.senders)

    assert "1 user left" in named.run("users", "remove", "zoë").stdout
    assert [one["name"] for one in named.json("users", "list")] == ["anna"]


@pytest.mark.parametrize(
    ("name", "sender", "typed", "said"),
    [
        ("anna", "anna@example.org", "short\n", "12 to 256 characters"),
        ("anna", "anna@example.org", "", "12 to 256 characters"),
        ("anna", "anna@example.org", "a password with a \t tab\n", "printable"),
        ("anna", "not an address@", PASSWORD, "Write an address"),
        ("an\nna", "anna@example.org", PASSWORD, "printable text"),
        (" anna", "anna@example.org", PASSWORD, "printable text"),
    ],
)
def test_what_cannot_be_a_user_is_refused(named: Home, name: str, sender: str, typed: str, said: str) -> None:
    """Short passwords, odd names and senders that are none change nothing."""
    assert said in add(named, name, sender, code=1, typed=typed)
    assert not Path("users.toml").exists()


def test_a_name_stands_once(named: Home) -> None:
    """Letter case does not make another user; somebody who is not there cannot be changed or removed."""
    add(named, "anna", "anna@example.org")
    assert "already" in add(named, "Anna", "anna@example.org", code=1)
    assert 'no user "jane"' in named.run("users", "password", "jane", code=1).output
    assert 'no user "jane"' in named.run("users", "remove", "jane", code=1).output


def test_the_file_must_be_named(home: Home) -> None:
    """Without a users file in relay.toml the command says what to write there."""
    assert 'write users = "users.toml"' in home.run("users", "list", code=1).output


def test_several_files(named: Home) -> None:
    """With a file for each of two listeners, one must be chosen."""
    with Path("relay.toml").open("a") as file:
        file.write('\n[listen.other]\naddress = "127.0.0.1:2599"\nusers = "others.toml"\n')
    assert "--listener other or submission" in named.run("users", "list", code=1).output
    assert named.run("users", "list", "--listener", "other").exit_code == 0
    assert "No users file" in named.run("users", "list", "--listener", "third", code=1).output


def test_a_file_that_others_may_read_is_not_used(named: Home) -> None:
    """Hashes can be guessed at leisure by who has them."""
    add(named, "anna", "anna@example.org")
    Path("users.toml").chmod(0o640)
    assert "other users of this machine" in named.run("users", "list", code=1).output


def test_first_file_that_root_makes_is_the_gateways(named: Home) -> None:
    """It may lie in a folder of root's, as relay.toml does; the gateway's user is whose the keys are."""
    gateway = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    os.chown("var/keys", gateway, -1)
    add(named, "anna", "anna@example.org")
    assert Path("users.toml").stat().st_uid == gateway
