"""A partner's proven transport instead of a seal: the right certificate or nothing."""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.gateway import RULES, Gateway, running
from tests.letters import ANNA, JANE, NHS_NUMBER, letter
from tests.postoffice import PostOffice
from tests.unit.relay.queue.nexthop import ALL, NextHop

pytestmark = pytest.mark.story

RECORDS = "records@hospital.example"


class Hospital:
    """The partner's mail server, with a certificate that can be changed."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.hop = NextHop(offers=(*ALL, "STARTTLS"), tls=self._certificate("mx.hospital.example"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.hop.__aenter__(), self._loop).result(10)

    def show(self, name: str) -> None:
        """Use a certificate for another name from the next connection on."""
        self.hop.tls = self._certificate(name)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.hop.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _certificate(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    """A running partner."""
    server = Hospital()
    yield server
    server.close()


@pytest.fixture
def gateway(tmp_path: Path, world: PostOffice, hospital: Hospital) -> Iterator[Gateway]:
    """A gateway that knows the partner, and whose rule finds the partner's transport good enough."""
    hospital.authority.cert_pem.write_to_path(tmp_path / "hospital.pem")
    partner = f"""
[[partner]]
name = "hospital"
domains = ["hospital.example"]
hosts = ["127.0.0.1:{hospital.hop.port}"]
certificate = "mx.hospital.example"
authorities = "hospital.pem"
"""
    rules = RULES.replace('action = "seal"', 'action = "seal"\npartners = "enough"', 1)
    with running(Gateway.install(tmp_path, world.port, rules=partner + rules)) as started:
        yield started


def test_a_partner_gets_it_over_tls_and_jane_gets_a_link(
    gateway: Gateway, world: PostOffice, hospital: Hospital
) -> None:
    """One mail to both: the partner's copy leaves unsealed over verified TLS, Jane's is sealed, Anna is told of both."""
    said = gateway.letterlock("check")
    assert "Sends partner hospital (hospital.example)" in said
    assert "a partner's proven connection is enough" in said
    sent = letter(to=[RECORDS, JANE], text=f"NHS number {NHS_NUMBER}\n")
    gateway.send(ANNA, [RECORDS, JANE], sent)
    gateway.until(lambda: len(hospital.hop.taken) == 1)
    assert hospital.hop.taken[0].content.endswith(sent)
    assert hospital.hop.seen.count("STARTTLS") == 1
    [notice] = world.wait_for(JANE)
    assert NHS_NUMBER.encode() not in notice.content
    [receipt] = world.wait_for(ANNA)
    assert "over the proven connection to the partner hospital" in receipt.text
    assert RECORDS in receipt.text
    assert JANE in receipt.text


def test_a_wrong_certificate_gets_nothing(gateway: Gateway, world: PostOffice, hospital: Hospital) -> None:
    """While the partner shows another name nothing leaves, by no other way either; when it is right the mail arrives."""
    hospital.show("mx.elsewhere.example")
    gateway.send(ANNA, [RECORDS], letter(to=[RECORDS], text=f"NHS number {NHS_NUMBER}\n"))
    gateway.until(lambda: "TLS handshake failed" in gateway.log())
    [waiting] = json.loads(gateway.letterlock("queue", "list", "--route", "partner:hospital", "--json"))["entries"]
    assert "TLS handshake failed" in str(waiting)
    assert [line for line in hospital.hop.seen if line.startswith("MAIL")] == []
    assert world.of(RECORDS) == []
    hospital.show("mx.hospital.example")
    gateway.until(lambda: len(hospital.hop.taken) == 1, seconds=90)
