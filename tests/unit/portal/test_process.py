"""The portal as a process: its command, its composition from relay.toml, its registration with the supervisor."""

from ipaddress import ip_network
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from portal.app import open_portal, server_of
from relay.cli import main
from relay.config import load
from relay.config.demo import demo_text, word_lists
from relay.config.model import Configuration
from relay.services import find_services
from relay.store.schema import migrate
from relay.vault.keyring import Keyring


def test_the_portal_is_a_service_of_one_process(tmp_path: Path) -> None:
    """`letterlock run` finds it and starts it once."""
    service = find_services()["portal"]
    assert service.instances(_installation(tmp_path)) == 1


def test_the_command_line_knows_it() -> None:
    """`letterlock portal --help` says what it does."""
    result = CliRunner().invoke(main, ["portal", "--help"])
    assert result.exit_code == 0
    assert "Run the recipient portal alone" in result.output


def test_it_opens_from_the_demo_configuration(tmp_path: Path) -> None:
    """Everything that relay.toml names is opened; on http the cookie and HSTS rules are the demo's."""
    configuration = _installation(tmp_path)
    app, store = open_portal(configuration)
    client = TestClient(app, base_url=configuration.portal.base_url)
    answer: httpx2.Response = client.get("/", headers={"Accept-Language": "nl"})
    assert "Beveiligde mail van" in answer.text
    assert "Strict-Transport-Security" not in answer.headers
    assert client.get("/healthz").json()["status"] in ("ok", "warning", "failing")
    store.close()


def test_the_server_tells_nothing_of_itself(tmp_path: Path) -> None:
    """No server name, no access log of its own, strict parsing, bounded headers."""
    app, store = open_portal(_installation(tmp_path))
    config = server_of(app, "127.0.0.1", 0).config
    assert (config.server_header, config.access_log, config.http) == (False, False, "h11")
    assert config.h11_max_incomplete_event_size == 16 << 10
    store.close()


@pytest.mark.parametrize(
    ("web_server", "seen"), [("127.0.0.1", "203.0.113.7"), ("10.88.0.1", "203.0.113.7"), ("10.88.0.2", "10.88.0.2")]
)
def test_who_may_name_the_client(web_server: str, seen: str) -> None:
    """A web server that relay.toml names is believed, on the far side of a container too; nobody else is."""
    networks = (ip_network("127.0.0.0/8"), ip_network("10.88.0.1"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        client = Request(scope).client
        await PlainTextResponse(client.host if client else "")(scope, receive, send)

    config = server_of(app, "127.0.0.1", 0, networks).config
    config.load()
    asked = TestClient(config.loaded_app, client=(web_server, 50000))
    assert asked.get("/", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}).text == seen


def _installation(folder: Path) -> Configuration:
    """A fresh demo installation: configuration, word lists, keys, database."""
    file = folder / "relay.toml"
    file.write_text(demo_text(folder="var"))
    for name, text in word_lists().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    configuration = load(file)
    Keyring.create(configuration.keys.folder)
    migrate(configuration.storage.database)
    return configuration
