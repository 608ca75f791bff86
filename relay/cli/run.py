"""``letterlock run``."""

import sys
from contextlib import suppress

import click

from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples
from relay.daemon import run
from relay.logs import catch_strays, configure, unbuffered


@click.command(epilog=examples("letterlock -c /etc/letterlock/relay.toml run"))
@pass_session
@click.pass_context
def command(ctx: click.Context, session: Session) -> None:
    """Start the gateway.

    That is relay, portal and, in the demo, the inbox.
    It stays in the foreground and restarts a process that dies. Ctrl-C or SIGTERM stops it in order: nothing
    more is accepted, what was accepted is kept.
    """
    configure()
    catch_strays()
    out = unbuffered(sys.stdout)

    def tell(line: str) -> None:
        # A terminal that was closed must not keep the processes from being stopped in order. What stayed in a buffer
        # would fail once more at the end, and make a failure of the whole.
        with suppress(OSError):
            click.echo(line, file=out)

    ctx.exit(run(session.config_path, announce=tell))
