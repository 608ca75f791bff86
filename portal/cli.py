"""The portal's own commands, added to ``letterlock`` through the entry-point group ``letterlock.commands``."""

import click

from portal.app import serve
from portal.inbox.cli import demo
from relay.cli.terminal import examples
from relay.config.source import Source


@click.group(name="portal")
def commands() -> None:
    """Commands of the recipient portal."""


commands.add_command(demo)


@commands.command(name="portal", epilog=examples("letterlock -c /etc/letterlock/relay.toml portal"))
@click.pass_context
def portal(context: click.Context) -> None:
    """Run the recipient portal alone, in the foreground.

    `letterlock run` starts it together with the relay; use this on a machine that runs nothing but portals.
    Ctrl-C or SIGTERM stops it after the downloads that are under way.
    """
    session = context.find_root().obj
    serve(session.configuration(), Source(session.config_path))
