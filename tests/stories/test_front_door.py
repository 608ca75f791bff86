"""The front door under people who mean no good, or mean well and guess wrong, while honest mail goes on."""

import contextlib
import smtplib
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from relay.smtp.passwords import hash_password
from tests.gateway import RULES, Gateway, free_port, running
from tests.letters import ANNA, JANE, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

PASSWORD = "correct horse battery"  # of nobody
LISTENER = """
[listen.users]
address = "127.0.0.1:{port}"
tls = "starttls"
certificate = "mx.pem"
key = "mx.key"
users = "users.toml"
trusted_networks = []
"""


def with_users(folder: Path, next_hop: int, **options: Any) -> tuple[Gateway, int]:
    """Install a gateway where Anna may sign in at a second port, and return both."""
    port = free_port()
    issued = trustme.CA().issue_cert("mx.example.org")
    issued.private_key_pem.write_to_path(folder / "mx.key")
    issued.cert_chain_pems[0].write_to_path(folder / "mx.pem")
    (folder / "users.toml").write_text(f'[users.anna]\npassword = "{hash_password(PASSWORD)}"\nsenders = ["{ANNA}"]\n')
    for secret in ("mx.key", "users.toml"):
        (folder / secret).chmod(0o600)
    return Gateway.install(folder, next_hop, rules=RULES + LISTENER.format(port=port), **options), port


class House:
    """Two relay processes. Staff come from 127.0.0.1, or sign in at the port ``users``; all else are strangers."""

    def __init__(self, folder: Path, world: PostOffice) -> None:
        self.gateway, self.users = with_users(folder, world.port, workers=2, trusted="127.0.0.1/32")
        self._starts = 0

    def until_all_listen(self) -> None:
        """Wait until both processes listen at both ports."""
        self._starts += 1
        self.gateway.until(lambda: self.gateway.log().count('"event": "listening"') == 4 * self._starts)

    def connect(self, source: str) -> socket.socket:
        """Come from an address and stay."""
        return socket.create_connection(("127.0.0.1", self.gateway.smtp), 20, (source, 0))

    def greeting(self, source: str) -> tuple[str, socket.socket]:
        """Come from an address, and hear how one is greeted."""
        client = self.connect(source)
        return client.recv(500).decode(), client

    def try_password(self, source: str, password: str) -> int:
        """Sign in as Anna from an address, on a connection of its own; return the code of the answer."""
        # Closed without QUIT: after the last failure nobody is there to hear it.
        with contextlib.closing(smtplib.SMTP("127.0.0.1", self.users, "x.example", 30, (source, 0))) as client:
            client.starttls(context=ssl._create_unverified_context())  # noqa: S323
            client.ehlo()
            return client.docmd("AUTH", "PLAIN " + b64encode(f"\0anna\0{password}".encode()).decode())[0]

    def sign_in(self, source: str, password: str) -> str:
        """Let swaks send a mail of Anna's from an address, over TLS; return what both said."""
        command = ["swaks", "--server", f"127.0.0.1:{self.users}", "--local-interface", source, "--from", ANNA]
        command += ["--to", JANE, "--tls", "--auth", "PLAIN", "--auth-user", "anna", "--auth-password", password]
        command += ["--pipeline", "--header", f"From: {ANNA}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.fixture(scope="module")
def city() -> Iterator[PostOffice]:
    """The world of this module."""
    office = PostOffice()
    office.open()
    yield office
    office.end()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, city: PostOffice) -> Iterator[House]:
    """One house for all of these stories."""
    opened = House(tmp_path_factory.mktemp("house"), city)
    with running(opened.gateway):
        opened.until_all_listen()
        yield opened


def test_honest_mail_flows_past_two_hundred_idle_and_thirty_that_dribble(house: House, city: PostOffice) -> None:
    """Strangers from forty networks that say nothing, and thirty clients whose messages never end, stop no mail."""
    over = threading.Event()
    with contextlib.ExitStack() as open_:
        idle = [open_.enter_context(house.connect(f"127.9.{number % 40}.{number // 40 + 1}")) for number in range(200)]
        dribbling = [open_.enter_context(house.connect("127.0.0.1")) for _ in range(30)]
        for client in dribbling:
            client.sendall(b"EHLO x.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")

        def dribble() -> None:
            while not over.wait(0.1):
                for client in dribbling:
                    client.sendall(b"x")

        dribbler = threading.Thread(target=dribble)
        dribbler.start()
        try:
            before = len(city.of(JANE))
            sent = [letter(to=[JANE], subject=f"Honest {number}") for number in range(25)]
            for content in sent:
                house.gateway.send(ANNA, [JANE], content)
            arrived = city.wait_for(JANE, before + len(sent))[before:]
        finally:
            over.set()
            dribbler.join(20)
        assert {mail.content[-len(content) :] for mail in arrived for content in sent} >= set(sent)
        greeted = [client.recv(3) for client in (*idle, *dribbling)]
        assert greeted == [b"220"] * 230
        assert city.of("b@example.net") == []


def test_one_network_of_strangers_leaves_room_for_the_others(house: House) -> None:
    """A hundred connections from one network: most are sent away, and everybody else is greeted."""
    with contextlib.ExitStack() as open_:
        said = []
        for number in range(100):
            greeting, client = house.greeting(f"127.50.0.{number + 1}")
            open_.enter_context(client)
            said.append(greeting[:3])
        assert 2 <= said.count("220") <= 31
        assert said.count("220") + said.count("421") == 100
        for source in ("127.51.0.1", "127.0.0.1"):
            greeting, client = house.greeting(source)
            open_.enter_context(client)
            assert greeting.startswith("220 ")


def test_swaks_signs_in_over_tls(house: House, city: PostOffice) -> None:
    """STARTTLS, AUTH and pipelined commands; the trace says so in registered words, and names nobody."""
    before = len(city.of(JANE))
    said = house.sign_in("127.60.0.1", PASSWORD)
    assert "235 2.7.0 signed in" in said
    assert "250 2.0.0 Ok: queued as" in said
    mail = city.wait_for(JANE, before + 1)[before]
    received = " ".join(mail.message["Received"].split())
    assert "([127.60.0.1]) by letter.example.org (using TLSv1.3) with ESMTPSA id " in received
    assert " tls TLS_" in received.partition(" for ")[2].partition(";")[0]
    assert "anna" not in received


def test_failures_to_sign_in_count_over_processes_and_restarts(house: House) -> None:
    """After five guesses, whichever process met them, the right password is refused too, also after a restart."""
    guesses = [house.try_password("127.70.0.1", "guess") for _ in range(5)]
    assert guesses == [535] * 5
    assert [house.try_password("127.70.0.1", PASSWORD) for _ in range(4)] == [454] * 4
    house.gateway.stop()
    house.gateway.start()
    house.until_all_listen()
    assert house.try_password("127.70.0.1", PASSWORD) == 454
    assert house.try_password("127.70.0.2", PASSWORD) == 235
