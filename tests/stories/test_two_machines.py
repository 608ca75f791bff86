"""Two machines with a relay and a portal each share one PostgreSQL: either may die (`tests/drill` has the traffic)."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway import RULES, Gateway, running
from tests.letters import ANNA, JANE, NHS_NUMBER, letter
from tests.machines import further_machine
from tests.postgresql import PostgreSQL
from tests.postoffice import PostOffice
from tests.reader import Reader
from tests.stories.links import link_in

pytestmark = pytest.mark.story

CAROL = "carol@example.net"


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
    second = further_machine(tmp_path / "two", first, "two")
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


def test_two_machines_under_one_name_are_refused(machines: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    """A copied relay.toml is noticed at the start, with what to change; the running one is not disturbed."""
    one, _ = machines
    third = further_machine(tmp_path / "three", one, "one")
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
