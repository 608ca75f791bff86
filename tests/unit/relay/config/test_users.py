"""The users file: strict, private, and with a line for each mistake."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.contents import ExposedError
from relay.config.users import User, folded, read_users, users_text

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43

TWICE = "".join(f'[users.{name}]\npassword = "{HASH}"\nsenders = ["b.example"]\n' for name in ("anna", "ANNA"))


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "users.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Names of any alphabet, quotes and backslashes come back as they were."""
    users = [
        User("anna.baker@example.org", HASH, ("anna.baker@example.org",)),
        User('the "old" mill\\', HASH, ("example.org", "zoë@example.org")),
        User("用户", HASH, ("example.org",)),
    ]
    found = read_users(write(tmp_path, users_text(users)))
    assert sorted(found.values(), key=lambda one: one.name) == sorted(users, key=lambda one: one.name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[users.anna\n", "is not TOML"),
        ("[user.anna]\n", "at line 1 is wrong: user: is no key of this file"),
        (f'[users.anna]\npassword = "{HASH}"\n', "at line 1 is wrong: users.anna.senders: is missing"),
        (f'[users.anna]\npassword = "{HASH}"\nsenders = []\n', "at line 3 is wrong: users.anna.senders"),
        (f'[users.anna]\npassword = "{HASH}"\nsenders = ["a@b", "x"]\n', "at line 3 is wrong: users.anna.senders[0]"),
        (
            '[users.anna]\npassword = "plain text"\nsenders = ["a@b.example"]\n',
            "at line 2 is wrong: users.anna.password",
        ),
        (f'[users." a"]\npassword = "{HASH}"\nsenders = ["a@b.example"]\n', "a name is printable"),
        (
            TWICE,
            'names "ANNA" twice',
        ),
        (f'[users.anna]\npassword = "{HASH.replace("19456", "9999999")}"\nsenders = ["b.example"]\n', "no Argon2id"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    """What is wrong is said with its line; a hash that would take a gigabyte is none."""
    with pytest.raises(ValueError) as caught:  # the text is compared below
        read_users(write(tmp_path, text))
    assert said in str(caught.value)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """A file that others may read is refused before it is read."""
    with pytest.raises(ExposedError):
        read_users(write(tmp_path, "", 0o644))


def test_it_is_text(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused."""
    file = write(tmp_path, "")
    file.write_bytes(b"[users.\xff]")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_users(file)


@given(st.text())
def test_folding_is_stable(name: str) -> None:
    """A folded name folds to itself, so that it can be looked up again."""
    assert folded(folded(name)) == folded(name)


@pytest.mark.parametrize(
    ("local", "domain", "allowed"),
    [
        ("anna", "example.org", True),
        ("ANNA", "example.org", True),
        ("boss", "example.org", False),
        ("anna", "sub.example.org", False),
        ("anybody", "desk.example", True),
        ("anybody", "sub.desk.example", False),
        ("anna@example.org", "elsewhere.example", False),
    ],
)
def test_senders(local: str, domain: str, allowed: bool) -> None:
    """An address is one address; a domain is every address in it, and none below it."""
    assert User("anna", HASH, ("Anna@example.org", "desk.example")).may_send_as(local, domain) is allowed
