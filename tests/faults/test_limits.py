"""Descriptors and memory run out (R16): who is inside is served, nothing spins, and it heals without a restart."""

import contextlib
import resource
import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.descriptors import RESERVE
from tests.faults.shim import Shim
from tests.gateway import Gateway
from tests.letters import ANNA, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

CALLERS = 60
IDLE, SLOW = 200, 30
LARGE = 12 << 20  # octets
SPARE = 8 << 20


@contextlib.contextmanager
def limited(pid: int, what: int, limit: int) -> Iterator[None]:
    """Lower a soft limit of a process that runs, for the block."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, what, before)


def greeting(client: socket.socket) -> bytes:
    """Return the first words of the relay, empty when it hangs up."""
    client.settimeout(30)
    with contextlib.suppress(ConnectionError):
        return client.recv(100)
    return b""


def least(pid: int, port: int) -> int:
    """Return the lowest limit of descriptors under which one more caller is let in: /proc/PID/fd is for root alone."""
    refused, let_in = RESERVE, 4096
    while let_in - refused > 1:
        middle = (refused + let_in) // 2
        with limited(pid, resource.RLIMIT_NOFILE, middle), socket.create_connection(("127.0.0.1", port), 30) as one:
            is_in = greeting(one).startswith(b"220")
        refused, let_in = (refused, middle) if is_in else (middle, let_in)
    return let_in


def test_no_descriptor_is_left(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """Callers for whom none is left hear 421; sessions go on, accept is not called in a circle, then all is well."""
    relay = gateway.service_id("relay")
    soft, hard = resource.prlimit(relay, resource.RLIMIT_NOFILE)
    assert soft == min(hard, 65_536)  # by itself it takes all that it may have
    who = "descriptor@example.net"
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=30) as inside, contextlib.ExitStack() as callers:
        inside.ehlo()
        limit = least(relay, gateway.smtp)
        with limited(relay, resource.RLIMIT_NOFILE, limit + 10):
            opened = [
                callers.enter_context(socket.create_connection(("127.0.0.1", gateway.smtp), 30)) for _ in range(CALLERS)
            ]
            assert {greeting(one).split()[0] for one in opened} == {b"220", b"421"}
            accepts = shim.counted("accepts")
            assert inside.sendmail(ANNA, ["squeezed@example.net"], letter(to=["squeezed@example.net"])) == {}
            office.wait_for("squeezed@example.net")
            assert shim.counted("accepts") - accepts < 10
        with limited(relay, resource.RLIMIT_NOFILE, limit - RESERVE - 1):  # the reserve is gone as well
            for _ in range(40):
                assert inside.noop()[0] == 250
            with contextlib.suppress(smtplib.SMTPResponseException):  # 250 or 451, but an answer
                inside.sendmail(ANNA, ["pressed@example.net"], letter(to=["pressed@example.net"]))
        assert inside.noop()[0] == 250
    gateway.send(ANNA, [who], letter(to=[who]))
    office.wait_for(who)
    assert gateway.service_id("relay") == relay


def test_no_memory_is_left(gateway: Gateway, office: PostOffice) -> None:
    """A mail that does not fit is put off, small ones go on; in the end it comes once, through the same process."""
    relay = gateway.service_id("relay")
    put_off = False
    content = letter(to=["large@example.net"], text=("word " * 15 + "\r\n") * (LARGE // 77))
    status = Path(f"/proc/{relay}/status").read_text()
    [size] = [int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmSize")]
    with limited(relay, resource.RLIMIT_AS, size + SPARE):
        try:
            gateway.send(ANNA, ["large@example.net"], content)
        except smtplib.SMTPDataError as refused:
            assert refused.smtp_code in {451, 452}  # noqa: PT017  # it may just have fitted
            put_off = True
        gateway.send(ANNA, ["small@example.net"], letter(to=["small@example.net"]))
        office.wait_for("small@example.net")
    if put_off:
        gateway.send(ANNA, ["large@example.net"], content)
    assert len(office.wait_for("large@example.net")) == 1
    assert gateway.service_id("relay") == relay


def test_idle_and_slow_callers(gateway: Gateway, office: PostOffice) -> None:
    """Two hundred who say nothing and thirty who send one octet now and then: others get their mail through."""
    with contextlib.ExitStack() as callers:
        for number in range(IDLE + SLOW):
            client = callers.enter_context(socket.socket())
            client.bind((f"127.0.0.{2 + number // 90}", 0))
            client.connect(("127.0.0.1", gateway.smtp))
            assert greeting(client).startswith(b"220")
            if number >= IDLE:
                client.sendall(
                    b"EHLO slow.example\r\nMAIL FROM:<slow@example.org>\r\nRCPT TO:<a@example.net>\r\nDATA\r\nS"
                )
        for number in range(5):
            reader = f"crowd{number}@example.net"
            gateway.send(ANNA, [reader], letter(to=[reader]))
            office.wait_for(reader)
    assert not office.of("a@example.net")
