"""Both databases for every test that asks for one: a real SQLite file and a real PostgreSQL server."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from relay.store.schema import head_revision, migrate
from relay.store.writer import Store, open_store
from tests.guard import guard
from tests.postgresql import PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A private PostgreSQL server."""
    server = PostgreSQL()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database of this version, to be copied; it refuses what no queue entry may do."""
    file = tmp_path_factory.mktemp("migrated") / "letterlock.db"
    migrate(f"sqlite:///{file}")
    guard(file, beginnings=False)
    return file


@pytest.fixture(scope="session")
def migrated_database(postgresql: PostgreSQL) -> str:
    """A PostgreSQL database of this version, used by one test after the other."""
    url = postgresql.new_database()
    migrate(url)
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_file: Path) -> str:
    """A fresh SQLite database."""
    shutil.copy(migrated_file, tmp_path / "letterlock.db")
    return f"sqlite:///{tmp_path / 'letterlock.db'}"


@pytest.fixture
def postgresql_url(migrated_database: str) -> Iterator[str]:
    """An empty PostgreSQL database; emptied again afterwards, because making a new one takes ten times as long."""
    yield migrated_database
    engine = create_engine(migrated_database)
    with engine.begin() as connection:
        for table in SQLModel.metadata.sorted_tables:
            connection.execute(table.delete())
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head_revision()})
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of this version, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store on a fresh database, once of each kind."""
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def open_another(database_url: str) -> Iterator[Callable[[], Store]]:
    """More stores on the same database, as other processes would open them."""
    opened: list[Store] = []

    def another() -> Store:
        opened.append(open_store(database_url))
        return opened[-1]

    yield another
    for one in opened:
        one.close()
