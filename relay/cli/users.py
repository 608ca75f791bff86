"""``letterlock users``: who may sign in at a listener, and with which password."""

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, plural, print_json, print_table, say
from relay.config.model import Keys
from relay.config.users import User, folded, read_users, sender, user_name, users_text
from relay.errors import NotFoundError, RefusedError
from relay.smtp.passwords import hash_password
from relay.vault.keyfiles import replace

SHORTEST = 12  # characters of a password: whoever guesses has five tries in five minutes
LONGEST = 256  # characters that every mail program can send

_listener = click.option("--listener", help="Whose users: NAME of [listen.NAME]; needed where there are several files.")


@click.group()
def command() -> None:
    """List the users that may sign in, and change them.

    They are kept in the file that listen.NAME.users names in relay.toml. Passwords are asked for, or read as one line
    from standard input; they never stand on the command line. A running gateway takes up changes with SIGHUP.
    """


@command.command("list", epilog=examples("letterlock users list"))
@_listener
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def show(session: Session, listener: str | None, as_json: bool) -> None:
    """List the users and the addresses under which each may send."""
    users = _read(_file(session, listener))
    if as_json:
        print_json([{"name": user.name, "senders": list(user.senders)} for user in users.values()])
        return
    print_table(("user", "may send as"), ((user.name, ", ".join(user.senders)) for user in users.values()))


@command.command(
    short_help="Let somebody sign in.",
    epilog=examples(
        "letterlock users add anna.baker --sender anna.baker@example.org",
        "letterlock users add scanner --sender scans@example.org < password.txt",
    ),
)
@click.argument("name")
@click.option("--sender", "senders", multiple=True, required=True, help="An address or a domain; may stand often.")
@_listener
@pass_session
def add(session: Session, name: str, senders: tuple[str, ...], listener: str | None) -> None:
    """Let NAME sign in, and send as each --sender."""
    file = _file(session, listener)
    users = _read(file)
    try:
        name, allowed = user_name(name), tuple(dict.fromkeys(map(sender, senders)))
    except ValueError as error:
        raise RefusedError(str(error)) from None
    if folded(name) in users:
        raise RefusedError(
            f'There is a user "{users[folded(name)].name}" already: "letterlock users password" changes it.'
        )
    _write(session, file, {**users, folded(name): User(name, hash_password(_password()), allowed)})
    say(f"{name} may sign in and send as {', '.join(allowed)}, from the gateway's next start or SIGHUP on.")


@command.command(short_help="Give a user another password.", epilog=examples("letterlock users password anna.baker"))
@click.argument("name")
@_listener
@pass_session
def password(session: Session, name: str, listener: str | None) -> None:
    """Give NAME another password."""
    file = _file(session, listener)
    users = _read(file)
    user = _known(users, name)
    _write(session, file, {**users, folded(name): User(user.name, hash_password(_password()), user.senders)})
    say(f"{user.name} has another password, from the gateway's next start or SIGHUP on.")


@command.command(short_help="Let a user sign in no more.", epilog=examples("letterlock users remove anna.baker"))
@click.argument("name")
@_listener
@pass_session
def remove(session: Session, name: str, listener: str | None) -> None:
    """Take NAME off the file. Whoever is signed in cannot send any more either, once the gateway has been told."""
    file = _file(session, listener)
    users = _read(file)
    user = _known(users, name)
    left = {key: one for key, one in users.items() if key != folded(name)}
    _write(session, file, left)
    say(f"{user.name} is removed, from the gateway's next start or SIGHUP on; {plural(len(left), 'user')} left.")


def _file(session: Session, listener: str | None) -> Path:
    """Return the users file that relay.toml names.

    The rest of the configuration may be wrong: the file that is missing is what "users add" makes.
    """
    path = session.config_path
    found = _document(path).get("listen", {})
    files: dict[str, Path] = {
        name: path.absolute().parent / one["users"]
        for name, one in (found.items() if isinstance(found, dict) else ())
        if isinstance(one, dict) and isinstance(one.get("users"), str) and one["users"]
    }
    if listener is not None:
        files = {name: file for name, file in files.items() if name == listener}
    if not files:
        where = f"[listen.{listener}]" if listener else "a [listen.NAME] with TLS"
        raise RefusedError(f'No users file is named: write users = "users.toml" into {where} of {path}.')
    if len(set(files.values())) > 1:
        raise RefusedError(f"There are several files of users: name one with --listener {' or '.join(sorted(files))}.")
    return next(iter(files.values()))


def _document(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise NotFoundError(f"There is no {path}.") from None
    except (OSError, ValueError) as error:
        raise RefusedError(f'{path} cannot be read ({error}): "letterlock check" says more.') from None


def _read(file: Path) -> Mapping[str, User]:
    try:
        return read_users(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RefusedError(f"{file} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise RefusedError(f"{file} {error}.") from None


def _write(session: Session, file: Path, users: Mapping[str, User]) -> None:
    """Write the file anew. A first one that root makes is for the gateway's user, whose the folder of the keys is."""
    keys = _document(session.config_path).get("keys", {})
    named = keys.get("folder") if isinstance(keys, dict) else None
    place = named if isinstance(named, str) else Keys.model_fields["folder"].default
    folder = session.config_path.absolute().parent / place
    replace(file, users_text(users.values()).encode(), like=folder if folder.is_dir() else None)


def _known(users: Mapping[str, User], name: str) -> User:
    user = users.get(folded(name))
    if user is None:
        raise NotFoundError(f'There is no user "{name}".')
    return user


def _password() -> str:
    """Return a new password: typed twice at a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        said: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        said = sys.stdin.readline().rstrip("\r\n")
    if not SHORTEST <= len(said) <= LONGEST:
        raise RefusedError(f"A password has {SHORTEST} to {LONGEST} characters.")
    if not said.isprintable():
        raise RefusedError("A password is printable text.")
    return said
