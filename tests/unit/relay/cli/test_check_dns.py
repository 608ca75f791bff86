import json
from collections.abc import Iterator
from io import StringIO

import pytest
from dns.name import Name
from dns.resolver import Resolver

from relay.cli.dns import UNANSWERED
from tests.nameserver import NameServer, name_server
from tests.unit.relay.cli.conftest import Home


@pytest.fixture
def dns() -> Iterator[NameServer]:
    """A name server that knows nothing yet."""
    with name_server() as server:
        yield server


def sign(home: Home) -> None:
    """Give the gateway's domain a DKIM key."""
    made = home.json("keys", "dkim", "letter.example.org", "s1")
    config = home.folder / "relay.toml"
    config.write_text(
        f'{config.read_text()}\n[[dkim]]\ndomain = "letter.example.org"\nselector = "s1"\nkey = "{made["file"]}"\n'
    )


def test_check_dns_prints_what_to_publish_until_it_is_there(home: Home, dns: NameServer) -> None:
    """Missing records end with exit code 1 and the lines that mend them; published as printed, with 0."""
    sign(home)
    output = home.run("check", "--dns-server", dns.address, code=1).stdout
    assert "MISSING: answers, commands and bounces cannot reach the gateway" in output
    lines = [line.strip() for line in output.splitlines() if " IN " in line and "<" not in line]
    dns.publish("letter.example.org. IN A 192.0.2.1", *lines)
    output = home.run("check", "--dns", "--dns-server", dns.address).stdout
    assert output.rstrip().endswith("The DNS is as mail needs it.")


def test_check_dns_speaks_to_scripts(home: Home, dns: NameServer) -> None:
    """--json has one object for each record and says with `ok` and the exit code whether mail works."""
    found = json.loads(home.run("check", "--dns-server", dns.address, "--json", code=1).stdout)
    assert (found["ok"], found["problems"]) == (False, [])
    assert {one["record"]: one["state"] for one in found["dns"]}["DMARC"] == "missing"


class _Everything(set[Name]):
    """Every name."""

    def __contains__(self, _name: object) -> bool:
        return True


def test_check_dns_says_when_nobody_answers(home: Home, dns: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is called missing that nobody was asked about; scripts tell it by the exit code 75."""
    sign(home)
    dns.failing = _Everything()
    output = home.run("check", "--dns-server", dns.address, code=UNANSWERED).stdout
    assert "The DNS could not be asked about 5 records: nothing is known" in output
    assert "to mend" not in output
    found = json.loads(home.run("check", "--dns-server", dns.address, "--json", code=UNANSWERED).stdout)
    assert (found["ok"], {one["state"] for one in found["dns"]}) == (False, {"unknown"})
    read = Resolver.read_resolv_conf
    monkeypatch.setattr(Resolver, "read_resolv_conf", lambda resolver, _file: read(resolver, StringIO("# nothing yet")))
    assert "names no DNS server in /etc/resolv.conf" in home.run("check", "--dns", code=UNANSWERED).stdout


@pytest.mark.parametrize("server", ["ns.example.org", "192.0.2.1:99999", "here"])
def test_a_dns_server_is_named_by_its_address(home: Home, server: str) -> None:
    """A name could not be looked up: it is refused with an example."""
    assert "write an address such as" in home.run("check", "--dns-server", server, code=2).output
