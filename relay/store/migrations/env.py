"""Run by alembic: hands it the connection of relay/store/schema.py and the tables to compare with."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel import AutoString, SQLModel

import relay.store.tables  # noqa: F401 (defines the tables)
from relay.store.types import Bytes, Moment


def render(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write our own column types by their names; alembic would write them without an import."""
    if kind == "type" and isinstance(item, (Bytes, Moment)):
        return f"{item.__class__.__name__}()"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_item=render,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
