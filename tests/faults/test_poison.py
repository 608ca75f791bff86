"""Three kinds of poison among many good letters (R9): what breaks its reader is sealed, and holds nobody up."""

import os
import resource
import signal
import smtplib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.conftest import DRILL
from tests.gateway import Gateway
from tests.letters import ANNA, XLSX, letter, spreadsheet
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

Send = Callable[..., Future[str]]
GOOD = 10_000 if DRILL else 150
CONNECTIONS = 4


def with_table(reader: str) -> bytes:
    """A letter whose attachment has to be read by the confined helper."""
    return letter(to=[reader], attachments=[("table.xlsx", XLSX, spreadsheet([["a", "b"]]))])


def with_large_table(reader: str) -> bytes:
    """One whose attachment takes some memory."""
    return letter(to=[reader], attachments=[("table.xlsx.csv", "text/csv", b"a,b\r\n" * 1_000_000)])


def helper_of(gateway: Gateway) -> int:
    """Return the process id of the relay's helper."""
    relay = gateway.service_id("relay")
    for task in Path(f"/proc/{relay}/task").iterdir():
        for pid in map(int, (task / "children").read_text().split()):
            if b"relay.message.extraction" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    raise AssertionError("no helper runs")


def is_judging(gateway: Gateway) -> bool:
    """Say whether a message is being read or judged: its fingerprint stands in the relay's notes."""
    [notes] = (gateway.folder / "var/blobs/reading").glob("*.reading")
    return any(notes.read_bytes())


def crash(gateway: Gateway, sent: Send) -> None:
    """The helper dies over the document."""
    helper = helper_of(gateway)
    os.kill(helper, signal.SIGSTOP)
    answer = sent()
    gateway.until(lambda: is_judging(gateway))
    os.kill(helper, signal.SIGKILL)
    answer.result(60)


def hang(gateway: Gateway, sent: Send) -> None:
    """The helper does not come to an end."""
    os.kill(helper_of(gateway), signal.SIGSTOP)
    sent().result(60)


def hog(gateway: Gateway, sent: Send) -> None:
    """The helper gets no memory for the document."""
    resource.prlimit(helper_of(gateway), resource.RLIMIT_AS, (1 << 20, 1 << 20))
    sent(with_large_table).result(60)


def test_poison_among_good_letters(gateway: Gateway, office: PostOffice) -> None:
    """Crash, time-out and want of memory: each is sealed for its reader with the reason; every good letter arrives once."""
    relay = gateway.service_id("relay")
    good = [f"good{number}@example.net" for number in range(GOOD)]
    with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
        flowing = [pool.submit(_send_all, gateway, good[number::CONNECTIONS]) for number in range(CONNECTIONS)]
        for poison in (crash, hang, hog):
            harmless, reader = f"table-{poison.__name__}@example.net", f"{poison.__name__}@example.net"
            gateway.send(ANNA, [harmless], with_table(harmless))  # and there is a helper again

            def send(content: Callable[[str], bytes] = with_table, reader: str = reader) -> Future[str]:
                return pool.submit(gateway.send, ANNA, [reader], content(reader))

            poison(gateway, send)
        for one in flowing:
            one.result()
    for reader in good:
        assert len(office.wait_for(reader)) == 1
    for poison in (crash, hang, hog):
        [table] = office.wait_for(f"table-{poison.__name__}@example.net")
        assert b"table.xlsx" in table.content
        [notice] = office.wait_for(f"{poison.__name__}@example.net")
        assert b"table.xlsx" not in notice.content
        assert "/p/" in notice.text
    gateway.until(lambda: len([one for one in office.of(ANNA) if "table.xlsx" in one.text]) >= 3)
    assert gateway.service_id("relay") == relay


def _send_all(gateway: Gateway, readers: list[str]) -> None:
    with smtplib.SMTP("127.0.0.1", gateway.smtp, local_hostname="desk.example.org", timeout=60) as client:
        for reader in readers:
            client.sendmail(ANNA, [reader], letter(to=[reader]))
