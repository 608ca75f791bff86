"""Which mail a command means: by entry, domain, address or age, as a person types them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import click

from relay.cli.opened import identifier
from relay.config.amounts import duration
from relay.config.values import domain
from relay.message.addresses import parse_mailbox

NULL = "<>"
PORTION = 200  # entries or messages of one transaction
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class DestinationDomain(click.ParamType[str]):
    """A domain that mail goes to, or an address literal in brackets; its spelling is that of the queue."""

    name = "domain"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the domain in lower case and A-labels."""
        text = str(value).strip()
        if "@" in text:
            self.fail(f'"{text}" is an address: write its domain alone', param, ctx)
        try:
            return parse_mailbox(f"x@{text}").domain.lower() if text.startswith("[") else domain(text)
        except ValueError:
            return self.fail(f'"{text}" is no domain: write one such as example.net', param, ctx)


class Whom(DestinationDomain):
    """A domain, or one address; with ``null`` also ``<>``, the sender of notices and reports."""

    name = "address|domain"

    def __init__(self, *, null: bool = False) -> None:
        self._null = null

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address or domain, the latter in lower case and A-labels."""
        text = str(value).strip()
        if self._null and text == NULL:
            return text
        if "@" not in text:
            return super().convert(text, param, ctx)
        try:
            return str(parse_mailbox(text, smtputf8=True))
        except ValueError as error:
            return self.fail(f'"{text}" is no address: {error}', param, ctx)


class Age(click.ParamType[timedelta]):
    """How old mail is at least: ``90s``, ``15m``, ``4h``, ``2d``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time."""
        if isinstance(value, timedelta):
            return value
        try:
            return duration(str(value).strip())
        except ValueError:
            return self.fail(f'"{value}" is no time: write 15m, 4h or 2d', param, ctx)


def ids_or_domain(help_: str) -> Callable[[F], F]:
    """Give a command the parameters ``ids`` and ``to``: entries, or all for a domain (``help_`` says what of it)."""

    def given(command: F) -> F:
        with_domain = click.option("--to", type=DestinationDomain(), help=help_)(command)
        return click.argument("ids", nargs=-1, metavar="[ID]...")(with_domain)

    return given


def entries_or_domain(ids: tuple[str, ...], to: str | None) -> list[bytes]:
    """Return the ids that a person typed; click.UsageError unless there are ids, or a domain, and not both."""
    if bool(ids) == bool(to):
        raise click.UsageError("Name one or more IDs, or a domain with --to.")
    return identifiers(ids)


def portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut entries or messages into what one transaction may take: a gateway that runs beside it commits in between."""
    return (items[at : at + PORTION] for at in range(0, len(items), PORTION))


def identifiers(texts: Iterable[str]) -> list[bytes]:
    """Return the ids that a person typed, each once; RefusedError when one is none."""
    return list(dict.fromkeys(identifier(text) for text in texts))
