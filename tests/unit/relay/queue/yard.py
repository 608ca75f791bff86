"""A relay's queue with everything real under it: database, keys, blobs, audit; only the clock is a test's."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from relay.dkim.signer import Signer
from relay.languages import load_languages
from relay.notices.letterhead import LOCALE
from relay.queue.backoff import Ladder
from relay.queue.delivery import Delivery
from relay.queue.dsn import Reporter
from relay.queue.incoming import Reheaded
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.patience import Patience
from relay.queue.reports import Reports
from relay.queue.routes import Route, Routes, TlsMode
from relay.queue.spooling import Draft, NewEntry, Spooler, insert_message
from relay.queue.transport import Transport
from relay.store.audit import Audit
from relay.store.tables import Blob, Entry, Spool
from relay.store.tables.queue import Kind
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring
from tests.unit.relay.queue.nexthop import NextHop

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LADDER = Ladder((MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR), 5 * DAY, 4 * HOUR)
LETTER = b"From: bob@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nDear Ann\r\n"
PATIENCE = Patience(connect=30, greeting=30, command=30, block=30, final=30, transaction=60)  # that of a busy machine


class Clock:
    """A wall clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def pass_(self, time: timedelta) -> None:
        self.time += time


@dataclass
class Yard:
    """The queue of one relay process; ``delivery`` makes its worker."""

    store: Store
    keyring: Keyring
    blobs: FileBlobs
    audit: Audit
    spooler: Spooler
    clock: Clock

    @classmethod
    def build(cls, store: Store, folder: Path) -> "Yard":
        Keyring.create(folder / "keys")
        keyring = Keyring.open(folder / "keys", role="relay")
        blobs = FileBlobs(folder / "blobs")
        spooler = Spooler(store, keyring, blobs, inline_limit=4096, signer=Signer())
        return cls(store, keyring, blobs, Audit(keyring, "relay-0"), spooler, Clock())

    def routes(self, outside: Sequence[NextHop], inside: Sequence[NextHop] = ()) -> Routes:
        both = {"outside": outside, "inside": inside or outside}
        return Routes(
            (Route(name, tuple(hop.endpoint for hop in hops), TlsMode.NONE) for name, hops in both.items()),
            inside_domains=["example.org"],
        )

    def delivery(self, routes: Routes, *, worker: int = 0, **more: Any) -> Delivery:
        reporter = Reporter(
            "Example Council", "letter.example.org", "gw.example.org", load_languages([LOCALE], ["en"])["en"]
        )
        settings: dict[str, Any] = {
            "owner": worker.to_bytes(16, "big"),
            "now": self.clock,
            "spread": lambda low, high: (low + high) / 2,
            "poll_seconds": 0.01,
            "retry_seconds": 0.01,
            "ladder": LADDER,
            "transport": Transport(ehlo_name="gw.example.org", patience=PATIENCE),
        }
        return Delivery(
            store=self.store,
            keyring=self.keyring,
            blobs=self.blobs,
            audit=self.audit,
            routes=routes,
            reports=Reports(self.store, reporter, self.spooler, routes, LADDER.give_up_after),
            **(settings | more),
        )

    def draft(
        self,
        *recipients: str | EntryEnvelope,
        content: bytes | Reheaded = LETTER,
        envelope: QueuedEnvelope | None = None,
        kind: Kind = Kind.MAIL,
        participant_id: bytes | None = None,
        route: str = "",
        **more: Any,
    ) -> Draft:
        named = [EntryEnvelope(one) if isinstance(one, str) else one for one in recipients]
        ways = [route or ("inside" if one.recipient.endswith("@example.org") else "outside") for one in named]
        entries = [NewEntry(kind, way, one, participant_id) for way, one in zip(ways, named, strict=True)]
        return self.spooler.draft(
            envelope or QueuedEnvelope("bob@example.org"), entries, content, now=self.clock(), **more
        )

    def queue(self, *recipients: str | EntryEnvelope, **more: Any) -> Draft:
        """Put a message into the queue: due, not leased."""
        draft = self.draft(*recipients, **more)
        self.store.run(lambda conn: insert_message(conn, draft))
        return draft

    def entries(self) -> list[Row[Any]]:
        with self.store.read() as conn:
            return list(conn.execute(select(Entry.__table__).order_by(Entry.created_at, Entry.id)))  # type: ignore[attr-defined,arg-type]

    def states(self) -> list[str]:
        return sorted(row.state for row in self.entries())

    def spooled(self) -> int:
        with self.store.read() as conn:
            return len(conn.execute(select(Spool.__table__.c.message_id)).all())  # type: ignore[attr-defined]

    def blob_states(self) -> list[str]:
        with self.store.read() as conn:
            return list(conn.execute(select(Blob.__table__.c.state)).scalars())  # type: ignore[attr-defined]


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something has become true; the only way these tests wait."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is waited for is a row in the database
            await asyncio.sleep(0.005)
