"""What was acknowledged is never lost when a whole gateway goes at once (`tests/drill` goes place by place)."""

import os
import signal
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway, running
from tests.letters import ANNA, JANE, NHS_NUMBER, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story


@pytest.fixture
def gateway(installed: Gateway) -> Iterator[Gateway]:
    """A gateway that a test may kill and start again."""
    with running(installed):
        yield installed


def test_between_250_and_delivery(gateway: Gateway, world: PostOffice) -> None:
    """The next hop is down, the letters are accepted, the power goes: after the restart they arrive, once each."""
    world.close()
    clean = [letter(to=[JANE], text=f"Letter {number}\n") for number in range(10)]
    flagged = letter(to=["carol@example.net"], text=f"NHS number {NHS_NUMBER}\n")
    for sent in clean:
        gateway.send(ANNA, [JANE], sent)
    gateway.send(ANNA, ["carol@example.net"], flagged)
    gateway.kill()
    world.open()
    gateway.start()
    arrived = world.wait_for(JANE, 10)
    assert len(arrived) == 10
    for sent in clean:
        assert sum(mail.content.endswith(sent) for mail in arrived) == 1
    [notice] = world.wait_for("carol@example.net")
    assert NHS_NUMBER.encode() not in notice.content


def test_killed_workers_come_back_by_themselves(gateway: Gateway, world: PostOffice) -> None:
    """One process dies: the supervisor starts it again, and mail flows."""
    [victim, *_] = gateway.worker_ids()
    os.kill(victim, signal.SIGKILL)
    gateway.until(lambda: victim not in gateway.worker_ids() and len(gateway.worker_ids()) >= 2)
    gateway.until(lambda: _goes_through(gateway))
    world.wait_for(JANE)


def test_a_relay_process_keeps_to_a_core_and_its_helper_roams(gateway: Gateway) -> None:
    """The threads of a relay process share one core's caches; documents are read wherever there is room."""
    relay = gateway.service_id("relay")
    threads = [int(thread.name) for thread in Path(f"/proc/{relay}/task").iterdir()]
    [cores] = {frozenset(os.sched_getaffinity(thread)) for thread in threads}
    assert len(cores) == 1
    helpers = Path(f"/proc/{relay}/task/{relay}/children").read_text().split()
    assert helpers
    assert {frozenset(os.sched_getaffinity(int(helper))) for helper in helpers} == {frozenset(os.sched_getaffinity(0))}


def _goes_through(gateway: Gateway) -> bool:
    try:
        gateway.send(ANNA, [JANE], letter(to=[JANE]))
    except (OSError, smtplib.SMTPException):
        return False
    return True
