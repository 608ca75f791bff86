"""A letter that is late is not lost, and its sender is told once."""

import json

import pytest

from tests.gateway import Gateway, running
from tests.letters import ANNA, JANE, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story


def attempts(gateway: Gateway, queue_id: str) -> int:
    """How often the gateway has tried to deliver."""
    [entry] = json.loads(gateway.letterlock("queue", "show", queue_id, "--json"))
    return int(entry["attempts"])


def test_the_sender_is_told_once_that_a_letter_is_late(installed: Gateway, world: PostOffice) -> None:
    """While Jane's server asks to wait, Anna gets one report of the delay; then the letter arrives after all."""
    file = installed.folder / "relay.toml"
    file.write_text(file.read_text().replace('retry = ["1s"]', 'retry = ["1s"]\nwarn_after = "1s"'))
    world.refusals[JANE] = "451 4.7.1 come back later"
    with running(installed):
        queue_id = installed.send(ANNA, [JANE], letter(to=[JANE])).split()[-1]
        [report] = world.wait_for(ANNA)
        assert report.message.get_content_type() == "multipart/report"
        assert b"Action: delayed" in report.content
        assert b"come back later" in report.content
        told = attempts(installed, queue_id)
        installed.until(lambda: attempts(installed, queue_id) > told + 1)
        del world.refusals[JANE]
        world.wait_for(JANE)
    assert len(world.of(ANNA)) == 1
