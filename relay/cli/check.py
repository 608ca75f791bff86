"""``letterlock check``."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from relay.cli.dns import Server, exit_code, finding_json, print_findings
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, plural, print_json, print_table, say, warn
from relay.cli.wording import rule_words
from relay.config import Configuration, Inspection, inspect
from relay.config.schema import json_schema
from relay.config.values import Endpoint
from relay.dkim.keys import open_key
from relay.dns.finding import Finding
from relay.dns.inspection import inspect_dns
from relay.dns.lookup import Lookup
from relay.errors import ConfigurationError


@click.command(
    epilog=examples(
        "letterlock check",
        "letterlock -c new.toml check && mv new.toml relay.toml",
        "letterlock check --dns",
        "letterlock check --schema > relay.schema.json",
    )
)
@click.option("--json", "as_json", is_flag=True, help="Print problems and warnings for a script.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of relay.toml, for editors, and stop.")
@click.option("--dns", is_flag=True, help="Look up what the DNS says of the gateway's domain, too.")
@click.option("--dns-server", type=Server(), help="Ask this server instead of the machine's own resolvers.")
@pass_session
@click.pass_context
def command(  # noqa: PLR0917  # click passes them by name
    ctx: click.Context, session: Session, as_json: bool, schema: bool, dns: bool, dns_server: Endpoint | None
) -> None:
    """Name every mistake in relay.toml at its line.

    Files that it names are looked at too. Root, who may read everything, looks with the rights of the gateway's user,
    whose the folder of the keys is.

    Mistakes end with exit code 1; warnings are legal and probably not meant. The rules are repeated in words. With
    --dns, a record that mail needs and that is missing or wrong ends with exit code 1 too, with what to publish; where
    nobody answered, the exit code is 75.
    """
    if schema:
        print_json(json_schema())
        return
    inspection = _inspected(session.config_path)
    configuration = inspection.configuration
    asked = dns or dns_server is not None
    if as_json:
        findings = [*_looked_up(configuration, dns_server)] if configuration and asked else []
        code = exit_code(findings) if configuration else ConfigurationError.exit_code
        print_json(
            {
                "ok": not code,
                "problems": inspection.problems,
                "warnings": inspection.warnings,
                "rules": _rules(configuration) if configuration else [],
                **({"dns": [finding_json(one) for one in findings]} if asked else {}),
            }
        )
        ctx.exit(code)
    if configuration is None:
        raise ConfigurationError(inspection.problems)
    for line in inspection.warnings:
        warn(f"warning: {line}")
    _summary(session, configuration)
    if asked:
        ctx.exit(print_findings(_looked_up(configuration, dns_server)))


def _inspected(path: Path) -> Inspection:
    """Return what the gateway would find in the configuration file."""
    inspection = inspect(path)
    if os.geteuid() != 0 or inspection.configuration is None:
        return inspection
    owner = inspection.configuration.keys.folder.stat()
    if owner.st_uid == 0:
        return inspection
    with _rights_of(owner.st_uid, owner.st_gid) as name:
        inspection = inspect(path)
    if inspection.problems:
        warn(f"{name}, whose the keys are, finds what root does not see:")
    return inspection


@contextmanager
def _rights_of(user: int, group: int) -> Iterator[str]:
    """Let the block look at files as another user does; yield the name. ``group`` is for users that nobody knows."""
    try:
        account = pwd.getpwuid(user)
        name, group, groups = account.pw_name, account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid)
    except KeyError:
        name, groups = f"user {user}", [group]
    own, own_groups = os.getegid(), os.getgroups()
    os.setgroups(groups)
    os.setegid(group)
    os.seteuid(user)
    try:
        yield name
    finally:
        os.seteuid(0)
        os.setegid(own)
        os.setgroups(own_groups)


def _looked_up(configuration: Configuration, server: Endpoint | None) -> Iterator[Finding]:
    keys = [open_key(named) for named in configuration.dkim]
    return inspect_dns(configuration, keys, Lookup(server))


def _summary(session: Session, configuration: Configuration) -> None:
    domains = ", ".join(configuration.organisation.domains)
    say(f"{session.config_path} is sound.", style="green")
    say(
        f"{configuration.organisation.name}: inside is {domains}; the gateway writes from "
        f"{configuration.gateway.domain}."
    )
    for name, listener in configuration.listen.items():
        say(f"Listens on {listener.address} ({name}, TLS {listener.tls}).")
    for name, route in (
        ("inside", configuration.route.inside),
        ("outside", configuration.route.outside),
        ("readers' answers", configuration.route.for_replies),
    ):
        where = "the mail servers of each domain (MX)" if route.mx else ", ".join(map(str, route.hosts))
        say(f"Sends {name} to {where} (TLS {route.tls}).")
    for partner in configuration.partner:
        name = f"partner {partner.name} ({', '.join(partner.domains)})"
        certificate = partner.certificate or "of the host's name"
        say(f"Sends {name} to {', '.join(map(str, partner.hosts))} (TLS required, certificate {certificate}).")
    for key in configuration.dkim:
        say(f"Signs mail from {key.domain} (DKIM selector {key.selector}).")
    say(f"Portal at {configuration.portal.base_url}.")
    say()
    say(f"{plural(len(configuration.rules), 'rule')}; the strictest that holds decides for each recipient:")
    print_table(("rule", "in words"), ((rule.name, rule_words(rule)) for rule in configuration.rules))


def _rules(configuration: Configuration) -> list[dict[str, Any]]:
    return [
        {"name": rule.name, "mode": rule.mode.value, "action": str(rule.action), "words": rule_words(rule)}
        for rule in configuration.rules
    ]
