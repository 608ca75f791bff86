"""All tables, one module an aggregate. Definitions only: the mail path uses SQLAlchemy Core on ``X.__table__``.

Nothing readable of a message stands in these tables: contents are sealed, addresses are encrypted and found by
keyed hash, only domains, times, sizes and states are in clear (docs/threats.md).
"""

from relay.store.tables.audit import AuditEvent, AuditKey, Checkpoint
from relay.store.tables.history import Observation, Pair, SenderCount
from relay.store.tables.queue import (
    Decision,
    Entry,
    Hold,
    MachineThread,
    Meta,
    PausedDestination,
    QueuedMessage,
    ReceiptPart,
    Spool,
)
from relay.store.tables.sealed import Blob, Conversation, Key, MessageRead, Part, Participant, Sealed, Stanza, Thread
from relay.store.tables.visits import Code, PortalRequest, Throttle, Visit

__all__ = [
    "AuditEvent",
    "AuditKey",
    "Blob",
    "Checkpoint",
    "Code",
    "Conversation",
    "Decision",
    "Entry",
    "Hold",
    "Key",
    "MachineThread",
    "MessageRead",
    "Meta",
    "Observation",
    "Pair",
    "Part",
    "Participant",
    "PausedDestination",
    "PortalRequest",
    "QueuedMessage",
    "ReceiptPart",
    "Sealed",
    "SenderCount",
    "Spool",
    "Stanza",
    "Thread",
    "Throttle",
    "Visit",
]
