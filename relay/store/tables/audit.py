"""The audit: one hash chain per writer, and signed checkpoints over all heads (relay/store/audit.py)."""

from datetime import datetime

from sqlmodel import BigInteger, Field, Index, SQLModel

from relay.store.types import Bytes, Moment


class AuditEvent(SQLModel, table=True):
    """One event. ``facts`` is canonical JSON without personal data; ``personal`` is sealed per message."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_by_message", "message_id", "at"), Index("audit_by_time", "at"))
    writer: str = Field(primary_key=True)  # "relay-0", "portal-0", "cli": one chain each, over restarts
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    prev: bytes = Field(sa_type=Bytes)
    at: datetime = Field(sa_type=Moment)
    event: str
    message_id: bytes | None = Field(default=None, sa_type=Bytes)
    facts: str
    personal: bytes | None = Field(default=None, sa_type=Bytes)


class AuditKey(SQLModel, table=True):
    """The key of one event's personal facts, wrapped; without this row they are unreadable for ever."""

    __tablename__ = "audit_key"
    __table_args__ = {"sqlite_with_rowid": False}
    message_id: bytes = Field(primary_key=True, sa_type=Bytes)
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    wrapped: bytes = Field(sa_type=Bytes)


class Checkpoint(SQLModel, table=True):
    """An Ed25519 signature over the heads of all chains at one moment, itself chained."""

    __tablename__ = "checkpoint"
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    at: datetime = Field(sa_type=Moment)
    prev: bytes = Field(sa_type=Bytes)
    heads: str
    signature: bytes = Field(sa_type=Bytes)
