"""Two relays on one SQLite file, one of which stands still while it holds the gate: the other says so and goes on."""

import os
import signal
import smtplib
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx2
import pytest

from tests.drill.house import PATIENCE, House
from tests.drill.stable import Life, Stable
from tests.gateway import Gateway, wait_for_port
from tests.letters import ANNA, JANE, letter

pytestmark = pytest.mark.story

DRILL = bool(os.environ.get("LETTERLOCK_DRILL"))
HURRY = 1 if DRILL else 50
NOT_NOW = "not-now@example.net"
AFTER = "after@example.net"


@pytest.fixture(scope="module")
def stable() -> Iterator[Stable]:
    """A warm process that the relays are forked from."""
    with Stable() as warm:
        yield warm


@pytest.fixture
def house(stable: Stable, tmp_path: Path) -> Iterator[House]:
    """Two relays, each with a port of its own, on one SQLite file; nothing runs yet."""
    built = House.build(tmp_path, stable, machines=2)
    yield built
    built.close()


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL])
def test_a_relay_that_stands_still_inside_the_gate(house: House, end: signal.Signals) -> None:
    """The other one answers 451, commits nothing of that, and goes on when the first does, or has ended.

    The letter that was being written in the gate is sent again by its client, and comes once.
    """
    good, stuck = house.machines
    house.lives[0] = house.begin("relay", 0, hurry=HURRY)
    house.portal = house.begin("portal", 0, hurry=HURRY)
    for port in (good.smtp, good.portal):
        wait_for_port(port, log=house.log)
    life = house.lives[1] = house.begin("relay", 1, fail_at="stop plan: audit written")
    wait_for_port(stuck.smtp, log=house.log)
    content = letter(to=[JANE])
    _send_and_hang_up(stuck, life, content)

    for reader, again in ((NOT_NOW, letter(to=[NOT_NOW])), (JANE, content)):
        with pytest.raises(smtplib.SMTPDataError) as refused:
            good.send(ANNA, [reader], again)
        assert refused.value.smtp_code == 451
        assert isinstance(refused.value.smtp_error, bytes)
        assert refused.value.smtp_error.startswith(b"4.3.0")
    health = httpx2.get(f"http://127.0.0.1:{good.portal}/healthz", timeout=30)
    assert health.status_code == 503
    assert any("database" in problem for problem in health.json()["problems"]), health.json()

    life.signal(end)
    good.send(ANNA, [JANE], content)
    good.send(ANNA, [AFTER], letter(to=[AFTER]))
    house.sink.until(lambda copies: {copy.recipient for copy in copies} >= {JANE, AFTER}, "the letters come")
    house.until_sent()
    assert sorted(copy.recipient for copy in house.sink.copies) == sorted([AFTER, JANE])
    assert httpx2.get(f"http://127.0.0.1:{good.portal}/healthz", timeout=30).status_code == 200


def _send_and_hang_up(gateway: Gateway, life: Life, content: bytes) -> None:
    """Hand over a letter; when the relay stands still over it, lose patience before its answer."""
    with smtplib.SMTP("127.0.0.1", gateway.smtp, local_hostname="desk.example.org", timeout=30) as client:
        client.ehlo()
        client.mail(ANNA)
        client.rcpt(JANE)
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(content + b".\r\n")
        deadline = monotonic() + PATIENCE
        while Path(f"/proc/{life.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            assert monotonic() < deadline, gateway.log()
            sleep(0.01)  # between looks at another process
        client.close()
