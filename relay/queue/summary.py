"""What waits, added up by way out and reason: what a person looks at first where thousands of entries wait."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from relay.queue.inspection import UNFINISHED, reply_words
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState
from relay.vault.keyring import Keyring

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_UNTRIED = {
    EntryState.LEASED: "being sent",
    EntryState.DUE: "waits for its first try",
    EntryState.PAUSED: "kept back by an operator",
}


@dataclass(slots=True)
class Heap:
    """Entries of one route that wait for the same reason. ``why`` are the newest words of a next hop, or our own.

    ``next_try`` is the first of them, None where no try is to come.
    """

    route: str
    state: EntryState
    why: str
    oldest: datetime
    next_try: datetime | None
    domains: Counter[str] = field(default_factory=Counter)

    @property
    def entries(self) -> int:
        """How many they are."""
        return self.domains.total()


def summarize(conn: Connection, keyring: Keyring) -> tuple[Heap, ...]:
    """Return everything that waits, the largest heap first.

    What was put off is told apart by the next hop, its code and the enhanced status; its words may name a recipient.
    """
    alike = (_ENTRY.c.route, _ENTRY.c.state, _ENTRY.c.domain, _ENTRY.c.attempts > 0, _ENTRY.c.last_code)
    parts = (
        select(
            *(_ENTRY.c.id, _ENTRY.c.route, _ENTRY.c.state, _ENTRY.c.domain, _ENTRY.c.attempts),
            *(_ENTRY.c.last_code, _ENTRY.c.last_reply),
            func.count().over(partition_by=alike).label("entries"),
            func.min(_ENTRY.c.created_at).over(partition_by=alike).label("oldest"),
            func.min(_ENTRY.c.due_at).over(partition_by=alike).label("next_try"),
            func.row_number().over(partition_by=alike, order_by=(_ENTRY.c.due_at.desc(), _ENTRY.c.id)).label("place"),
        )
        .where(_ENTRY.c.state.in_([state.value for state in UNFINISHED]))
        .subquery()
    )
    return _heaps(keyring, conn.execute(select(parts).where(parts.c.place == 1)).all())


def _heaps(keyring: Keyring, parts: Iterable[Row[Any]]) -> tuple[Heap, ...]:
    heaps: dict[tuple[str, ...], Heap] = {}
    for part in parts:
        state = EntryState(part.state)
        tried = state is EntryState.DUE and part.attempts > 0
        why = reply_words(keyring, part) if tried else _UNTRIED[state]
        key = (part.route, part.state, _reason(why) if tried and part.last_code else why)
        heap = heaps.setdefault(key, Heap(part.route, state, why, part.oldest, None))
        heap.domains[part.domain] += part.entries
        heap.oldest = min(heap.oldest, part.oldest)
        if state is EntryState.DUE:
            heap.next_try = min(heap.next_try or part.next_try, part.next_try)
    return tuple(sorted(heaps.values(), key=lambda heap: (-heap.entries, heap.oldest)))


def _reason(words: str) -> str:
    """Return code, enhanced status and next hop of a server's answer."""
    code, status, *_rest = (*words.split(" ", 2), "", "")
    return f"{code} {status} {words.rpartition('(')[2]}"
