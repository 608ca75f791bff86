"""The queue's fixtures: a yard on a fresh SQLite file, and one on each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.store.writer import Store, open_store
from tests.unit.relay.queue.yard import Yard


@pytest.fixture
def yard(sqlite_url: str, tmp_path: Path) -> Iterator[Yard]:
    """A queue on SQLite."""
    store = open_store(sqlite_url)
    yield Yard.build(store, tmp_path)
    store.close()


@pytest.fixture
def any_yard(store: Store, tmp_path: Path) -> Yard:
    """A queue, once on each kind of database."""
    return Yard.build(store, tmp_path)
