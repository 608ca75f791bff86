"""Mail of ours to a partner's people leaves by the partner's route, like everything else to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.store.tables.queue import Kind
from tests.letters import ANNA, letter
from tests.unit.relay.intake.house import RULES, House

CLERK = "clerk@hospital.example"
HOSPITAL = """
[[partner]]
name = "hospital"
domains = ["hospital.example"]
hosts = ["mx.hospital.example:25"]
"""


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """One relay process that knows a partner; its rules take no partner's transport for enough."""
    one = House(tmp_path, database_url, HOSPITAL + RULES)
    yield one
    one.close()


def test_the_notice_of_what_was_sealed_takes_the_partners_route(house: House) -> None:
    """While the partner's certificate is wrong not even a link leaves another way (docs/decisions/0024)."""
    assert house.take(ANNA, [CLERK], letter(to=[CLERK], text="asthma")).code == 250
    assert [one.route for one in house.posted(Kind.NOTICE)] == ["partner:hospital"]


def test_the_report_of_what_was_refused_takes_the_partners_route(house: House) -> None:
    """A partner's mail that is accepted for one and refused for another is reported to the partner's own server."""
    to = ["bob@example.org", "ann@never.example"]
    assert house.take(CLERK, to, letter(to=to, sender=CLERK, text="hello")).code == 250
    assert [one.route for one in house.posted(Kind.DSN)] == ["partner:hospital"]
