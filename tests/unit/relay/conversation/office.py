"""A sealed message with the mail about it, in the queue of a relay: what desks and duties of a conversation work on."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select, update

from relay.clock import new_id
from relay.dkim.signer import Signer
from relay.languages import load_languages
from relay.message.reading import read
from relay.notices.letterhead import LOCALE
from relay.plan import Arrival, Part, Plan, write
from relay.queue.dsn import Reporter
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.reports import Reports
from relay.queue.return_path import ReturnPaths
from relay.queue.routes import Route, Routes, TlsMode
from relay.queue.spooling import Draft, NewEntry, Spooler, insert_message
from relay.smtp.values import ClientFacts, ForwardPath, SmtpEnvelope
from relay.store.audit import Audit
from relay.store.tables import AuditEvent, Entry, Participant
from relay.store.tables.queue import Direction, EntryState, Kind
from relay.store.tables.sealed import ReaderState
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring
from relay.vault.vault import SealedDraft, Vault

DOMAIN = "letter.example.org"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA, JANE, BOB = "anna@example.org", "jane@example.net", "bob@example.net"
LETTER = b"From: anna@example.org\r\nTo: jane@example.net\r\nSubject: Canary\r\nMessage-ID: <1@desk.example.org>\r\n\r\nHi\r\n"
STRANGER = ClientFacts("192.0.2.25", 25, "mx.example.net", esmtp=True)
ENTRY = Entry.__table__  # type: ignore[attr-defined]
READER = Participant.__table__  # type: ignore[attr-defined]
_EVENT = AuditEvent.__table__  # type: ignore[attr-defined]


@dataclass
class Office:
    """One relay's store with its keys. Time stands still at NOW."""

    store: Store
    keyring: Keyring
    vault: Vault
    spooler: Spooler
    audit: Audit
    returns: ReturnPaths
    routes: Routes
    reports: Reports
    notices: dict[str, bytes] = field(default_factory=dict)  # address -> queued id of the pickup notice

    @classmethod
    def open(cls, store: Store, folder: Path) -> "Office":
        Keyring.create(folder / "keys")
        keyring = Keyring.open(folder / "keys", role="relay")
        blobs = FileBlobs(folder / "blobs")
        returns = ReturnPaths(keyring, DOMAIN)
        spooler = Spooler(store, keyring, blobs, inline_limit=1 << 20, signer=Signer(), returns=returns)
        routes = Routes(
            (Route(name, (), TlsMode.NONE) for name in ("inside", "outside")), inside_domains=["example.org"]
        )
        reporter = Reporter("Example Council", DOMAIN, "gw.example.org", load_languages([LOCALE], ["en"])["en"])
        reports = Reports(store, reporter, spooler, routes, timedelta(days=5))
        vault = Vault(keyring, blobs, store)
        return cls(store, keyring, vault, spooler, Audit(keyring, "relay-0"), returns, routes, reports)

    def seal(self, *readers: str, sender: str = ANNA, at: datetime = NOW, receipt: bool = True) -> SealedDraft:
        """Accept and seal a letter; its notices and its receipt were handed over."""
        message_id = new_id()
        sealed = self.vault.seal(
            message_id=message_id,
            reading=read(LETTER),
            original=LETTER,
            sender=sender,
            readers=readers or (JANE,),
            now=at,
            expires_at=at + timedelta(days=30),
        )
        record = self.spooler.draft(
            QueuedEnvelope(sender), [], b"", now=at, message_id=message_id, direction=Direction.OUT
        )
        self.store.run(lambda conn: insert_message(conn, record))
        self.store.run(lambda conn: self.vault.insert(conn, sealed))
        for address, link in sealed.links.items():
            draft = self.queue(Kind.NOTICE, address, message_id, link.participant_id, at, report_to=sender)
            self.notices[address] = draft.message_id
            self._reader(link.participant_id, state=ReaderState.NOTIFIED.value, notified_at=at)
        if receipt and sender:
            self.queue(Kind.RECEIPT, sender, message_id, None, at)
        return sealed

    def queue(  # noqa: PLR0917
        self,
        kind: Kind,
        to: str,
        parent: bytes | None,
        participant_id: bytes | None,
        at: datetime = NOW,
        state: EntryState = EntryState.DONE,
        report_to: str = "",
        route: str = "",
    ) -> Draft:
        """Put a mail of ours into the queue; by default it was handed over already."""
        entry = NewEntry(kind, route or self.routes.name_for(to), EntryEnvelope(to), participant_id)
        draft = self.spooler.draft(QueuedEnvelope("", report_to=report_to), [entry], b"x", now=at, parent=parent)
        draft.entry_rows[0]["state"] = state.value
        self.store.run(lambda conn: insert_message(conn, draft))
        return draft

    def arrival(self, content: bytes, *to: str, client: ClientFacts = STRANGER, reverse_path: str = "") -> Arrival:
        """A message in hand for these recipients."""
        envelope = SmtpEnvelope(reverse_path, tuple(ForwardPath(one) for one in to))
        return Arrival(new_id(), NOW, envelope, content, client, read(content))

    def commit(self, arrival: Arrival, part: Part) -> None:
        """Write what a desk wants written."""
        plan = Plan(arrival.id, arrival.at, (part,))
        self.store.run(lambda conn: write(conn, plan, self.vault, self.audit))

    def entries(self, *kinds: Kind) -> list[Row[Any]]:
        with self.store.read() as conn:
            wanted = [kind.value for kind in kinds]
            return list(conn.execute(select(ENTRY).where(ENTRY.c.kind.in_(wanted)).order_by(ENTRY.c.created_at)))

    def state_of(self, queued_id: bytes) -> str:
        with self.store.read() as conn:
            return str(conn.execute(select(ENTRY.c.state).where(ENTRY.c.message_id == queued_id)).scalar_one())

    def reader(self, participant_id: bytes) -> Row[Any]:
        with self.store.read() as conn:
            return conn.execute(select(READER).where(READER.c.id == participant_id)).one()

    def set_reader(self, participant_id: bytes, **values: object) -> None:
        """Change what is kept of how far a reader has come."""
        self._reader(participant_id, **values)

    def _reader(self, participant_id: bytes, **values: object) -> None:
        self.store.run(
            lambda conn: conn.execute(update(READER).where(READER.c.id == participant_id).values(**values)) and None
        )

    def told(self) -> list[str]:
        """The audit, as sentences without the personal facts."""
        with self.store.read() as conn:
            rows = conn.execute(select(_EVENT.c.event, _EVENT.c.facts).order_by(_EVENT.c.seq)).all()
        return [f"{row.event} {row.facts}" for row in rows]
