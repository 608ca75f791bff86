"""`letterlock demo`: send a realistic conversation through the running demo and print the links."""

import asyncio
import re
import time
from pathlib import Path

import click

from portal.inbox.app import FOLDER
from portal.inbox.conversation import LETTERS
from portal.inbox.deliveries import Deliveries
from portal.inbox.writing import send
from relay.cli.terminal import examples
from relay.config.model import Configuration
from relay.errors import RefusedError

WAIT = 20.0  # seconds for the notices to arrive
_SETTLED = 1.5  # seconds without a new mail: the gateway has said everything


@click.command(epilog=examples("letterlock demo"))
@click.pass_context
def demo(context: click.Context) -> None:
    """Send a made-up afternoon of mail through the demo.

    Prints what the gateway answers and the pickup links that follow. Start the demo first: `letterlock run`,
    or `make run`.
    """
    options = context.find_root().obj
    configuration: Configuration = options.configuration()
    if configuration.demo is None:
        raise RefusedError("This is not the demo: `letterlock demo` needs a relay.toml with a [demo] table.")
    folder = options.config_path.resolve().parent / FOLDER
    before = {path.name for path in folder.glob("*.eml")}
    gateway = next(iter(configuration.listen.values())).address
    for number, (what, letter) in enumerate(LETTERS, 1):
        said = asyncio.run(send(letter, gateway))
        if said.startswith("The gateway at"):
            raise RefusedError(said)
        click.echo(f"{number}. {what}.\n   {said}")
    _wait_for_quiet(folder, before)
    _print_links(folder, before, configuration)


def _wait_for_quiet(folder: Path, before: set[str]) -> None:
    deadline, last, since = time.monotonic() + WAIT, 0, time.monotonic()
    while time.monotonic() < deadline:
        count = len({path.name for path in folder.glob("*.eml")} - before)
        if count != last:
            last, since = count, time.monotonic()
        elif count and time.monotonic() - since > _SETTLED:
            return
        time.sleep(0.2)


def _print_links(folder: Path, before: set[str], configuration: Configuration) -> None:
    link = re.compile(re.escape(configuration.portal.base_url) + r"/p/\S+")
    deliveries = Deliveries(folder)
    click.echo("\nPickup links, as they stand in the recipients' notices:")
    for address, _ in deliveries.mailboxes():
        for delivery in deliveries.of(address):
            found = link.search(delivery.content().decode("utf-8", "replace"))
            if found and delivery.path.name not in before:
                click.echo(f"  {address:28} {found[0]}")
    inbox = configuration.demo.web if configuration.demo else ""
    click.echo(f"\nThe codes that the portal mails, receipts and everything else: http://{inbox}")
