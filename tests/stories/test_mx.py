"""A gateway without a smarthost: what the DNS says decides, and an operator has the last word."""

import json

import dns.name
import pytest

from tests.gateway import Gateway, running
from tests.letters import ANNA, letter
from tests.nameserver import name_server
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

GONE, CLOSED, CIRCLE, LATER = "a@gone.test", "b@closed.test", "c@circle.test", "d@later.test"


def test_mail_by_mx_that_nobody_takes(installed: Gateway, world: PostOffice) -> None:
    """Of three domains Anna reads at once why they take no mail; for the fourth it waits, until an operator drops it."""
    with name_server() as server:
        server.publish("closed.test. IN MX 0 .", "circle.test. IN MX 10 here.test.", "here.test. IN A 127.0.0.1")
        server.failing.add(dns.name.from_text("later.test."))
        file = installed.folder / "relay.toml"
        hosts = f'[route.outside]\nhosts = ["127.0.0.1:{world.port}"]\ntls = "none"\n'
        text = file.read_text().replace(hosts, "[route.outside]\nmx = true\n")
        file.write_text(text.replace("[delivery]\n", f'[delivery]\nresolver = "{server.address}"\n'))
        with running(installed):
            installed.send(ANNA, [GONE, CLOSED, CIRCLE, LATER], letter(to=[GONE, CLOSED, CIRCLE, LATER]))
            statuses = {b"Status: 5.1.2", b"Status: 5.1.10", b"Status: 5.4.6"}
            installed.until(lambda: statuses <= {line for mail in world.of(ANNA) for line in mail.content.splitlines()})
            installed.until(lambda: _waiting(installed, "last_reply").startswith("4.4.3"))
            installed.letterlock("queue", "pause", "--to", "later.test")
            installed.until(lambda: _waiting(installed, "state") == "paused")
            installed.letterlock("queue", "drop", "--yes", _waiting(installed, "id"))
            installed.until(lambda: any(LATER.encode() in mail.content for mail in world.of(ANNA)))
            installed.until(lambda: not json.loads(installed.letterlock("queue", "list", "--json"))["entries"])


def _waiting(gateway: Gateway, what: str) -> str:
    """Return one fact of the one entry that waits for an outside address."""
    [entry] = json.loads(gateway.letterlock("queue", "list", "--to", "later.test", "--json"))["entries"]
    return str(entry[what])
