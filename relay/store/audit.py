"""The audit: what happened, in chains that show every edit.

Each writer (a worker, a portal, the command line) has a chain of its own, because one chain for all would make them
wait for each other. Every event carries the hash of the one before; relay/store/checkpoints.py signs the heads.

    event hash = SHA-256(label | u16 length, writer | u64 seq | prev 32 | i64 at in microseconds | u16 length, event
                         | u8 length, message id | u32 length, facts | u32 length, personal)

``facts`` are canonical JSON and free of personal data. Addresses and names go into ``personal``, each time sealed
under a fresh key that a row of its own keeps, wrapped; deleting that row (``forget_until``) makes whom the event names
unreadable and leaves the chain whole.

    personal = key id 16 | AES-256-GCM(key, nonce 0, canonical JSON, label | message id)
    wrapped  = nonce 12 | AES-256-GCM(audit key, nonce, key, label | message id | key id)
"""

import hashlib
import json
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, Table, bindparam, select, text

from relay.store.batch import insert_later, later
from relay.store.events import Event, sentence
from relay.store.prepared import Prepared, insertion
from relay.store.remembered import remember, remembered
from relay.store.tables import AuditEvent, AuditKey
from relay.store.types import Bytes, Moment

AUDIT: Table = cast("Any", AuditEvent).__table__
_KEYS: Table = cast("Any", AuditKey).__table__
_LABEL = b"letterlock/1 audit event\x00"
_GENESIS = b"letterlock/1 audit chain\x00"
_PERSONAL = b"letterlock/1 audit personal\x00"
_WRAPPED = b"letterlock/1 audit key\x00"
_NONCE = 12
_ID = 16
_KEY = 32
_FORGOTTEN = "personal facts forgotten"
_STEP = 500
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=list)
_MOMENT = Moment()
_ONE_AT_A_TIME = Prepared(text("SELECT pg_advisory_xact_lock(hashtext(:name))"))
_HEAD = Prepared(select(AUDIT).where(AUDIT.c.writer == bindparam("of_writer")).order_by(AUDIT.c.seq.desc()).limit(1))
_FORGET = Prepared(
    _KEYS.delete().where(
        _KEYS.c.message_id == bindparam("of_id", type_=Bytes), _KEYS.c.id == bindparam("key", type_=Bytes)
    )
)
_APPEND = insertion(AUDIT, tuple(column.name for column in AUDIT.columns))

Fact = str | int | bool | Sequence[str]


class AuditKeys(Protocol):
    """Where the key comes from that wraps the keys of personal facts (the keyring)."""

    @property
    def audit_key(self) -> bytes:
        """Return 32 bytes; KeyringError for a role that may not record or read personal facts."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One event as ``letterlock trace`` shows it. ``personal`` is None when there was none or it was forgotten."""

    at: datetime
    writer: str
    event: str
    facts: Mapping[str, Any]
    personal: Mapping[str, str] | None
    sentence: str


class Audit:
    """The chain of one writer. ``writer`` is a stable name such as ``relay-0``: its chain goes on after a restart."""

    def __init__(self, keys: AuditKeys, writer: str) -> None:
        self.writer = writer
        self._keys = keys
        self._flush = _Chain(writer)

    @cached_property
    def _cipher(self) -> AESGCM:
        """What wraps the keys of personal facts; KeyringError for a role that may not record or read them."""
        return AESGCM(self._keys.audit_key)

    def append(
        self,
        connection: Connection,
        event: Event,
        message_id: bytes | None = None,
        facts: Mapping[str, Fact] | None = None,
        personal: Mapping[str, str] | None = None,
        *,
        at: datetime,
    ) -> None:
        """Record an event in the transaction of what it speaks of; it is written with the batch, before COMMIT.

        ``facts`` hold nothing personal. ``personal`` needs a message id (ValueError) and a role with the audit key
        (KeyringError).
        """
        sealed = None
        if personal:
            if message_id is None:
                raise ValueError("personal facts belong to a message")
            sealed, key_row = _seal(self._cipher, message_id, personal)
            insert_later(connection, _KEYS, [key_row])
        row = {
            "at": at,
            "event": event.value,
            "message_id": message_id,
            "facts": _canonical(facts or {}),
            "personal": sealed,
        }
        later(connection, self._flush, self._flush, [row])

    def events_of(self, connection: Connection, message_id: bytes) -> tuple[AuditLine, ...]:
        """Return everything recorded of a message, in order of time."""
        rows = connection.execute(
            select(AUDIT).where(AUDIT.c.message_id == message_id).order_by(AUDIT.c.at, AUDIT.c.writer, AUDIT.c.seq)
        ).all()
        found = connection.execute(select(_KEYS.c.id, _KEYS.c.wrapped).where(_KEYS.c.message_id == message_id))
        wrapped = {row.id: row.wrapped for row in found}
        return tuple(_line(row, self._open(row, wrapped)) for row in rows)

    def _open(self, row: Row[Any], wrapped: Mapping[bytes, bytes]) -> dict[str, str] | None:
        if row.personal is None or row.personal[:_ID] not in wrapped:
            return None
        key_id, kept = row.personal[:_ID], wrapped[row.personal[:_ID]]
        try:
            key = self._cipher.decrypt(kept[:_NONCE], kept[_NONCE:], _WRAPPED + row.message_id + key_id)
            personal: dict[str, str] = json.loads(
                AESGCM(key).decrypt(bytes(_NONCE), row.personal[_ID:], _PERSONAL + row.message_id)
            )
        except InvalidTag:
            return None  # it was changed: the check of the chains names the event
        return personal


