"""What the portal keeps of its guests: codes, visits, throttles, and requests that only the relay may carry out.

Code states: ``fresh -> used | exhausted | lapsed``. Visit states: ``arrived -> proved -> closed``;
before the code there is no visit row (the code is bound to the link, not to a browser).
"""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, Index, SQLModel

from relay.store.types import Bytes, Moment


class CodeState(StrEnum):
    """The states of a one-time code."""

    FRESH = "fresh"
    USED = "used"
    EXHAUSTED = "exhausted"
    LAPSED = "lapsed"


class Code(SQLModel, table=True):
    """One code for one link. ``sealed`` keeps it for *send again*, readable only with the portal's code key."""

    __tablename__ = "code"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    link_id: bytes = Field(sa_type=Bytes, index=True)
    mac: bytes = Field(sa_type=Bytes)
    sealed: bytes = Field(sa_type=Bytes)
    state: str
    tries: int = 0
    sends: int = 0
    created_at: datetime = Field(sa_type=Moment)
    sent_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)


class Visit(SQLModel, table=True):
    """One reader's authenticated time. The cookie's secret opens ``link_key``; the row alone opens nothing."""

    __tablename__ = "visit"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    link_id: bytes = Field(sa_type=Bytes, index=True)
    conversation_id: bytes = Field(sa_type=Bytes)
    participant_id: bytes = Field(sa_type=Bytes)
    link_key: bytes = Field(sa_type=Bytes)  # GCM(KDF(V, visit id, lab "visit"), skL, aad = link id)
    name: bytes | None = Field(default=None, sa_type=Bytes)  # the reader's name, sealed
    created_at: datetime = Field(sa_type=Moment)
    seen_at: datetime = Field(sa_type=Moment)
    closed_at: datetime | None = Field(default=None, sa_type=Moment)


class Throttle(SQLModel, table=True):
    """A counter in a fixed window; the bucket is a keyed hash of what is limited."""

    __tablename__ = "throttle"
    __table_args__ = (Index("throttle_by_end", "until"),)
    bucket: bytes = Field(primary_key=True, sa_type=Bytes)
    count: int
    until: datetime = Field(sa_type=Moment)


class PortalRequest(SQLModel, table=True):
    """An item that the portal hands to the relay (HPKE to the queue key, HMAC under the enqueue key)."""

    __tablename__ = "portal_request"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    kind: int
    item: bytes = Field(sa_type=Bytes)
    created_at: datetime = Field(sa_type=Moment, index=True)
