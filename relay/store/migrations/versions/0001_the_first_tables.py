"""The first tables."""

import sqlalchemy as sa
from alembic import op

from relay.store.types import Bytes, Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915  # one statement a table and index
    op.create_table(
        "audit",
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("prev", Bytes(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("message_id", Bytes(), nullable=True),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("personal", Bytes(), nullable=True),
        sa.PrimaryKeyConstraint("writer", "seq"),
    )
    op.create_index("audit_by_message", "audit", ["message_id", "at"], unique=False)
    op.create_index("audit_by_time", "audit", ["at"], unique=False)
    op.create_table(
        "audit_key",
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("wrapped", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "blob",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("blob_by_state", "blob", ["state", "changed_at"], unique=False)
    op.create_table(
        "checkpoint",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("prev", Bytes(), nullable=False),
        sa.Column("heads", sa.String(), nullable=False),
        sa.Column("signature", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "code",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("link_id", Bytes(), nullable=False),
        sa.Column("mac", Bytes(), nullable=False),
        sa.Column("sealed", Bytes(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("sent_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_code_link_id"), "code", ["link_id"], unique=False)
    op.create_table(
        "conversation",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("root_hash", Bytes(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_conversation_root_hash"), "conversation", ["root_hash"], unique=False)
    op.create_table(
        "decision",
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("recipient_hash", Bytes(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("inside", sa.Boolean(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("rules", sa.String(), nullable=False),
        sa.Column("shadow", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "position"),
    )
    op.create_index("decision_by_time", "decision", ["at"], unique=False)
    op.create_table(
        "entry",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("recipient_hash", Bytes(), nullable=False),
        sa.Column("envelope", Bytes(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", Bytes(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("warned_at", Moment(), nullable=True),
        sa.Column("last_code", sa.Integer(), nullable=True),
        sa.Column("last_reply", Bytes(), nullable=True),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("participant_id", Bytes(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "entry_by_reader",
        "entry",
        ["participant_id", "created_at"],
        unique=False,
        sqlite_where=sa.text("participant_id IS NOT NULL"),
        postgresql_where=sa.text("participant_id IS NOT NULL"),
    )
    op.create_index(
        "entry_due",
        "entry",
        ["route", "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index(
        "entry_leased",
        "entry",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(op.f("ix_entry_message_id"), "entry", ["message_id"], unique=False)
    op.create_table(
        "key",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("conversation_id", Bytes(), nullable=False),
        sa.Column("participant_id", Bytes(), nullable=False),
        sa.Column("pk", Bytes(), nullable=False),
        sa.Column("mac", Bytes(), nullable=False),
        sa.Column("mac_version", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("revoked_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pk"),
    )
    op.create_index(op.f("ix_key_conversation_id"), "key", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_key_participant_id"), "key", ["participant_id"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("parent", Bytes(), nullable=True),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("accepted_at", Moment(), nullable=False),
        sa.Column("message_id_hash", Bytes(), nullable=True),
        sa.Column("message_key", Bytes(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("envelope", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_message_message_id_hash"), "message", ["message_id_hash"], unique=False)
    op.create_index(op.f("ix_message_message_key"), "message", ["message_key"], unique=False)
    op.create_index(op.f("ix_message_parent"), "message", ["parent"], unique=False)
    op.create_index("message_by_accepted", "message", ["accepted_at"], unique=False)
    op.create_table(
        "meta",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "observation",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("sender", Bytes(), nullable=False),
        sa.Column("data", Bytes(), nullable=False),
        sa.Column("folded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(
        "observation_order",
        "observation",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("NOT folded"),
        postgresql_where=sa.text("NOT folded"),
    )
    op.create_index(
        "observation_tail",
        "observation",
        ["sender"],
        unique=False,
        sqlite_where=sa.text("NOT folded"),
        postgresql_where=sa.text("NOT folded"),
    )
    op.create_table(
        "pair",
        sa.Column("sender", Bytes(), nullable=False),
        sa.Column("recipient", Bytes(), nullable=False),
        sa.Column("sent", sa.Float(), nullable=False),
        sa.Column("received", sa.Float(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("first_at", Moment(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "recipient"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "part",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("content", Bytes(), nullable=True),
        sa.Column("blob_id", Bytes(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_part_message_id"), "part", ["message_id"], unique=False)
    op.create_table(
        "participant",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("conversation_id", Bytes(), nullable=False),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("address", Bytes(), nullable=False),
        sa.Column("address_hash", Bytes(), nullable=False),
        sa.Column("mac", Bytes(), nullable=False),
        sa.Column("mac_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("notified_at", Moment(), nullable=True),
        sa.Column("opened_at", Moment(), nullable=True),
        sa.Column("read_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_participant_address_hash"), "participant", ["address_hash"], unique=False)
    op.create_index(op.f("ix_participant_conversation_id"), "participant", ["conversation_id"], unique=False)
    op.create_table(
        "portal_request",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("item", Bytes(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_portal_request_created_at"), "portal_request", ["created_at"], unique=False)
    op.create_table(
        "sealed",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("conversation_id", Bytes(), nullable=False),
        sa.Column("header", Bytes(), nullable=False),
        sa.Column("kek_id", Bytes(), nullable=False),
        sa.Column("wrapped", Bytes(), nullable=False),
        sa.Column("manifest_part", Bytes(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_sealed_conversation_id"), "sealed", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_sealed_kek_id"), "sealed", ["kek_id"], unique=False)
    op.create_index("sealed_by_expiry", "sealed", ["state", "expires_at"], unique=False)
    op.create_table(
        "sender_count",
        sa.Column("sender", Bytes(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("contacts", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sender"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spool",
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("epoch_id", Bytes(), nullable=False),
        sa.Column("content", Bytes(), nullable=True),
        sa.Column("blob_id", Bytes(), nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
    )
    op.create_index(op.f("ix_spool_epoch_id"), "spool", ["epoch_id"], unique=False)
    op.create_table(
        "stanza",
        sa.Column("message_id", Bytes(), nullable=False),
        sa.Column("key_id", Bytes(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("ct", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "key_id"),
    )
    op.create_index(op.f("ix_stanza_key_id"), "stanza", ["key_id"], unique=False)
    op.create_table(
        "throttle",
        sa.Column("bucket", Bytes(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("bucket"),
    )
    op.create_index("throttle_by_end", "throttle", ["until"], unique=False)
    op.create_table(
        "visit",
        sa.Column("id", Bytes(), nullable=False),
        sa.Column("link_id", Bytes(), nullable=False),
        sa.Column("conversation_id", Bytes(), nullable=False),
        sa.Column("participant_id", Bytes(), nullable=False),
        sa.Column("link_key", Bytes(), nullable=False),
        sa.Column("name", Bytes(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_visit_link_id"), "visit", ["link_id"], unique=False)
