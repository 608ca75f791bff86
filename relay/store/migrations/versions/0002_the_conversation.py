"""What conversations need: holds, merged receipts, read marks, threads, recalls."""

import sqlalchemy as sa
from alembic import op

from relay.store.types import Bytes, Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hold",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("epoch_id", Bytes(), nullable=False),
        sa.Column("payload", Bytes(), nullable=False),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "hold_waiting",
        "hold",
        ["until"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(op.f("ix_hold_message_id"), "hold", ["message_id"], unique=False)
    op.create_table(
        "machine_thread",
        sa.Column("sender_hash", Bytes(), nullable=False),
        sa.Column("recipient_hash", Bytes(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("conversation_id", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("sender_hash", "recipient_hash", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "message_read",
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("participant_id", Bytes(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("name", Bytes(), nullable=True),
        sa.PrimaryKeyConstraint("message_id", "participant_id"),
    )
    op.create_table(
        "receipt_part",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("grouping", Bytes(), nullable=False),
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("epoch_id", Bytes(), nullable=False),
        sa.Column("payload", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_receipt_part_due_at"), "receipt_part", ["due_at"], unique=False)
    op.create_index(op.f("ix_receipt_part_grouping"), "receipt_part", ["grouping"], unique=False)
    op.create_table(
        "thread",
        sa.Column("message_id_hash", Bytes(), nullable=False),
        sa.Column("conversation_id", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("message_id_hash", "conversation_id"),
    )
    op.create_index(op.f("ix_thread_conversation_id"), "thread", ["conversation_id"], unique=False)
    op.add_column("participant", sa.Column("recalled_at", Moment(), nullable=True))
    op.add_column("participant", sa.Column("reminded_at", Moment(), nullable=True))
    op.add_column("participant", sa.Column("bounced_at", Moment(), nullable=True))
    op.add_column("sealed", sa.Column("author_id", Bytes(), nullable=True))
    op.add_column("sealed", sa.Column("to_all", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("sealed", sa.Column("notify_read", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "sealed_awaited",
        "sealed",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text("notify_read"),
        postgresql_where=sa.text("notify_read"),
    )
    op.add_column("sealed", sa.Column("answer_id", Bytes(), nullable=True))
    op.create_index(op.f("ix_sealed_answer_id"), "sealed", ["answer_id"], unique=False)
