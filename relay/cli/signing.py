"""``letterlock keys dkim``: a key that signs mail, and what is published for it."""

import json
from contextlib import suppress
from pathlib import Path

import click

from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, print_json, say
from relay.config.model import DkimKey
from relay.config.values import domain as read_domain
from relay.config.values import selector as read_selector
from relay.dkim.keys import KeyKind, new_pem, open_key
from relay.dkim.record import record_name, record_value, zone_line
from relay.dkim.signature import SigningKey
from relay.durable import make_folder
from relay.errors import RefusedError
from relay.vault.keyfiles import write_new
from relay.vault.keyring import Keyring

_FOLDER = "dkim"  # below the folder of the other keys


@click.command(
    short_help="Make a DKIM key and print its DNS record.",
    epilog=examples(
        "letterlock keys dkim letter.example.org letterlock-2026",
        "letterlock keys dkim letter.example.org letterlock-2026-ed --type ed25519",
        "letterlock keys dkim example.org s1 --file /etc/letterlock/dkim/s1.pem",
    ),
)
@click.argument("domain")
@click.argument("selector")
@click.option("--type", "kind", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the key is kept; by default in the folder dkim below the other keys.",
)
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def dkim(  # noqa: PLR0917  # click passes them by name
    session: Session, domain: str, selector: str, kind: KeyKind, file: Path | None, as_json: bool
) -> None:
    """Make a DKIM key for mail from DOMAIN, and print the DNS record to publish under SELECTOR.

    A key that is there already stays as it is; its record is printed again.
    """
    try:
        domain, selector = read_domain(domain), read_selector(selector)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    place = (file or _place(session, domain, selector)).absolute()
    if place.parent.name == _FOLDER and place.parent.parent.is_dir():
        with suppress(OSError):  # what is in the way is named when the key is written
            make_folder(place.parent)
    made = not place.exists() and write_new(place, new_pem(kind))
    key = open_key(DkimKey(domain=domain, selector=selector, key=place))
    if as_json:
        print_json(
            {
                "file": str(place),
                "made": made,
                "algorithm": key.algorithm,
                "name": record_name(key),
                "value": record_value(key.private),
            }
        )
        return
    _explain(session, key, place, made=made)


def _place(session: Session, domain: str, selector: str) -> Path:
    """Return where the key is or shall be."""
    configuration = session.configuration()
    for named in configuration.dkim:
        if (named.domain, named.selector) == (domain, selector):
            return named.key
    # A folder of keys without the gateway's own could not be filled by "letterlock init" any more.
    Keyring.open(configuration.keys.folder, role="cli")
    folder = configuration.keys.folder / _FOLDER
    return folder / f"{domain}.{selector}.pem"


def _explain(session: Session, key: SigningKey, place: Path, *, made: bool) -> None:
    home = session.config_path.absolute().parent
    written = place.relative_to(home) if place.is_relative_to(home) else place
    say(
        f"Made {written}. Back it up with the other keys."
        if made
        else f"{written} is there already and stays as it is."
    )
    say()
    say(f"Publish this TXT record for {record_name(key)}:")
    say()
    say(f"  {record_value(key.private)}")
    say()
    say("or, as a line of a zone file:")
    say()
    say(f"  {zone_line(key)}")
    say()
    say("When it can be looked up, this in relay.toml lets the gateway sign from its next start or SIGHUP on:")
    say()
    say("  [[dkim]]")
    for name, value in (("domain", key.domain), ("selector", key.selector), ("key", str(written))):
        say(f"  {name} = {json.dumps(value, ensure_ascii=False)}")
