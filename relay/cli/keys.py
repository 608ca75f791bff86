"""``letterlock keys``; ``keys dkim`` has a file of its own."""

from pathlib import Path

import click

from relay.cli.session import Session, pass_session
from relay.cli.signing import dkim
from relay.cli.spans import moment
from relay.cli.terminal import examples, print_json, print_table, say
from relay.vault import rotation
from relay.vault.recovery import create_recovery


@click.group()
def command() -> None:
    """List keys and make new ones.

    Keys themselves are never printed. A new key is made beside the old one, which goes on opening what it sealed.
    """


command.add_command(dkim)


@command.command("list", epilog=examples("letterlock keys list"))
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def show(session: Session, as_json: bool) -> None:
    """List the keys with their purpose, and which of them are in use."""
    keys = rotation.list_keys(session.configuration().keys.folder)
    if as_json:
        print_json(
            [
                {
                    "name": key.name,
                    "folder": key.folder,
                    "id": key.id.hex(),
                    "purpose": key.purpose,
                    "active": key.active,
                    "activated": key.activated_at.isoformat() if key.activated_at else None,
                }
                for key in keys
            ]
        )
        return
    rows = ((key.name, _use(key), key.folder, key.id.hex()[:12], key.purpose) for key in keys)
    print_table(("key", "", "folder", "id", "for"), rows)


def _use(key: rotation.KeyLine) -> str:
    if not key.active:
        return ""
    # What a running gateway has read is not known here; when it was told to read another key is.
    return f"from the next start after {moment(key.activated_at)}" if key.activated_at else "in use"


@command.command(short_help="Make the next version of a key.", epilog=examples("letterlock keys new kek-2027-01"))
@click.argument("series")
@pass_session
def new(session: Session, series: str) -> None:
    """Make the next version of a key: SERIES is "row", or "kek-YYYY-MM" for messages that expire in a month.

    It is used after "letterlock keys activate".
    """
    key = rotation.new_version(session.configuration().keys.folder, series)
    say(f"Made {key.name} ({key.purpose}). Back it up, then: letterlock keys activate {key.name}")


@command.command(epilog=examples("letterlock keys activate kek-2027-01-2"))
@click.argument("name")
@pass_session
def activate(session: Session, name: str) -> None:
    """Use the key NAME from the next start of the gateway on."""
    key = rotation.activate(session.configuration().keys.folder, name)
    say(f"{key.name} ({key.purpose}) is in use from the next start of the gateway on.")


@command.command(
    short_help="Make the organisation's recovery key.",
    epilog=examples("letterlock keys recovery /media/usb/letterlock-recovery.key"),
)
@click.argument("private_file", type=click.Path(path_type=Path, dir_okay=False))
@pass_session
def recovery(session: Session, private_file: Path) -> None:
    """Make the organisation's recovery key: its private half goes to PRIVATE_FILE and then off this machine.

    Whoever has the private half can open every message that is sealed from now on.
    """
    key_id = create_recovery(session.configuration().keys.folder, private_file)
    say(f"Made the recovery key {key_id.hex()[:12]}. Messages sealed after the next start can be opened with it.")
    say(f"Take {private_file} off this machine now, keep it in two safe places, and remove it here.")
