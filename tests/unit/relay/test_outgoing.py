"""The ways out, as relay.toml names them."""

from pathlib import Path

import pytest

from relay.config import load
from relay.config.values import Endpoint
from relay.outgoing import patience_of, routes_of
from relay.queue.routes import REPLIES, TlsMode
from tests.gateway import CONFIGURATION

VALUES = {
    "smtp": 2525,
    "portal": 8080,
    "world": 2526,
    "workers": 1,
    "trusted": "127.0.0.0/8",
    "database": "sqlite:///x",
}
ANSWERS = '\n[route.replies]\nhosts = ["127.0.0.1:2600"]\ntls = "none"\n'


@pytest.mark.parametrize(("more", "port"), [("", 2526), (ANSWERS, 2600)], ids=["as inside", "on their own"])
def test_readers_answers_have_a_way_of_their_own(tmp_path: Path, more: str, port: int) -> None:
    """[route.replies] is where answers go; without it they go where staff's mail goes."""
    file = tmp_path / "relay.toml"
    file.write_text(CONFIGURATION.format(**VALUES) + more)
    routes = routes_of(load(file))
    assert [hop.port for hop in routes[REPLIES].hosts] == [port]
    assert [hop.port for hop in routes[routes.name_for("anna@example.org")].hosts] == [2526]


@pytest.mark.parametrize(("retry", "seconds"), [('["1s", "1m"]', 1), ('["5m", "1h"]', 30)])
def test_an_attempt_whose_time_has_come_is_a_real_one(tmp_path: Path, retry: str, seconds: int) -> None:
    """A next hop that failed is left alone for half a minute, but not past the shortest pause between attempts."""
    file = tmp_path / "relay.toml"
    file.write_text(CONFIGURATION.format(**VALUES).replace('retry = ["1s"]', f"retry = {retry}"))
    assert patience_of(load(file)).avoid == seconds


def test_a_route_by_mx_has_no_hosts_of_its_own(tmp_path: Path) -> None:
    """With mx = true the DNS names the next hops, under the usual protection; the other routes stay as they are."""
    file = tmp_path / "relay.toml"
    hosts = '[route.outside]\nhosts = ["127.0.0.1:{world}"]\ntls = "none"\n'
    assert hosts in CONFIGURATION
    by_mx = CONFIGURATION.replace(hosts, "[route.outside]\nmx = true\n").replace(
        "[delivery]", '[delivery]\nresolver = "[::1]:53"'
    )
    file.write_text(by_mx.format(**VALUES))
    configuration = load(file)
    routes = routes_of(configuration)
    outside = routes[routes.name_for("jane@example.net")]
    assert (outside.mx, outside.hosts, outside.tls) == (True, (), TlsMode.OPPORTUNISTIC)
    assert not routes["inside"].mx
    assert configuration.delivery.resolver == Endpoint(host="::1", port=53)
