"""Draft the next migration: ``python -m relay.store.migrations.draft "Add a column for ..."``.

Compares the tables with what the migrations so far make, and writes the difference as a new file to be read,
corrected and committed.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command

from relay.store.engine import open_engine
from relay.store.schema import known_revisions, migrate
from relay.store.upgrading import alembic_config


def draft(message: str, folder: Path) -> None:
    """Write the next numbered migration; ``folder`` takes a throw-away database."""
    url = f"sqlite:///{folder / 'draft.db'}"
    migrate(url)
    engine = open_engine(url, writer=True)
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.revision(config, message, autogenerate=True, rev_id=f"{len(known_revisions()) + 1:04}")
    engine.dispose()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as throw_away:
        draft(" ".join(sys.argv[1:]), Path(throw_away))
