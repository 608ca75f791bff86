"""A gateway of its own for each story."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway, running
from tests.postoffice import PostOffice


@pytest.fixture
def installed(tmp_path: Path, world: PostOffice) -> Gateway:
    """An installed gateway that is not running yet."""
    return Gateway.install(tmp_path, world)


@pytest.fixture
def gateway(installed: Gateway) -> Iterator[Gateway]:
    """A running gateway."""
    with running(installed):
        yield installed
