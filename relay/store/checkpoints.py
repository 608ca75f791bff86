"""Signed checkpoints over the heads of all audit chains, themselves chained (`relay.store.verification` checks all).

    signed bytes = label | u64 seq | i64 at in microseconds | prev 32 | heads
    heads        = canonical JSON {writer: [seq, hash in hex]};   prev = SHA-256(signed bytes | signature) of the last

A checkpoint proves every event up to its heads. Events after the last one are *unproven*: nobody can tell whether
the newest of them were cut off. Who holds the exported lines also sees when checkpoints themselves are missing.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, Row, Table, func, select

from relay.store.audit import AUDIT, event_hash
from relay.store.events import Event
from relay.store.tables import Checkpoint
from relay.store.types import Moment

_CHECKPOINT: Table = cast("Any", Checkpoint).__table__
_LABEL = b"letterlock/1 audit checkpoint\x00"
START = hashlib.sha256(_LABEL).digest()
"""What stands as ``prev`` in the first checkpoint."""
_PAGE = 1000


class SigningKeys(Protocol):
    """Where the signing key comes from (the keyring)."""

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key; KeyringError for a role that does not hold it."""


@dataclass(frozen=True, slots=True)
class Record:
    """The facts of one event, and when the first checkpoint over it was signed; None: nothing proves it (yet)."""

    facts: Mapping[str, Any]
    signed_at: datetime | None


def checkpoint(connection: Connection, keys: SigningKeys, at: datetime) -> str | None:
    """Sign the heads of all chains; return the line to export, None when nothing happened since the last one.

    One process at a time may do it (relay/store/duties.py).
    """
    last = connection.execute(select(_CHECKPOINT).order_by(_CHECKPOINT.c.seq.desc()).limit(1)).first()
    heads = json.dumps(_heads(connection), sort_keys=True, separators=(",", ":"))
    if heads == (last.heads if last else "{}"):
        return None
    prev = checkpoint_hash(last) if last else START
    row = SimpleNamespace(seq=last.seq + 1 if last else 1, at=at, prev=prev, heads=heads)
    row.signature = keys.signing_key.sign(_signed(row))
    connection.execute(_CHECKPOINT.insert(), [vars(row)])
    return exported_line(row)


def last_number(connection: Connection) -> int:
    """Return the number of the last checkpoint, 0 before the first."""
    number: int = connection.execute(select(func.coalesce(func.max(_CHECKPOINT.c.seq), 0))).scalar_one()
    return number


def records(
    connection: Connection, public_key: Ed25519PublicKey, event: Event, message_id: bytes
) -> tuple[Record, ...]:
    """Return every event of this kind about a message, oldest first, each with its proof.

    A signed head vouches for an event when the chain leads from the one to the other without a break: the hashes say
    everything, so no more than the piece between the two is read.
    """
    rows = connection.execute(
        select(AUDIT).where(AUDIT.c.message_id == message_id, AUDIT.c.event == event.value).order_by(AUDIT.c.at)
    ).all()
    return tuple(Record(json.loads(row.facts), _signed_at(connection, public_key, row)) for row in rows)


def _signed_at(connection: Connection, public_key: Ed25519PublicKey, event: Row[Any]) -> datetime | None:
    for row in all_checkpoints(connection):
        place, digest = json.loads(row.heads).get(event.writer, (0, ""))
        if place >= event.seq and is_valid(row, public_key):
            leads = _leads(connection, event, place, bytes.fromhex(digest))
            at: datetime = row.at
            return at if leads else None
    return None


def _leads(connection: Connection, event: Row[Any], place: int, digest: bytes) -> bool:
    """Say whether the chain from ``event`` to ``place`` is whole and ends in the hash that was signed there."""
    seq, prev = event.seq, event_hash(event)
    for row in chain_of(connection, event.writer, event.seq):
        if seq == place:
            break
        if (row.seq, row.prev) != (seq + 1, prev):
            return False
        seq, prev = row.seq, event_hash(row)
    return bool(seq == place and prev == digest)


def _heads(connection: Connection) -> dict[str, list[Any]]:
    heads = {}
    for writer in writers(connection):
        row = connection.execute(
            select(AUDIT).where(AUDIT.c.writer == writer).order_by(AUDIT.c.seq.desc()).limit(1)
        ).one()
        heads[writer] = [row.seq, event_hash(row).hex()]
    return heads


def writers(connection: Connection) -> Iterator[str]:
    """Yield the names of all chains, hopping from one to the next: the cost does not grow with their length."""
    writer = ""
    while True:
        found = connection.execute(select(func.min(AUDIT.c.writer)).where(AUDIT.c.writer > writer)).scalar_one()
        if found is None:
            return
        writer = found
        yield writer


def chain_of(connection: Connection, writer: str, seq: int = -1) -> Iterator[Row[Any]]:
    """Yield the events of one chain that come after ``seq``."""
    while True:
        page = connection.execute(
            select(AUDIT).where(AUDIT.c.writer == writer, AUDIT.c.seq > seq).order_by(AUDIT.c.seq).limit(_PAGE)
        ).all()
        if not page:
            return
        yield from page
        seq = page[-1].seq


def all_checkpoints(connection: Connection) -> Iterator[Row[Any]]:
    """Yield every checkpoint in its order, a page at a time: there is one a minute."""
    seq = -1
    while page := connection.execute(
        select(_CHECKPOINT).where(_CHECKPOINT.c.seq > seq).order_by(_CHECKPOINT.c.seq).limit(_PAGE)
    ).all():
        yield from page
        seq = page[-1].seq


def is_valid(row: Row[Any], public_key: Ed25519PublicKey) -> bool:
    """Tell whether a checkpoint bears the signature of this key."""
    try:
        public_key.verify(row.signature, _signed(row))
    except InvalidSignature:
        return False
    return True


def _signed(row: Any) -> bytes:
    at = Moment().process_bind_param(row.at, cast("Any", None))
    signed: bytes = _LABEL + struct.pack(">Qq", row.seq, at) + row.prev + row.heads.encode("utf-8")
    return signed


def checkpoint_hash(row: Any) -> bytes:
    """Return what stands as ``prev`` in the checkpoint after this one."""
    return hashlib.sha256(_signed(row) + row.signature).digest()


def exported_line(row: Any) -> str:
    """Return a checkpoint as it stands in the log."""
    signature = row.signature.hex()
    return f"audit checkpoint {row.seq} {row.at.isoformat()} {row.prev.hex()} {row.heads} {signature}"
