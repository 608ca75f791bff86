"""``letterlock init``."""

import os
from datetime import timedelta
from pathlib import Path

import click

from relay import clock
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, say, warn
from relay.cli.whom import DestinationDomain
from relay.config import Configuration
from relay.config.demo import demo_text, word_lists
from relay.config.starter import starter_text
from relay.durable import make_folder
from relay.errors import RefusedError, StoreError
from relay.store.schema import holds_messages, migrate
from relay.vault import progress
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring

_ANY_AGE = timedelta(days=1)  # ahead of now: whatever the clock said when a part was written


@click.command(
    epilog=examples(
        "letterlock init --demo",
        'letterlock init --name "Example Council" --domain example.org --contact "+44 20 7946 0000"',
    )
)
@click.option("--demo", is_flag=True, help="Write the demo: organisation example.org, everything on this machine.")
@click.option("--name", help='Name of the organisation, such as "Example Council".')
@click.option("--domain", type=DestinationDomain(), help="Mail domain of the organisation, such as example.org.")
@click.option("--contact", help="Telephone number or place where recipients ask whether a notice is genuine.")
@pass_session
def command(session: Session, demo: bool, name: str | None, domain: str | None, contact: str | None) -> None:
    """Write relay.toml, keys and database.

    What is already there stays as it is: this command can be called again at any time.
    """
    path = session.config_path
    if path.exists():
        say(f"{path} is already there and stays as it is.")
    elif demo:
        _write_demo(path)
    else:
        text = starter_text(
            name=name or click.prompt("Name of the organisation"),
            domain=domain or click.prompt("Its mail domain", type=DestinationDomain()),
            contact=contact or click.prompt("Telephone number of its help desk"),
        )
        _write(path, text)
    _prepare(session.configuration(keys_follow=True))


def _prepare(configuration: Configuration) -> None:
    """Make keys, folder and database of a configuration; what exists stays."""
    keys, blobs = configuration.keys.folder, configuration.storage.blobs
    if list(FileBlobs(blobs).older_than(clock.now() + _ANY_AGE)):
        # A new database would take what the old one knew for leftovers, and sweep it away.
        try:
            migrate(configuration.storage.database, create=False)
        except StoreError as error:
            raise RefusedError(
                f"There are parts of messages in {blobs} that only their own database knows. {error}. "
                "For that, move those parts away first."
            ) from error
    if keys.is_dir() and any(keys.iterdir()):
        Keyring.open(keys, role="cli")
        say(f"The keys in {keys} are already there and stay as they are.")
    else:
        if holds_messages(configuration.storage.database):
            raise RefusedError(
                f"There are no keys in {keys}, but the database holds messages that only they open: restore the keys "
                "from their backup. For a fresh start, move the database and the blobs away first."
            )
        Keyring.create(keys)
        say(f"Made keys in {keys}. Back them up apart from the storage: without them nothing sealed opens again.")
    make_folder(blobs)
    migrate(configuration.storage.database)
    if progress.begin(configuration.storage.database, keys):
        warn("These keys belonged to another database until now. Is it only elsewhere, on a disk that is not mounted?")
        warn('Then start nothing: put it back in the place of this new one, and run "letterlock restore".')
    say("The database is ready.")
    say('Next: "letterlock check" shows what is configured, "letterlock run" starts the gateway.')


def _write_demo(path: Path) -> None:
    _write(path, demo_text())
    for name, text in word_lists().items():
        file = path.parent / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            say(f"Wrote {file}.")


def _write(path: Path, text: str) -> None:
    try:
        # Exclusive: two calls at once do not overwrite each other. Others may read it, it holds no secret.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RefusedError(f"{path} cannot be written ({error.strerror})") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    say(f"Wrote {path}.")
