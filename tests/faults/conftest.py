"""One gateway for all faults that a test process plays: it has to heal by itself, so no test starts it anew."""

import os
from collections.abc import Iterator

import pytest

from tests.faults.shim import Shim
from tests.gateway import RULES, Gateway, running
from tests.postoffice import PostOffice

DRILL = bool(os.environ.get("LETTERLOCK_DRILL"))  # `make drill`: the same tests, longer
LIMITS = """
[limits]
judge_time = "2s"
"""


def change(gateway: Gateway, before: str, after: str) -> None:
    """Put something else into relay.toml."""
    file = gateway.folder / "relay.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


@pytest.fixture(scope="session")
def office() -> Iterator[PostOffice]:
    """The next hop."""
    one = PostOffice()
    one.open()
    yield one
    one.end()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, office: PostOffice) -> Iterator[tuple[Gateway, Shim]]:
    """A running gateway and what can go wrong under it."""
    folder = tmp_path_factory.mktemp("gateway")
    gateway = Gateway.install(folder, office.port, rules=RULES + LIMITS)
    change(gateway, 'retry = ["1s"]', f"retry = {['1s'] * 100}")
    shim = Shim(tmp_path_factory.mktemp("shim"), folder)
    gateway.environment = shim.environment
    with running(gateway):
        yield gateway, shim
    shim.close()


@pytest.fixture
def gateway(stage: tuple[Gateway, Shim]) -> Gateway:
    """The gateway; it runs, whatever a test that failed has left behind."""
    gateway, shim = stage
    shim.end_faults()
    if gateway.process is None or gateway.process.poll() is not None:
        gateway.start()
    return gateway


@pytest.fixture
def shim(stage: tuple[Gateway, Shim]) -> Shim:
    """The faults of that gateway."""
    return stage[1]
