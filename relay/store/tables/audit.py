"""The audit: one hash chain per writer, and signed checkpoints over all heads (relay/store/audit.py)."""

from datetime import datetime

from sqlmodel import BigInteger, Column, Field, Index, Integer, SQLModel

from relay.store.types import Bytes, Moment


class AuditEvent(SQLModel, table=True):
    """One event. ``facts`` is canonical JSON without personal data; ``personal`` is sealed per message."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_message", "message_id", "at"), Index("audit_by_time", "at"))
    writer: bytes = Field(primary_key=True, sa_type=Bytes)
    seq: int = Field(primary_key=True)
    prev: bytes = Field(sa_type=Bytes)
    at: datetime = Field(sa_type=Moment)
    event: str
    message_id: bytes | None = Field(default=None, sa_type=Bytes)
    facts: str
    personal: bytes | None = Field(default=None, sa_type=Bytes)


class Checkpoint(SQLModel, table=True):
    """An Ed25519 signature over the heads of all chains at one moment, itself chained."""

    __tablename__ = "checkpoint"
    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    )
    at: datetime = Field(sa_type=Moment)
    prev: bytes = Field(sa_type=Bytes)
    heads: str
    signature: bytes = Field(sa_type=Bytes)
