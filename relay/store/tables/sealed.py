"""What the vault keeps: conversations, participants, keys, sealed messages with parts and stanzas, blobs.

Sealed states: ``live -> expired -> destroyed``; a reader's unfinished answer is ``draft`` and goes in one step.
Reader states: ``waiting -> notified -> link opened -> proved -> read``; until the link is opened also
``undeliverable``, and back; any ``-> removed``. A recall is a moment beside the state, because it can be undone.
Blob states: ``writing -> stored -> doomed -> gone``; a gone blob has no row.
"""

from datetime import datetime
from enum import StrEnum

from sqlmodel import BigInteger, Field, Index, SQLModel, text

from relay.store.types import Bytes, Moment


class SealedState(StrEnum):
    """The states of a sealed message."""

    LIVE = "live"
    DRAFT = "draft"  # a reader is still writing it; only the reader's own link opens it
    EXPIRED = "expired"  # stanzas gone: nobody can open it
    DESTROYED = "destroyed"  # blobs gone as well


class ReaderState(StrEnum):
    """How far a reader has come; kept per participant."""

    WAITING = "waiting"
    NOTIFIED = "notified"
    LINK_OPENED = "link opened"
    PROVED = "proved"
    READ = "read"
    UNDELIVERABLE = "undeliverable"
    REMOVED = "removed"


class BlobState(StrEnum):
    """The states of a blob's journal row."""

    WRITING = "writing"
    STORED = "stored"
    DOOMED = "doomed"


class Conversation(SQLModel, table=True):
    """Sealed messages that belong together. ``root_hash`` is the keyed hash of the first Message-ID."""

    __tablename__ = "conversation"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    created_at: datetime = Field(sa_type=Moment)
    root_hash: bytes | None = Field(default=None, sa_type=Bytes, index=True)


class Participant(SQLModel, table=True):
    """A sender or reader of a conversation; role, flags and address stand under a MAC that only the relay can make."""

    __tablename__ = "participant"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    conversation_id: bytes = Field(sa_type=Bytes, index=True)
    role: int  # 1 sender, 2 reader (relay/vault/sealing/rows.py)
    flags: int
    address: bytes = Field(sa_type=Bytes)  # sealed
    address_hash: bytes = Field(sa_type=Bytes, index=True)
    mac: bytes = Field(sa_type=Bytes)
    mac_version: int
    state: str
    notified_at: datetime | None = Field(default=None, sa_type=Moment)
    opened_at: datetime | None = Field(default=None, sa_type=Moment)
    read_at: datetime | None = Field(default=None, sa_type=Moment)  # for the first time; MessageRead has each message
    recalled_at: datetime | None = Field(default=None, sa_type=Moment)  # what is recalled is shown to nobody
    reminded_at: datetime | None = Field(default=None, sa_type=Moment)
    bounced_at: datetime | None = Field(default=None, sa_type=Moment)  # a notice came back; the sender was told once


class Key(SQLModel, table=True):
    """A link (type 1) or sender (type 2) public key; its id is the link id in a pickup link."""

    __tablename__ = "key"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    type: int
    conversation_id: bytes = Field(sa_type=Bytes, index=True)
    participant_id: bytes = Field(sa_type=Bytes, index=True)
    pk: bytes = Field(sa_type=Bytes, unique=True)
    mac: bytes = Field(sa_type=Bytes)
    mac_version: int
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    revoked_at: datetime | None = Field(default=None, sa_type=Moment)


class Sealed(SQLModel, table=True):
    """One sealed message: core header and outer key. Its id is the queued message's id."""

    __tablename__ = "sealed"
    __table_args__ = (
        Index("sealed_by_expiry", "state", "expires_at"),
        Index(
            "sealed_awaited",
            "created_at",
            sqlite_where=text("notify_read"),
            postgresql_where=text("notify_read"),
        ),
    )
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    conversation_id: bytes = Field(sa_type=Bytes, index=True)
    header: bytes = Field(sa_type=Bytes)
    kek_id: bytes = Field(sa_type=Bytes, index=True)
    wrapped: bytes = Field(sa_type=Bytes)
    manifest_part: bytes = Field(sa_type=Bytes)
    state: str
    created_at: datetime = Field(sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    author_id: bytes | None = Field(default=None, sa_type=Bytes)  # the participant who wrote it
    to_all: bool = True  # went to every reader there was: a reader who is added later gets it too
    notify_read: bool = False  # the sender asked to be told when it is read
    answer_id: bytes | None = Field(default=None, sa_type=Bytes, index=True)  # of a draft: the answer it was sent in


class MessageRead(SQLModel, table=True):
    """The first time that one reader was shown one message. ``name`` is sealed for the relay (a shared mailbox)."""

    __tablename__ = "message_read"
    message_id: bytes = Field(primary_key=True, sa_type=Bytes)
    participant_id: bytes = Field(primary_key=True, sa_type=Bytes)
    at: datetime = Field(sa_type=Moment)
    name: bytes | None = Field(default=None, sa_type=Bytes)


class Thread(SQLModel, table=True):
    """A Message-ID, as keyed hash, by which an answer is recognised as part of a conversation."""

    __tablename__ = "thread"
    message_id_hash: bytes = Field(primary_key=True, sa_type=Bytes)
    conversation_id: bytes = Field(primary_key=True, sa_type=Bytes, index=True)


class Stanza(SQLModel, table=True):
    """The DEK of one message for one key."""

    __tablename__ = "stanza"
    message_id: bytes = Field(primary_key=True, sa_type=Bytes)
    key_id: bytes = Field(primary_key=True, sa_type=Bytes, index=True)
    type: int
    ct: bytes = Field(sa_type=Bytes)


class Part(SQLModel, table=True):
    """One sealed part: its blob in the row when small, else in the blob store."""

    __tablename__ = "part"
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    message_id: bytes = Field(sa_type=Bytes, index=True)
    length: int = Field(sa_type=BigInteger)  # stored length
    content: bytes | None = Field(default=None, sa_type=Bytes)
    blob_id: bytes | None = Field(default=None, sa_type=Bytes)


class Blob(SQLModel, table=True):
    """The journal of one file in the blob store."""

    __tablename__ = "blob"
    __table_args__ = (Index("blob_by_state", "state", "changed_at"),)
    id: bytes = Field(primary_key=True, sa_type=Bytes)
    length: int = Field(sa_type=BigInteger)
    state: str
    changed_at: datetime = Field(sa_type=Moment)
