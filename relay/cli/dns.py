"""What ``letterlock check --dns`` prints: each record, how it is, and what to publish where it is not right."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import click

from relay.cli.terminal import plural, say
from relay.config.values import Endpoint, endpoint
from relay.dns.finding import Finding, State

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


def print_findings(findings: Iterable[Finding]) -> bool:
    """Print findings as they come; return whether mail works with what is published."""
    failing = 0
    say()
    for one in findings:
        failing += one.fails
        say(f"{one.record:7} {one.name}: {_sentence(one)}", style=_COLOURS[one.state])
        if one.publish and one.state is not State.RIGHT:
            say(f"        {'better' if one.state is State.DOUBTFUL else 'publish'}:")
            for line in one.publish:
                say(f"          {line}")
    say()
    if failing:
        say(f"{plural(failing, 'record')} to mend. A change takes until the old answer has lapsed to be seen.")
    else:
        say("The DNS is as mail needs it.")
    return not failing


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
