"""The queue: one message with its spooled bytes, one entry per message and recipient, one decision per recipient.

The states of an entry, and which may follow which, stand in `FOLLOWS`; docs/flow.md draws them.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlmodel import BigInteger, Field, Index, SQLModel, text

from relay.store.types import Bytes, Moment


class Direction(StrEnum):
    """Where a queued message came from."""

    OUT = "out"  # through the front door
    NOTICE = "notice"  # written by us: pickup notice, code, receipt, DSN
    CONTROL = "control"  # a command by mail
    BOUNCE = "bounce"  # a report about one of our own mails
    REPLY = "reply"  # written by a reader in the portal


class Kind(StrEnum):
    """What an entry carries."""

    MAIL = "mail"
    NOTICE = "notice"
    CODE = "code"
    RECEIPT = "receipt"
    DSN = "dsn"
    REPLY = "reply"  # a reader's answer, to staff
    CONTROL = "control"  # our answer to a command, or a question to the sender
    REMINDER = "reminder"
    ALERT = "alert"  # to the administrator


class EntryState(StrEnum):
    """The states of a queue entry."""

    DUE = "due"
    HELD = "held"
    PAUSED = "paused"
    LEASED = "leased"
    DONE = "done"
    BOUNCED = "bounced"
    DROPPED = "dropped"


BEGINNINGS = frozenset({EntryState.DUE, EntryState.LEASED, EntryState.HELD})
FOLLOWS: Mapping[EntryState, frozenset[EntryState]] = {
    EntryState.DUE: frozenset({EntryState.LEASED, EntryState.PAUSED, EntryState.DROPPED}),
    EntryState.LEASED: frozenset({EntryState.DUE, EntryState.DONE, EntryState.BOUNCED, EntryState.PAUSED}),
    EntryState.HELD: frozenset({EntryState.DUE, EntryState.DROPPED}),
    EntryState.PAUSED: frozenset({EntryState.DUE, EntryState.DROPPED}),
    EntryState.DONE: frozenset({EntryState.BOUNCED}),
    EntryState.BOUNCED: frozenset(),
    EntryState.DROPPED: frozenset(),
}
"""Which states an entry may come to from each. Tests let the database refuse everything else (tests/guard.py)."""
ENDINGS = frozenset({EntryState.DONE, EntryState.BOUNCED, EntryState.DROPPED})
OPEN = tuple(state for state in EntryState if state not in ENDINGS)
"""The states of what is still to be sent or decided: its bytes are kept, and its row is never removed."""


class Meta(SQLModel, table=True):
    """Small facts of this installation by name: leases of single duties, and how far some of them have come."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str


class QueuedMessage(SQLModel, table=True):
    """One accepted or self-written message. ``envelope`` is sealed JSON (relay/queue/items.py)."""

    __tablename__ = "message"
    __table_args__ = (Index("message_by_accepted", "accepted_at"),)
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    parent: bytes | None = Field(default=None, sa_type=Bytes, index=True)  # the message a notice speaks of
    direction: str
    accepted_at: datetime = Field(sa_type=Moment)
    message_id_hash: bytes | None = Field(default=None, sa_type=Bytes, index=True)
    message_key: bytes | None = Field(default=None, sa_type=Bytes, index=True)
    size: int = Field(sa_type=BigInteger)  # octets as received
    envelope: bytes = Field(sa_type=Bytes)


class Spool(SQLModel, table=True):
    """The bytes to send, sealed under an epoch key: in the row when small, else in a blob. Gone when sent.

    With both, the row has the header section to send, and the blob the message as it was received: its body follows.
    """

    __tablename__ = "spool"
    message_id: bytes = Field(primary_key=True, sa_type=Bytes)
    epoch_id: bytes = Field(sa_type=Bytes, index=True)  # the key that the content needs; kept as long as rows name it
    content: bytes | None = Field(default=None, sa_type=Bytes)
    blob_id: bytes | None = Field(default=None, sa_type=Bytes)


