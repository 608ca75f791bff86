"""``letterlock backup``: copies of the keys and of the storage, made while the gateway runs."""

from pathlib import Path

import click

from relay import backup, clock
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, plural, say

_FOLDER = click.argument("folder", type=click.Path(path_type=Path))


@click.group()
def command() -> None:
    """Copy keys and storage while the gateway runs.

    Keep the two apart: together they are everything, and either alone is nothing. "letterlock restore" puts them back.
    """


@command.command(epilog=examples("letterlock backup keys /media/usb/keys-2026-11-23"))
@_FOLDER
@pass_session
def keys(session: Session, folder: Path) -> None:
    """Copy the keys into a new FOLDER.

    Without the keys of mail that waits in the queue: those belong in no backup.
    """
    copied = backup.copy_keys(session.configuration().keys.folder, folder)
    say(f"Copied {plural(copied, 'file')} into {folder}. Keep it apart from the storage.")


@command.command(epilog=examples("letterlock backup storage /backup/letterlock-2026-11-23"))
@_FOLDER
@pass_session
def storage(session: Session, folder: Path) -> None:
    """Copy a SQLite database and the files of messages into a new FOLDER.

    A database on a PostgreSQL server is copied with pg_dump instead.
    """
    chosen = session.configuration().storage
    copied = backup.copy_storage(chosen.database, chosen.blobs, folder, clock.now())
    say(f"Copied the database and {plural(copied, 'file')} of messages into {folder}.")
