"""``letterlock version``."""

import platform
import sqlite3
from importlib.metadata import version

import click

from relay.cli.terminal import examples, print_json, say


@click.command(epilog=examples("letterlock version"))
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
def command(as_json: bool) -> None:
    """Print the version."""
    found = {
        "letterlock": version("letterlock"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cryptography": version("cryptography"),
    }
    if as_json:
        print_json(found)
        return
    say(f"Letterlock {found.pop('letterlock')}")
    say(", ".join(f"{name} {number}" for name, number in found.items()))