def _seal(wrapping: AESGCM, message_id: bytes, personal: Mapping[str, str]) -> tuple[bytes, dict[str, bytes]]:
    """Return sealed personal facts and the row of their key."""
    # Drawn together: each draw lets go of the interpreter, and the event loop takes it.
    drawn = secrets.token_bytes(_ID + _KEY + _NONCE)
    key_id, key, nonce = drawn[:_ID], drawn[_ID:-_NONCE], drawn[-_NONCE:]
    plain = _canonical(personal).encode("utf-8", "surrogatepass")
    sealed = key_id + AESGCM(key).encrypt(bytes(_NONCE), plain, _PERSONAL + message_id)
    wrapped = nonce + wrapping.encrypt(nonce, key, _WRAPPED + message_id + key_id)
    return sealed, {"message_id": message_id, "id": key_id, "wrapped": wrapped}


def forget_until(connection: Connection, before: datetime) -> int:
    """Destroy the keys of some personal facts recorded before that moment; return how many events were looked at.

    Goes through the audit once, in small steps; how far it came stands in the meta table.
    """
    until = remembered(connection, _FORGOTTEN)
    begin = datetime.min.replace(tzinfo=UTC) if until is None else datetime.fromisoformat(until)
    window = AUDIT.c.at > begin, AUDIT.c.at < before
    times = connection.execute(select(AUDIT.c.at).where(*window).order_by(AUDIT.c.at).limit(_STEP)).scalars().all()
    if not times:
        return 0
    events = connection.execute(
        select(AUDIT.c.message_id, AUDIT.c.personal).where(AUDIT.c.at > begin, AUDIT.c.at <= times[-1])
    ).all()
    named = [{"of_id": one.message_id, "key": one.personal[:_ID]} for one in events if one.personal is not None]
    _FORGET.many(connection, named)
    remember(connection, _FORGOTTEN, times[-1].isoformat())
    return len(events)


class _Chain:
    """Writes the events that the transactions of a batch left, one behind the other."""

    def __init__(self, writer: str) -> None:
        self._writer = writer

    def __call__(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        if connection.dialect.name == "postgresql":
            # Two processes under one name (two command lines) must not fork the chain.
            _ONE_AT_A_TIME.rows(connection, {"name": f"audit {self._writer}"})
        seq, prev = 0, genesis(self._writer)
        for head in _HEAD.rows(connection, {"of_writer": self._writer}):
            seq, prev = head[1], _hash(*head)
        chained = []
        for row in rows:
            seq += 1
            event = {"writer": self._writer, "seq": seq, "prev": prev, **row}
            prev = _hash(**event)
            chained.append(event)
        _APPEND.many(connection, chained)


def genesis(writer: str) -> bytes:
    """Return what stands as ``prev`` in the first event of a chain."""
    return hashlib.sha256(_GENESIS + writer.encode("utf-8")).digest()


def event_hash(event: Any) -> bytes:
    """Return the hash of one event: a row of the audit table, or anything with its columns as attributes."""
    return _hash(*(getattr(event, column.name) for column in AUDIT.columns))


def _hash(  # noqa: PLR0917  # the columns of the table, in their order
    writer: str,
    seq: int,
    prev: bytes,
    at: datetime,
    event: str,
    message_id: bytes | None,
    facts: str,
    personal: bytes | None,
) -> bytes:
    by, name, of = writer.encode("utf-8"), event.encode("utf-8"), message_id or b""
    told, sealed = facts.encode("utf-8", "surrogatepass"), personal or b""
    return hashlib.sha256(
        b"".join(
            [
                _LABEL,
                struct.pack(">H", len(by)),
                by,
                struct.pack(">Q", seq),
                prev,
                struct.pack(">qH", _MOMENT.process_bind_param(at, cast("Any", None)), len(name)),
                name,
                struct.pack(">B", len(of)),
                of,
                struct.pack(">I", len(told)),
                told,
                struct.pack(">I", len(sealed)),
                sealed,
            ]
        )
    ).digest()


def _line(row: Row[Any], personal: Mapping[str, str] | None) -> AuditLine:
    facts = json.loads(row.facts)
    return AuditLine(row.at, row.writer, row.event, facts, personal, sentence(row.event, {**facts, **(personal or {})}))


def _canonical(value: Mapping[str, Any]) -> str:
    return _JSON.encode(value)
