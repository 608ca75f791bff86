"""A gateway of its own for each story."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway, running
from tests.postgresql import PostgreSQL
from tests.postoffice import PostOffice
from tests.reader import Reader


@pytest.fixture
def installed(tmp_path: Path, world: PostOffice) -> Gateway:
    """An installed gateway that is not running yet."""
    return Gateway.install(tmp_path, world.port)


@pytest.fixture
def gateway(installed: Gateway) -> Iterator[Gateway]:
    """A running gateway."""
    with running(installed):
        yield installed


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of a module's own."""
    postgresql = PostgreSQL()
    yield postgresql
    postgresql.stop()


@pytest.fixture
def reader() -> Iterator[Callable[[str], Reader]]:
    """Somebody who got a link: `reader(link)`; every call is another person with a browser of their own."""
    people: list[Reader] = []

    def with_link(link: str) -> Reader:
        people.append(Reader(link))
        return people[-1]

    yield with_link
    for person in people:
        person.client.close()
