"""Alembic, which brings a database up to this version: apart from the rest, because importing it takes a while."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from relay.store.schema import MIGRATIONS


def upgrade(connection: Connection) -> None:
    """Run what is missing of the migrations in the transaction of ``connection``; SQLAlchemyError leaves."""
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Return alembic's configuration for our one line of migrations; the caller adds the connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
