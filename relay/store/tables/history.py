"""Who wrote to whom: one observation per message as appended, counters as folded (shared reason: hot rows)."""

from datetime import datetime

from sqlmodel import BigInteger, Column, Field, Integer, SQLModel

from relay.store.types import Bytes, Moment


class Observation(SQLModel, table=True):
    """One thing that happened: ``data`` packs keyed hashes of sender and recipients (relay/store/history.py)."""

    __tablename__ = "observation"
    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    )
    at: datetime = Field(sa_type=Moment)
    kind: int  # 1 sent, 2 received
    data: bytes = Field(sa_type=Bytes)


class Pair(SQLModel, table=True):
    """Messages between an inside and an outside party; the organisation's sum stands under its own party hash."""

    __tablename__ = "pair"
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
    sender: bytes = Field(primary_key=True, sa_type=Bytes)
    messages: int = 0
    contacts: int = 0
    last_at: datetime = Field(sa_type=Moment)
