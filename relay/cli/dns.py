"""What ``letterlock check --dns`` prints: each record, how it is, and what to publish where it is not right."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import click

from relay.cli.terminal import plural, say
from relay.config.values import Endpoint, endpoint
from relay.dns.finding import Finding, State
from relay.errors import ConfigurationError

UNANSWERED = 75  # EX_TEMPFAIL of sysexits.h: to be asked again
_COLOURS = {
    State.RIGHT: "green",
    State.DOUBTFUL: "yellow",
    State.WRONG: "red",
    State.MISSING: "red",
    State.UNKNOWN: "red",
}


class Server(click.ParamType[Endpoint]):
    """The address of a DNS server with its port; 53 where none is written."""

    name = "address[:port]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Endpoint:
        """Return the endpoint; a name instead of an address is refused, because nobody could look it up."""
        if isinstance(value, Endpoint):
            return value
        found = _server(str(value))
        if found is not None:
            return found
        return self.fail('write an address such as "192.0.2.53", "192.0.2.53:5353" or "2001:db8::53"', param, ctx)


def print_findings(findings: Iterable[Finding]) -> int:
    """Print findings as they come; return the exit code that they mean."""
    found: list[Finding] = []
    say()
    for one in findings:
        found.append(one)
        say(f"{one.record:7} {one.name}: {_sentence(one)}", style=_COLOURS[one.state])
        if one.publish and one.state is not State.RIGHT:
            say(f"        {'better' if one.state is State.DOUBTFUL else 'publish'}:")
            for line in one.publish:
                say(f"          {line}")
    say()
    failing, unknown = sum(one.fails for one in found), sum(one.state is State.UNKNOWN for one in found)
    if failing:
        say(f"{plural(failing, 'record')} to mend. A change takes until the old answer has lapsed to be seen.")
    if unknown:
        say(f"The DNS could not be asked about {plural(unknown, 'record')}: nothing is known of what is published.")
        say("Mend the resolver of this machine, or name a server that answers (--dns-server ADDRESS), and check again.")
    if not failing and not unknown:
        say("The DNS is as mail needs it.")
    return exit_code(found)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0 when mail works with what is published, 1 when a record is to be mended, 75 when nobody answered."""
    states = list(findings)
    if any(one.fails for one in states):
        return ConfigurationError.exit_code
    return UNANSWERED if any(one.state is State.UNKNOWN for one in states) else 0


def finding_json(one: Finding) -> dict[str, Any]:
    """Return a finding for a script."""
    return {
        "record": one.record,
        "name": one.name,
        "state": one.state.value,
        "sentence": one.sentence,
        "publish": list(one.publish),
    }


def _sentence(one: Finding) -> str:
    if one.state in {State.RIGHT, State.DOUBTFUL}:
        return one.sentence
    return f"{one.state.value.upper()}: {one.sentence.removeprefix('is missing: ')}"


def _server(text: str) -> Endpoint | None:
    for written in (text, f"{text}:53", f"[{text}]:53"):
        try:
            found = endpoint(written)
            ip_address(found.host)
        except ValueError:
            continue
        return found
    return None
