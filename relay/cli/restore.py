"""``letterlock restore``: a backup takes over."""

from pathlib import Path

import click

from relay import backup, clock
from relay.cli.opened import WRITER
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, plural, say, warn
from relay.config import Configuration
from relay.restoring import TakenOver, drop_unreadable, lost, take_over
from relay.store.audit import Audit
from relay.store.schema import migrate
from relay.store.slot import Slot
from relay.store.writer import open_store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring

_FOLDER = click.Path(path_type=Path, file_okay=False)
_PATIENCE = 1.0  # seconds for a gateway that was stopped a moment ago to be gone


@click.command(
    short_help="Let a backup take over.",
    epilog=examples(
        "letterlock restore --keys /media/usb/keys-2026-11-23 --storage /backup/letterlock-2026-11-23",
        "letterlock restore",
    ),
)
@click.option("--keys", type=_FOLDER, help='Put these keys in place first; "letterlock backup keys" copied them.')
@click.option("--storage", type=_FOLDER, help='Put this storage in place; "letterlock backup storage" copied it.')
@click.option(
    "--drop-unreadable",
    "unreadable",
    is_flag=True,
    help="Take out of the queue what no key here opens. No sender can be told.",
)
@pass_session
def command(session: Session, keys: Path | None, storage: Path | None, unreadable: bool) -> None:
    """Let a database that came from a backup be this installation's.

    No gateway may run on its data, here or elsewhere: it would go on sending what this one holds. Nothing that is there
    is overwritten.

    All of its queue is kept back, because most of it has left since: "letterlock queue list --paused" shows it, and
    "letterlock queue resume" lets go on what is still to be sent. Keys and files that are missing are named. Until this
    was called, "letterlock run" starts nothing on such a database.
    """
    configuration = session.configuration(keys_follow=keys is not None)
    chosen = configuration.storage
    if keys is not None:
        backup.put_keys(keys, configuration.keys.folder)
    keyring = Keyring.open(configuration.keys.folder, role="relay")
    if storage is not None:
        backup.put_storage(storage, chosen.database, chosen.blobs)
    slot = Slot(chosen.database, configuration.gateway.process_name("supervisor", 0), patience=_PATIENCE)
    try:
        migrate(chosen.database, create=False)
        _take_over(configuration, keyring, drop=unreadable)
    finally:
        slot.close()


def _take_over(configuration: Configuration, keyring: Keyring, *, drop: bool) -> None:
    audit = Audit(keyring, writer=WRITER)
    store = open_store(configuration.storage.database)
    try:
        found = take_over(store, keyring, audit, clock.now())
        dropped = drop_unreadable(store, keyring, audit, clock.now()) if drop else 0
        missing = list(lost(store, keyring, FileBlobs(configuration.storage.blobs), clock.now()))
    finally:
        store.close()
    _report(found, dropped)
    for sentence in missing:
        warn(f"lost: {sentence}")


def _report(found: TakenOver, dropped: int) -> None:
    say(f"{plural(found.messages, 'sealed message')} not expired.")
    say(f"{plural(found.kept_back, 'entry', 'entries')} of the queue kept back.")
    if dropped:
        say(f"{plural(dropped, 'entry', 'entries')} that no key here opens taken out.")
    elif found.unreadable:
        say(f"No key here opens {found.unreadable} of them; --drop-unreadable takes those out.")
    if found.questions:
        say(f"{plural(found.questions, 'question')} about held copies, which may have been answered since.")
    if found.answers:
        say(f"{plural(found.answers, 'answer')} of readers that were on their way are drafts again.")
    say('Next: "letterlock queue list --paused" shows what is kept back, "letterlock run" starts the gateway.')
