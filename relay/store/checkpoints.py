"""Signed checkpoints over the heads of all audit chains, themselves chained; and the check of everything.

    signed bytes = label | u64 seq | i64 at in microseconds | prev 32 | heads
    heads        = canonical JSON {writer: [seq, hash in hex]};   prev = SHA-256(signed bytes | signature) of the last

A checkpoint proves every event up to its heads. Events after the last one are *unproven*: nobody can tell whether
the newest of them were cut off. Who holds the exported lines also sees when checkpoints themselves are missing.
"""

import hashlib
import json
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, Row, Table, func, select

from relay.store.audit import AUDIT, event_hash, genesis
from relay.store.events import Event
from relay.store.tables import Checkpoint
from relay.store.types import Moment

_CHECKPOINT: Table = cast("Any", Checkpoint).__table__
_LABEL = b"letterlock/1 audit checkpoint\x00"
_START = hashlib.sha256(_LABEL).digest()
_PAGE = 1000
_MOST_PROBLEMS = 100
_CUT = "…"  # ends a line that the log cut short (relay/logs.py): the installation has very many writers


class SigningKeys(Protocol):
    """Where the signing key comes from (the keyring)."""

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key; KeyringError for a role that does not hold it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What ``verify`` found. ``problems`` are sentences, at most a hundred; none means that nothing was touched.

    ``proven`` events are covered by a valid checkpoint, ``unproven`` ones are newer. ``proven_until`` is the time of
    the last valid checkpoint.
    """

    events: int
    proven: int
    unproven: int
    checkpoints: int
    proven_until: datetime | None
    problems: tuple[str, ...]


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
    prev = _hash(last) if last else _START
    row = SimpleNamespace(seq=last.seq + 1 if last else 1, at=at, prev=prev, heads=heads)
    row.signature = keys.signing_key.sign(_signed(row))
    connection.execute(_CHECKPOINT.insert(), [vars(row)])
    return _export(row)


def last_number(connection: Connection) -> int:
    """Return the number of the last checkpoint, 0 before the first."""
    number: int = connection.execute(select(func.coalesce(func.max(_CHECKPOINT.c.seq), 0))).scalar_one()
    return number


def verify(connection: Connection, public_key: Ed25519PublicKey, exported: Iterable[str] = ()) -> Report:
    """Check every event and checkpoint; ``exported`` are lines that ``checkpoint`` returned, kept elsewhere.

    Finds edits, deletions, insertions and changes of order among proven events, and truncation before the last
    checkpoint. A line that ends in "…" was cut by the log and is compared as far as it goes. Reads the audit once from
    end to end.
    """
    problems: list[str] = []
    rows = connection.execute(select(_CHECKPOINT).order_by(_CHECKPOINT.c.seq)).all()
    proven_heads, until = _check_checkpoints(rows, public_key, exported, problems)
    events = proven = 0
    for writer in _writers(connection):
        expected = proven_heads.pop(writer, {})
        last_proven = max(expected, default=0)
        seq, prev = 0, genesis(writer)
        for event in _chain(connection, writer):
            events += 1
            proven += event.seq <= last_proven
            if event.seq != seq + 1:
                problems.append(f"{writer}: events {seq + 1} to {event.seq - 1} are missing")
            elif event.prev != prev:
                problems.append(f"{writer}: event {seq} was changed, or {event.seq} does not follow it")
            seq, prev = event.seq, event_hash(event)
            if seq in expected and expected[seq] != prev:
                problems.append(f"{writer}: event {seq} is not the one that a checkpoint signed")
        if seq < last_proven:
            problems.append(f"{writer}: the chain ends at event {seq}, but {last_proven} was signed: it was cut off")
    problems += [f"{writer}: the whole chain is missing" for writer, expected in proven_heads.items() if expected]
    return Report(events, proven, events - proven, len(rows), until, tuple(problems[:_MOST_PROBLEMS]))


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
    for row in connection.execute(select(_CHECKPOINT).order_by(_CHECKPOINT.c.seq)):
        place, digest = json.loads(row.heads).get(event.writer, (0, ""))
        if place >= event.seq and _valid(row, public_key):
            leads = _leads(connection, event, place, bytes.fromhex(digest))
            at: datetime = row.at
            return at if leads else None
    return None


def _leads(connection: Connection, event: Row[Any], place: int, digest: bytes) -> bool:
    """Say whether the chain from ``event`` to ``place`` is whole and ends in the hash that was signed there."""
    seq, prev = event.seq, event_hash(event)
    for row in _chain(connection, event.writer, event.seq):
        if seq == place:
            break
        if (row.seq, row.prev) != (seq + 1, prev):
            return False
        seq, prev = row.seq, event_hash(row)
    return bool(seq == place and prev == digest)


def _heads(connection: Connection) -> dict[str, list[Any]]:
    heads = {}
    for writer in _writers(connection):
        row = connection.execute(
            select(AUDIT).where(AUDIT.c.writer == writer).order_by(AUDIT.c.seq.desc()).limit(1)
        ).one()
        heads[writer] = [row.seq, event_hash(row).hex()]
    return heads


def _writers(connection: Connection) -> Iterator[str]:
    """Yield the names of all chains, hopping from one to the next: the cost does not grow with their length."""
    writer = ""
    while True:
        found = connection.execute(select(func.min(AUDIT.c.writer)).where(AUDIT.c.writer > writer)).scalar_one()
        if found is None:
            return
        writer = found
        yield writer


def _chain(connection: Connection, writer: str, seq: int = -1) -> Iterator[Row[Any]]:
    """Yield the events of one chain that come after ``seq``."""
    while True:
        page = connection.execute(
            select(AUDIT).where(AUDIT.c.writer == writer, AUDIT.c.seq > seq).order_by(AUDIT.c.seq).limit(_PAGE)
        ).all()
        if not page:
            return
        yield from page
        seq = page[-1].seq


def _check_checkpoints(
    rows: Iterable[Row[Any]], public_key: Ed25519PublicKey, exported: Iterable[str], problems: list[str]
) -> tuple[dict[str, dict[int, bytes]], datetime | None]:
    """Return, per writer, the signed hash at each signed place, and the time of the last good checkpoint."""
    heads: dict[str, dict[int, bytes]] = {}
    until = None
    kept: dict[str, set[str]] = defaultdict(set)
    for line in exported:
        kept[_name(line)].add(line)
    seq, prev = 0, _START
    for row in rows:
        if row.seq != seq + 1 or row.prev != prev:
            problems.append(f"checkpoint {row.seq} does not follow checkpoint {seq}")
        if not _valid(row, public_key):
            problems.append(f"checkpoint {row.seq} is not signed by this installation's key")
        else:
            until = row.at
            for writer, (place, digest) in json.loads(row.heads).items():
                heads.setdefault(writer, {})[place] = bytes.fromhex(digest)
        text = _export(row)
        kept[_name(text)] = {line for line in kept[_name(text)] if not _same(line, text)}
        seq, prev = row.seq, _hash(row)
    missing = sorted(line for lines in kept.values() for line in lines)
    problems += [f"an exported checkpoint is not in the database: {line}" for line in missing]
    return heads, until


def _name(line: str) -> str:
    """Return the front of an exported line, number included."""
    return " ".join(line.split(" ", 3)[:3])


def _same(line: str, text: str) -> bool:
    return line == text or (line.endswith(_CUT) and text.startswith(line.removesuffix(_CUT)))


def _valid(row: Row[Any], public_key: Ed25519PublicKey) -> bool:
    try:
        public_key.verify(row.signature, _signed(row))
    except InvalidSignature:
        return False
    return True


def _signed(row: Any) -> bytes:
    at = Moment().process_bind_param(row.at, cast("Any", None))
    signed: bytes = _LABEL + struct.pack(">Qq", row.seq, at) + row.prev + row.heads.encode("utf-8")
    return signed


def _hash(row: Any) -> bytes:
    return hashlib.sha256(_signed(row) + row.signature).digest()


def _export(row: Any) -> str:
    signature = row.signature.hex()
    return f"audit checkpoint {row.seq} {row.at.isoformat()} {row.prev.hex()} {row.heads} {signature}"
