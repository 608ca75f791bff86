"""A relay process for each test, on both databases."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.relay.intake.house import House


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """One relay process."""
    one = House(tmp_path, database_url)
    yield one
    one.close()


@pytest.fixture
def another(tmp_path: Path, database_url: str, house: House) -> Iterator[Callable[[], House]]:
    """Further relay processes beside the first."""
    opened: list[House] = [house]

    def build() -> House:
        opened.append(House(tmp_path, database_url, number=len(opened)))
        return opened[-1]

    yield build
    for one in opened[1:]:
        one.close()
