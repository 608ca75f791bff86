"""Whom an option means: a domain, an address, or the age of mail, as a person types them."""

from datetime import timedelta
from typing import Any

import click

from relay.config.amounts import duration
from relay.config.values import domain
from relay.message.addresses import parse_mailbox

NULL = "<>"


class DestinationDomain(click.ParamType[str]):
    """A domain that mail goes to, or an address literal in brackets; its spelling is that of the queue."""

    name = "domain"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the domain in lower case and A-labels."""
        text = str(value).strip()
        if "@" in text:
            self.fail(f'"{text}" is an address: write its domain alone', param, ctx)
        try:
            return parse_mailbox(f"x@{text}").domain if text.startswith("[") else domain(text)
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
