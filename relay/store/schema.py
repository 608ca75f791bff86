"""The version of the database: brought up to date at start, refused when it is newer than this program.

There is no way down: an older Letterlock could misread what a newer one wrote. Who must go back restores the
backup made before the upgrade.
"""

import os
from functools import cache
from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from relay.durable import give_to_owner_of, make_folder, sync_folder
from relay.errors import StoreError
from relay.store.engine import database_file, open_engine
from relay.store.faults import translate
from relay.store.gate import Gate, gate_file

MIGRATIONS = Path(__file__).with_name("migrations")
"""One file for each version, whose name begins with it."""

_GATE_SECONDS = 30.0  # for processes that write to the same file, one of which may stand still
_MIGRATION_LOCK = 0x4C4C4D31  # of pg_advisory_xact_lock: one process migrates, the others find the work done


def migrate(url: str, *, create: bool = True) -> None:
    """Create the database's tables or bring them up to this version; several processes may call it at once.

    A missing SQLite file is created, readable by its owner only. Without ``create`` a database that is missing or
    empty is an error: a gateway that served on would not know what it has sealed and what waits. Raises StoreError
    then, or when the database does not answer or comes from a newer version; nothing is changed.
    """
    file = database_file(url)
    if file is not None:
        if not create and not file.exists():
            raise StoreError(_missing(str(file)))
        _create_file(file)
    gate = Gate(gate_file(file))
    engine = open_engine(url, writer=True)
    try:
        with gate.held(_GATE_SECONDS), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            current = _revision(connection)
            _refuse_newer(current)
            if current is None and not create:
                raise StoreError(_missing(engine.url.render_as_string(hide_password=True)))
            if current != head_revision():
                # Only now: importing alembic takes as long as a short command.
                import_module("relay.store.upgrading").upgrade(connection)
    except SQLAlchemyError as error:
        raise translate(error) from error
    finally:
        engine.dispose()
        gate.close()


def _missing(database: str) -> str:
    return (
        f"the database {database} is missing or empty: restore it from its backup; "
        "only for a fresh start, `letterlock init` makes a new one"
    )


def holds_messages(url: str) -> bool:
    """Tell whether a database exists and holds anything that was accepted; False where it has no tables yet."""
    file = database_file(url)
    if file is not None and not file.exists():
        return False
    engine = open_engine(url, writer=False)
    try:
        with engine.connect() as connection:
            if _revision(connection) is None:
                return False
            return connection.execute(text("SELECT 1 FROM message LIMIT 1")).first() is not None
    except SQLAlchemyError as error:
        raise translate(error) from error
    finally:
        engine.dispose()


def check_schema(engine: Engine) -> None:
    """Raise StoreError unless the database is exactly of this version."""
    try:
        with engine.connect() as connection:
            current = _revision(connection)
    except SQLAlchemyError as error:
        raise translate(error) from error
    _refuse_newer(current)
    if current != head_revision():
        raise StoreError("the database is from an older version of Letterlock: `letterlock run` upgrades it at start")


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the schema versions that this program knows, the oldest first."""
    return tuple(sorted(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")))


def head_revision() -> str:
    """Return the schema version that this program makes and uses."""
    return known_revisions()[-1]


def _revision(connection: Connection) -> str | None:
    """Return the version that the database has, None where it has no tables yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _refuse_newer(current: str | None) -> None:
    if current is not None and current not in known_revisions():
        raise StoreError(
            f"the database is from a newer version of Letterlock (schema {current}): install that version, "
            "or restore the backup made before the upgrade"
        )


def _create_file(file: Path) -> None:
    try:
        make_folder(file.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            descriptor = os.open(file, flags | os.O_EXCL, 0o600)
        except FileExistsError:  # it may be a link, too, to where an administrator wants it
            os.close(os.open(file, flags, 0o600))
        else:
            try:
                give_to_owner_of(file.parent, descriptor)
            finally:
                os.close(descriptor)
        sync_folder(file.parent)  # the file's name must survive a power cut as well as its content
    except OSError as error:
        raise StoreError(f"the database file {file} cannot be made or written: {error.strerror}") from error
