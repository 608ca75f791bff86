"""One gateway for all faults that a test process plays: it has to heal by itself, so no test starts it anew."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.shim import Shim
from tests.gateway import Gateway, running
from tests.postoffice import PostOffice

DRILL = bool(os.environ.get("LETTERLOCK_DRILL"))  # `make drill`: the same tests, longer


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
    gateway = Gateway.install(folder, office.port)
    shim = Shim(tmp_path_factory.mktemp("shim"), folder)
    gateway.environment = shim.environment
    with running(gateway):
        yield gateway, shim
    shim.close()


@pytest.fixture
def gateway(stage: tuple[Gateway, Shim]) -> Gateway:
    """The gateway."""
    return stage[0]


@pytest.fixture
def shim(stage: tuple[Gateway, Shim]) -> Shim:
    """The faults of that gateway."""
    return stage[1]


def relay_id(gateway: Gateway) -> int:
    """Return the id of the relay process: of whoever below the supervisor listens on the gateway's port."""
    port = f":{gateway.smtp:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == "0A"}
    for pid in gateway.worker_ids():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) in inodes:
                    return pid
    raise AssertionError("no relay process listens")
