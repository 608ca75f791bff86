"""A process that stands still, and one that is told to stop, in the middle of traffic (R7)."""

import contextlib
import os
import signal
import smtplib
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.faults.conftest import DRILL
from tests.gateway import Gateway
from tests.letters import ANNA, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

STANDSTILL = 60 if DRILL else 0  # seconds, after the health page has noticed
SENDERS = 4


def test_a_relay_that_stands_still(gateway: Gateway, office: PostOffice) -> None:
    """SIGSTOP: /healthz says that nobody answers; who waited is served when it goes on, and everything comes once."""
    names = [f"waited{number}@example.net" for number in range(SENDERS)]
    office.refusals["before@example.net"] = "451 4.7.1 later"
    gateway.send(ANNA, ["before@example.net"], letter(to=["before@example.net"]))
    relay = gateway.service_id("relay")
    health = f"http://127.0.0.1:{gateway.portal}/healthz"
    with ThreadPoolExecutor(SENDERS) as senders:
        os.kill(relay, signal.SIGSTOP)
        try:
            sent = [senders.submit(_send_patiently, gateway, name) for name in names]
            gateway.until(lambda: httpx2.get(health, timeout=30).json()["silent_listeners"] == ["submission"])
            assert httpx2.get(health, timeout=30).status_code == 503
            threading.Event().wait(STANDSTILL)
            assert not any(one.done() for one in sent)
        finally:
            os.kill(relay, signal.SIGCONT)
        for one in sent:
            one.result(60)
    del office.refusals["before@example.net"]
    for name in (*names, "before@example.net"):
        assert len(office.wait_for(name)) == 1
    assert gateway.service_id("relay") == relay
    gateway.until(lambda: httpx2.get(health, timeout=30).status_code == 200)


def test_a_stop_under_load(gateway: Gateway, office: PostOffice) -> None:
    """Nobody is ended by force, whoever heard 250 is served, nothing comes twice; the rest is told to come back."""
    accepted: set[str] = set()
    stop = threading.Event()
    threads = [
        threading.Thread(target=_send_until, args=(gateway, stop, accepted, number)) for number in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    gateway.until(lambda: len(accepted) > 3 * SENDERS)
    gateway.stop()
    stop.set()
    for thread in threads:
        thread.join(20)
    gateway.start()
    for reader in accepted:
        office.wait_for(reader)
    copies = [mail.recipients[0] for mail in office.delivered if mail.recipients[0].startswith("load-")]
    assert sorted(copies) == sorted(set(copies))
    assert accepted <= set(copies)


def _send_patiently(gateway: Gateway, name: str) -> None:
    """Send as a mail server does, which waits five minutes for a greeting (RFC 5321 section 4.5.3.2.1)."""
    with smtplib.SMTP("127.0.0.1", gateway.smtp, local_hostname="desk.example.org", timeout=300) as client:
        client.sendmail(ANNA, [name], letter(to=[name]))


def _send_until(gateway: Gateway, stop: threading.Event, accepted: set[str], sender: int) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        reader = f"load-{sender}-{number}@example.net"
        with contextlib.suppress(OSError, smtplib.SMTPException):
            gateway.send(ANNA, [reader], letter(to=[reader]))
            accepted.add(reader)
