"""The check of the whole audit: every event, every checkpoint, and the lines that were exported of these.

There is a checkpoint a minute, and events without end. Both are read in pages, each chain from one checkpoint to the
next, so that years of them take no more memory than a day.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Row

from relay.store.audit import event_hash, genesis
from relay.store.checkpoints import (
    START,
    all_checkpoints,
    chain_of,
    checkpoint_hash,
    exported_line,
    is_valid,
    writers,
)

_MOST_PROBLEMS = 100
_CUT = "…"  # ends a line that the log cut short (relay/logs.py): the installation has very many writers


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


def verify(connection: Connection, public_key: Ed25519PublicKey, exported: Iterable[str] = ()) -> Report:
    """Check every event and checkpoint; ``exported`` are lines that ``checkpoint`` returned, kept elsewhere.

    Finds edits, deletions, insertions and changes of order among proven events, and truncation before the last
    checkpoint. A line that ends in "…" was cut by the log and is compared as far as it goes. Reads the audit once from
    end to end, and holds nothing of it but a page.
    """
    line = _Line(public_key, exported)
    walks: dict[str, _Walk] = {}
    for row in all_checkpoints(connection):
        for writer, (place, digest) in line.proven(row).items():
            if writer not in walks:
                walks[writer] = _Walk(connection, writer)
            walks[writer].follow(place, bytes.fromhex(digest))
    for writer in writers(connection):
        if writer not in walks:
            walks[writer] = _Walk(connection, writer)
    chains = [walk for _, walk in sorted(walks.items())]
    for walk in chains:
        walk.end()
    events, proven = sum(walk.events for walk in chains), sum(walk.proven for walk in chains)
    problems = [*line.problems, *line.missing(), *(problem for walk in chains for problem in walk.problems)]
    return Report(events, proven, events - proven, line.count, line.until, tuple(problems[:_MOST_PROBLEMS]))


class _Problems(list[str]):
    """Sentences, no more than are shown: of a chain that somebody wrote anew there are millions."""

    def note(self, sentence: str) -> None:
        """Add one."""
        if len(self) < _MOST_PROBLEMS:
            self.append(sentence)


class _Line:
    """The line of checkpoints, looked at one by one. ``until`` is the time of the last good one."""

    def __init__(self, public_key: Ed25519PublicKey, exported: Iterable[str]) -> None:
        self.problems = _Problems()
        self.count = 0
        self.until: datetime | None = None
        self._public_key = public_key
        self._seq, self._prev = 0, START
        self._kept: dict[str, set[str]] = defaultdict(set)
        for text in exported:
            self._kept[_name(text)].add(text)

    def proven(self, row: Row[Any]) -> Mapping[str, Sequence[Any]]:
        """Check the next one; return what it proves: the place of each writer and the hash there, in hex."""
        if row.seq != self._seq + 1 or row.prev != self._prev:
            self.problems.note(f"checkpoint {row.seq} does not follow checkpoint {self._seq}")
        text = exported_line(row)
        if (name := _name(text)) in self._kept:
            self._kept[name] = {line for line in self._kept[name] if not _same(line, text)}
        self._seq, self._prev = row.seq, checkpoint_hash(row)
        self.count += 1
        if not is_valid(row, self._public_key):
            self.problems.note(f"checkpoint {row.seq} is not signed by this installation's key")
            return {}
        self.until = row.at
        heads: dict[str, Sequence[Any]] = json.loads(row.heads)
        return heads

    def missing(self) -> list[str]:
        """Return what is to be said of exported lines that are not in the database."""
        lines = sorted(line for lines in self._kept.values() for line in lines)
        return [f"an exported checkpoint is not in the database: {line}" for line in lines[:_MOST_PROBLEMS]]


class _Walk:
    """One writer's chain, followed from its first event to its last; ``proven`` of its ``events`` are signed."""

    def __init__(self, connection: Connection, writer: str) -> None:
        self.problems = _Problems()
        self.events = self.proven = 0
        self._writer = writer
        self._rows = chain_of(connection, writer)
        self._seq, self._prev = 0, genesis(writer)
        self._signed = (0, b"")

    def follow(self, place: int, digest: bytes) -> None:
        """Go on to the event at ``place``, whose hash was signed; a writer who was silent stands there already."""
        if (place, digest) == self._signed:
            return
        gone_by = place < self._signed[0]
        while self._seq < place and self._step():
            pass
        if gone_by or (self._seq == place and self._prev != digest):
            self.problems.note(f"{self._writer}: event {place} is not the one that a checkpoint signed")
        if place > self._signed[0]:
            self.proven = self.events - (self._seq > place)
            self._signed = (place, digest)

    def end(self) -> None:
        """Go on to the last event."""
        while self._step():
            pass
        place, _ = self._signed
        if place and not self.events:
            self.problems.note(f"{self._writer}: the whole chain is missing")
        elif self._seq < place:
            sentence = f"{self._writer}: the chain ends at event {self._seq}, but {place} was signed: it was cut off"
            self.problems.note(sentence)

    def _step(self) -> bool:
        event = next(self._rows, None)
        if event is None:
            return False
        self.events += 1
        if event.seq != self._seq + 1:
            self.problems.note(f"{self._writer}: events {self._seq + 1} to {event.seq - 1} are missing")
        elif event.prev != self._prev:
            self.problems.note(f"{self._writer}: event {self._seq} was changed, or {event.seq} does not follow it")
        self._seq, self._prev = event.seq, event_hash(event)
        return True


def _name(line: str) -> str:
    """Return the front of an exported line, number included."""
    return " ".join(line.split(" ", 3)[:3])


def _same(line: str, text: str) -> bool:
    return line == text or (line.endswith(_CUT) and text.startswith(line.removesuffix(_CUT)))
