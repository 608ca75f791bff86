"""What an operator keeps back; and the due index knows the destination."""

import sqlalchemy as sa
from alembic import op

from relay.store.types import Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "paused_destination",
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("domain"),
    )
    op.drop_index("entry_due", table_name="entry")
    op.create_index(
        "entry_due",
        "entry",
        ["route", "due_at", "domain"],
        unique=False,
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index(
        "entry_paused",
        "entry",
        ["domain", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'paused'"),
        postgresql_where=sa.text("state = 'paused'"),
    )
