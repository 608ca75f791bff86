"""The version of the database."""

import multiprocessing
import os
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlmodel import SQLModel

import relay.store.tables
from relay.errors import StoreError
from relay.store.engine import open_engine
from relay.store.schema import known_revisions, migrate
from relay.store.upgrading import alembic_config
from relay.store.writer import open_store


def test_migrations_make_exactly_the_tables(database_url: str) -> None:
    """What the migrations build on either database is what the tables say, without drift."""
    assert relay.store.tables.__all__
    engine = open_engine(database_url, writer=True)
    with engine.begin() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    engine.dispose()
    assert differences == []


def test_migrating_again_changes_nothing(database_url: str) -> None:
    """A second start finds the work done."""
    migrate(database_url)
    open_store(database_url).close()


def test_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """The database is created 0600 in a folder 0700."""
    file = tmp_path / "var" / "letterlock.db"
    migrate(f"sqlite:///{file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_processes_may_migrate_at_once(tmp_path: Path) -> None:
    """Several workers that start on an empty folder all find a complete database."""
    url = f"sqlite:///{tmp_path / 'letterlock.db'}"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=migrate, args=(url,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    open_store(url).close()


def test_newer_database_is_refused_and_left_alone(database_url: str) -> None:
    """A database of a later version is neither opened nor changed."""
    engine = open_engine(database_url, writer=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (migrate, open_store):
        with pytest.raises(StoreError, match="from a newer version of Letterlock \\(schema 9999\\)"):
            use(database_url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    engine.dispose()


def test_older_database_is_not_used_before_its_upgrade(tmp_path: Path) -> None:
    """A database without our tables is refused with the command that makes them."""
    sqlite3.connect(tmp_path / "letterlock.db").close()
    (tmp_path / "letterlock.db").touch()
    with pytest.raises(StoreError, match="`letterlock run` upgrades it at start"):
        open_store(f"sqlite:///{tmp_path / 'letterlock.db'}")


def test_missing_file_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    """Opening a store never creates a database where one was lost."""
    with pytest.raises(StoreError, match="is not there or cannot be opened"):
        open_store(f"sqlite:///{tmp_path / 'letterlock.db'}")
    assert not (tmp_path / "letterlock.db").exists()


def test_a_running_gateway_makes_no_new_database(tmp_path: Path) -> None:
    """Where the database is gone or empty, the start says what to do instead of serving on without its memory."""
    url = f"sqlite:///{tmp_path}/letterlock.db"
    with pytest.raises(StoreError, match="restore it from its backup"):
        migrate(url, create=False)
    assert not (tmp_path / "letterlock.db").exists()
    (tmp_path / "letterlock.db").touch(mode=0o600)
    with pytest.raises(StoreError, match="restore it from its backup"):
        migrate(url, create=False)
    migrate(url)
    migrate(url, create=False)


def test_damaged_file_says_so(sqlite_url: str, tmp_path: Path) -> None:
    """A file that is no database any more is reported as damaged, not as an internal error."""
    with (tmp_path / "letterlock.db").open("r+b") as file:
        file.write(os.urandom(4096))
    with pytest.raises(StoreError, match="damaged: stop Letterlock and restore it from a backup"):
        open_store(sqlite_url)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_other_databases_are_refused(url: str) -> None:
    """Only a SQLite file and PostgreSQL are databases of ours."""
    with pytest.raises(StoreError, match="sqlite:///FILE"):
        open_store(url)


def test_server_that_is_not_there_says_so(tmp_path: Path) -> None:
    """A PostgreSQL that does not answer is a sentence, not a traceback of the driver."""
    with pytest.raises(StoreError, match="the database does not answer"):
        open_store(f"postgresql+psycopg://letterlock@/x?host={tmp_path}")


def test_the_names_of_the_migrations_are_their_versions() -> None:
    """What is known without alembic, which takes long to import, is what alembic knows."""
    scripts = ScriptDirectory.from_config(alembic_config())
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(known_revisions()))
