"""Two machines with a relay and a portal each share one PostgreSQL: either may die."""

import re
import smtplib
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway import RULES, Gateway, free_port, running
from tests.letters import ANNA, JANE, NHS_NUMBER, letter
from tests.postgresql import PostgreSQL
from tests.postoffice import PostOffice
from tests.reader import Reader
from tests.stories.links import link_in

pytestmark = pytest.mark.story

CAROL = "carol@example.net"


def settle(folder: Path, first: Gateway, machine: str) -> Gateway:
    """Install one more machine: the relay.toml of the first with another name and other ports, nothing else."""
    smtp, portal = free_port(), free_port()
    text = (first.folder / "relay.toml").read_text()
    text = text.replace(f'"127.0.0.1:{first.smtp}"', f'"127.0.0.1:{smtp}"')
    text = text.replace(f'listen = "127.0.0.1:{first.portal}"', f'listen = "127.0.0.1:{portal}"')
    text = re.sub(r'machine = ".*"', f'machine = "{machine}"', text)
    folder.mkdir(exist_ok=True)
    (folder / "relay.toml").write_text(text)
    return Gateway(folder, smtp, portal)


@pytest.fixture
def machines(tmp_path: Path, world: PostOffice, server: PostgreSQL) -> Iterator[tuple[Gateway, Gateway]]:
    """Two running machines; keys and blobs lie in a folder that both see, as on a shared file system."""
    one = tmp_path / "one"
    one.mkdir()
    first = Gateway.install(one, world.port, rules=RULES, database=server.new_database())
    text = (one / "relay.toml").read_text()
    text = text.replace("workers = 1", 'workers = 1\nmachine = "one"')
    text = text.replace('"var/', f'"{one / "var"}/')
    (one / "relay.toml").write_text(text)
    second = settle(tmp_path / "two", first, "two")
    for gateway in (first, second):
        # Both serve one address; here, without a proxy in front, it is the port of the second.
        file = gateway.folder / "relay.toml"
        file.write_text(re.sub(r"http://127.0.0.1:\d+", f"http://127.0.0.1:{second.portal}", file.read_text()))
    with running(first), running(second):
        yield first, second


def test_what_one_machine_accepted_the_other_delivers(
    machines: tuple[Gateway, Gateway], world: PostOffice, reader: Callable[[str], Reader]
) -> None:
    """The next hop is down, both accept, one dies: the other delivers all of it once, and its portal opens the link."""
    one, two = machines
    world.close()
    marks = [f"mark {number}" for number in range(16)]
    for mark, gateway in zip(marks, [one, two] * 8, strict=True):
        gateway.send(ANNA, [JANE], letter(to=[JANE], subject=mark))
    one.send(ANNA, [CAROL], letter(to=[CAROL], text=f"NHS number {NHS_NUMBER}\n"))
    one.kill()
    world.open()
    arrived = world.wait_for(JANE, len(marks), seconds=60)
    assert sorted(str(mail.message["Subject"]) for mail in arrived) == sorted(marks)
    carol = reader(link_in(world.wait_for(CAROL)[0]))
    carol.ask_for_code()
    page = carol.enter(carol.code_in(world.wait_for(CAROL, 2)[1].text))
    assert NHS_NUMBER in page
    two.letterlock("audit", "verify")


def test_a_machine_dies_under_traffic(machines: tuple[Gateway, Gateway], world: PostOffice) -> None:
    """Clients send to both without pause while one is killed: every 250 was true, and no mail comes more than twice.

    A second copy exists only of what was on its way when the power went (R3).
    """
    one, two = machines
    accepted: set[str] = set()
    stop = threading.Event()
    senders = [
        threading.Thread(target=send_until, args=(gateway, stop, accepted, f"{gateway.smtp}-{number}"))
        for gateway in machines
        for number in range(3)
    ]
    for sender in senders:
        sender.start()
    one.until(lambda: len(accepted) > 20)
    one.kill()
    before = len(accepted)
    two.until(lambda: len(accepted) > before + 20)
    stop.set()
    for sender in senders:
        sender.join(30)
    two.until(lambda: accepted <= set(marks_in(world)), seconds=60)
    copies = Counter(marks_in(world))
    assert max(copies.values()) <= 2
    assert sum(copies.values()) - len(copies) <= 6


def test_two_machines_under_one_name_are_refused(machines: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    """A copied relay.toml is noticed at the start, with what to change; the running one is not disturbed."""
    one, _ = machines
    third = settle(tmp_path / "three", one, "one")
    done = subprocess.run(
        [Path(sys.executable).parent / "letterlock", "run"],
        cwd=third.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "give each machine a name of its own ([gateway] machine)" in done.stderr
    assert "Traceback" not in done.stderr
    one.send(ANNA, [JANE], letter(to=[JANE]))


def send_until(gateway: Gateway, stop: threading.Event, accepted: set[str], name: str) -> None:
    """Send letters over and over; remember those that were acknowledged."""
    number = 0
    while not stop.is_set():
        mark = f"{name}-{number}"
        number += 1
        try:
            gateway.send(ANNA, [JANE], letter(to=[JANE], subject=f"mark {mark}"))
        except (OSError, smtplib.SMTPException):
            stop.wait(0.05)  # the machine is gone: no busy loop
            continue
        accepted.add(mark)


def marks_in(world: PostOffice) -> list[str]:
    """The marks of all letters that arrived."""
    return [str(mail.message["Subject"]).removeprefix("mark ") for mail in world.of(JANE)]