class Entry(SQLModel, table=True):
    """One recipient of one queued message. ``envelope`` and ``last_reply`` are sealed under an epoch key."""

    __tablename__ = "entry"
    __table_args__ = (
        # by route first: workers claim per route, and 10^5 waiting for a dead one must cost the others nothing
        Index(
            "entry_due",
            "route",
            "due_at",
            "domain",  # last: looked at only where mail for one destination stands in front of another's
            sqlite_where=text("state = 'due'"),
            postgresql_where=text("state = 'due'"),
        ),
        # the code page asks again and again how far its mail has come
        Index(
            "entry_by_reader",
            "participant_id",
            "created_at",
            sqlite_where=text("participant_id IS NOT NULL"),
            postgresql_where=text("participant_id IS NOT NULL"),
        ),
        # few rows, and asked for by everybody who wonders why nothing leaves
        Index(
            "entry_paused",
            "domain",
            "due_at",
            sqlite_where=text("state = 'paused'"),
            postgresql_where=text("state = 'paused'"),
        ),
        Index(
            "entry_leased",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
    )
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    message_id: bytes = Field(sa_type=Bytes, index=True)
    kind: str
    route: str  # inside, outside, replies or partner:NAME (relay/queue/routes.py)
    domain: str  # of the recipient, in clear
    recipient_hash: bytes = Field(sa_type=Bytes)
    envelope: bytes = Field(sa_type=Bytes)
    state: str
    created_at: datetime = Field(sa_type=Moment)
    due_at: datetime = Field(sa_type=Moment)
    attempts: int = 0
    lease_owner: bytes | None = Field(default=None, sa_type=Bytes)
    lease_epoch: int = 0
    lease_until: datetime | None = Field(default=None, sa_type=Moment)
    warned_at: datetime | None = Field(default=None, sa_type=Moment)  # a delay was reported to the sender
    last_code: int | None = None
    last_reply: bytes | None = Field(default=None, sa_type=Bytes)
    finished_at: datetime | None = Field(default=None, sa_type=Moment)
    participant_id: bytes | None = Field(default=None, sa_type=Bytes)  # the reader a notice or code speaks to


class PausedDestination(SQLModel, table=True):
    """A domain to which an operator lets nothing leave (relay/queue/pauses.py)."""

    __tablename__ = "paused_destination"
    domain: str = Field(primary_key=True)
    since: datetime = Field(sa_type=Moment)


class Decision(SQLModel, table=True):
    """What was decided for one recipient of one message: names of rules, never text of the message."""

    __tablename__ = "decision"
    __table_args__ = (Index("decision_by_time", "at"),)
    message_id: bytes = Field(primary_key=True, sa_type=Bytes)
    position: int = Field(primary_key=True)
    at: datetime = Field(sa_type=Moment)
    recipient_hash: bytes = Field(sa_type=Bytes)
    domain: str
    inside: bool
    action: str
    rules: str  # JSON list of the live rules that decided: those that ask for this action
    shadow: str  # JSON list of [rule, action] of the shadow rules that held


class HoldState(StrEnum):
    """What became of the copies of one message that a rule held."""

    WAITING = "waiting"
    RELEASED = "released"
    DROPPED = "dropped"
    RETURNED = "returned"  # nobody decided in time


class Hold(SQLModel, table=True):
    """A question to the sender: may these copies leave? Its entries are those of the message in state ``held``.

    ``payload`` is sealed under the epoch key that ``epoch_id`` names.
    """

    __tablename__ = "hold"
    __table_args__ = (
        Index(
            "hold_waiting", "until", sqlite_where=text("state = 'waiting'"), postgresql_where=text("state = 'waiting'")
        ),
    )
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    message_id: bytes = Field(sa_type=Bytes, index=True)
    created_at: datetime = Field(sa_type=Moment)
    until: datetime = Field(sa_type=Moment)
    state: str
    epoch_id: bytes = Field(sa_type=Bytes)
    payload: bytes = Field(sa_type=Bytes)
    decided_at: datetime | None = Field(default=None, sa_type=Moment)


class ReceiptPart(SQLModel, table=True):
    """What a receipt will say of one transaction; parts of one message become one mail when the first is due.

    ``grouping`` is the message key, so that a message that came in several transactions has one receipt. ``payload`` is
    sealed under the epoch key that ``epoch_id`` names.
    """

    __tablename__ = "receipt_part"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    grouping: bytes = Field(sa_type=Bytes, index=True)
    message_id: bytes = Field(sa_type=Bytes)
    due_at: datetime = Field(sa_type=Moment, index=True)
    epoch_id: bytes = Field(sa_type=Bytes)
    payload: bytes = Field(sa_type=Bytes)


class MachineThread(SQLModel, table=True):
    """The conversation that a machine's flagged mail to one recipient joins on one day: one notice, not a hundred."""

    __tablename__ = "machine_thread"
    __table_args__ = {"sqlite_with_rowid": False}
    sender_hash: bytes = Field(primary_key=True, sa_type=Bytes)
    recipient_hash: bytes = Field(primary_key=True, sa_type=Bytes)
    day: str = Field(primary_key=True)  # YYYY-MM-DD, UTC
    conversation_id: bytes = Field(sa_type=Bytes)
