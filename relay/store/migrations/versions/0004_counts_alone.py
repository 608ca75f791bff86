"""Of who wrote to whom the counts are kept, and no more: the rest was read by nobody."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("sender_count")
    for column in ("weight", "first_at", "last_at"):
        op.drop_column("pair", column)
