"""Who wrote to whom: one observation per message as appended, counters as folded (shared reason: hot rows)."""

from datetime import datetime

from sqlmodel import BigInteger, Column, Field, Index, Integer, SQLModel, text

from relay.store.types import Bytes, Moment


class Observation(SQLModel, table=True):
    """One message that was seen: its sender, and in ``data`` its recipients as packed keyed hashes.

    The partial indices are the tail that is not yet counted: found by sender, and taken in order by the folder.
    """

    __tablename__ = "observation"
    __table_args__ = (
        Index("observation_tail", "sender", sqlite_where=text("NOT folded"), postgresql_where=text("NOT folded")),
        Index("observation_order", "seq", sqlite_where=text("NOT folded"), postgresql_where=text("NOT folded")),
    )
    seq: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    )
    at: datetime = Field(sa_type=Moment)
    kind: int  # 1 sent, 2 received (relay/store/history.py)
    sender: bytes = Field(sa_type=Bytes)
    data: bytes = Field(sa_type=Bytes)
    folded: bool


class Pair(SQLModel, table=True):
    """Messages between an inside and an outside party; the organisation's sum stands under its own party hash."""

    __tablename__ = "pair"
    __table_args__ = {"sqlite_with_rowid": False}
    sender: bytes = Field(primary_key=True, sa_type=Bytes)
    recipient: bytes = Field(primary_key=True, sa_type=Bytes)
    sent: float = 0.0
    received: float = 0.0
    weight: float = 0.0  # decayed: w <- w * 2^(-dt / 60 d) + 1
    first_at: datetime = Field(sa_type=Moment)
    last_at: datetime = Field(sa_type=Moment)


class SenderCount(SQLModel, table=True):
    """Messages and contacts of one sender: tells whether there is enough history to judge by."""

    __tablename__ = "sender_count"
    __table_args__ = {"sqlite_with_rowid": False}
    sender: bytes = Field(primary_key=True, sa_type=Bytes)
    messages: int = 0
    contacts: int = 0
    last_at: datetime = Field(sa_type=Moment)
