"""What was acknowledged is never lost, whatever happens to the machine."""

import os
import random
import signal
import smtplib
import threading
from collections.abc import Iterator

import pytest

from tests.gateway import Gateway, running
from tests.letters import ANNA, JANE, NHS_NUMBER, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

# `make drill` repeats the cut many more times.
CUTS = 60 if os.environ.get("LETTERLOCK_DRILL") else 4
SENDERS = 6


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


def test_in_the_middle_of_group_commits(gateway: Gateway, world: PostOffice) -> None:
    """Six clients send without pause while everything is killed at random moments: each 250 was true.

    A letter may arrive twice only if the cut came between its final dot and our record of it (R3), so duplicates
    are bounded by what was on its way when the power went.
    """
    accepted: set[str] = set()
    for cut in range(CUTS):
        stop = threading.Event()
        threads = [
            threading.Thread(target=_send_until, args=(gateway, stop, accepted, f"{cut}-{number}"))
            for number in range(SENDERS)
        ]
        for thread in threads:
            thread.start()
        stop.wait(random.Random(cut).uniform(0.3, 1.0))  # the moment of the cut
        gateway.kill()
        stop.set()
        for thread in threads:
            thread.join(20)
        gateway.start()
    assert len(accepted) > CUTS
    gateway.until(lambda: accepted <= _marks(world), seconds=60)
    copies = [mail.content for mail in world.of(JANE)]
    assert len(copies) - len(set(_marks(world))) <= CUTS * SENDERS * 2


def test_killed_workers_come_back_by_themselves(gateway: Gateway, world: PostOffice) -> None:
    """One process dies: the supervisor starts it again, and mail flows."""
    [victim, *_] = gateway.worker_ids()
    os.kill(victim, signal.SIGKILL)
    gateway.until(lambda: victim not in gateway.worker_ids() and len(gateway.worker_ids()) >= 2)
    gateway.until(lambda: _goes_through(gateway))
    world.wait_for(JANE)


def _goes_through(gateway: Gateway) -> bool:
    try:
        gateway.send(ANNA, [JANE], letter(to=[JANE]))
    except (OSError, smtplib.SMTPException):
        return False
    return True


def _send_until(gateway: Gateway, stop: threading.Event, accepted: set[str], name: str) -> None:
    """Send letters over and over; remember those that were acknowledged."""
    number = 0
    while not stop.is_set():
        mark = f"{name}-{number}"
        number += 1
        try:
            gateway.send(ANNA, [JANE], letter(to=[JANE], subject=f"mark {mark}"))
        except (OSError, smtplib.SMTPException):
            continue
        accepted.add(mark)


def _marks(world: PostOffice) -> set[str]:
    return {str(mail.message["Subject"]).removeprefix("mark ") for mail in world.of(JANE)}
