"""A portal over a real store, real keys and a real vault, without the relay: letters are sealed here, codes are kept."""

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.access.codes import CodeMail
from portal.app import Services, create_app, server_of
from portal.rendering.pages import Site
from relay.clock import new_id
from relay.message.reading import read
from relay.queue.requests import RequestKind, request_code
from relay.queue.requests import read as read_request
from relay.store.audit import Audit
from relay.store.schema import migrate
from relay.store.tables import PortalRequest
from relay.store.writer import Store, open_store
from relay.vault.blobs import FileBlobs
from relay.vault.correspondence import Author, Correspondence
from relay.vault.drafts import DraftLimits, Drafts
from relay.vault.keyring import Keyring
from relay.vault.opener import Opener
from relay.vault.people import Person, Role, people
from relay.vault.requests import open_request
from relay.vault.vault import PickupLink, SealedDraft, Vault
from tests.letters import ANNA, JANE

_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
LANGUAGES = ("en", "nl", "de", "fr")
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CONTACT = "Help desk, +44 20 7946 0000"


@dataclass(slots=True)
class Clock:
    """A clock that only moves when a test moves it."""

    at: datetime = MONDAY

    def now(self) -> datetime:
        """Return the moment that is set."""
        return self.at

    def pass_time(self, **amount: float) -> None:
        """Move on, for example ``minutes=10``."""
        self.at += timedelta(**amount)


@cache
def _empty_database() -> bytes:
    """A database of this version, made once."""
    with TemporaryDirectory() as folder:
        migrate(f"sqlite:///{folder}/letterlock.db")
        return (Path(folder) / "letterlock.db").read_bytes()


@dataclass(slots=True)
class Stage:
    """One installation in ``folder``; ``codes`` are the code mails that the portal asked for, oldest first."""

    folder: Path
    base_url: str = "https://portal.example.org"
    now: Callable[[], datetime] = field(default_factory=lambda: Clock().now)
    inline_limit: int = 16 << 10
    limits: DraftLimits = DraftLimits()  # noqa: RUF009  # frozen
    codes: list[CodeMail] = field(default_factory=list)
    store: Store = field(init=False)
    vault: Vault = field(init=False)
    relay_keys: Keyring = field(init=False)
    blobs: FileBlobs = field(init=False)
    app: ASGIApp = field(init=False)
    healthy: bool = True
    database: str = ""  # URL; empty: SQLite in the folder

    def __post_init__(self) -> None:
        url = self.database or f"sqlite:///{self.folder / 'letterlock.db'}"
        if self.database:
            migrate(url)
        else:
            (self.folder / "letterlock.db").write_bytes(_empty_database())
        Keyring.create(self.folder / "keys")
        self.store = open_store(url)
        blobs = FileBlobs(self.folder / "blobs")
        relay_keys = Keyring.open(self.folder / "keys", role="relay")
        self.vault = Vault(relay_keys, blobs, self.store, inline_limit=self.inline_limit)
        keyring = Keyring.open(self.folder / "keys", role="portal")

        def send(conn: Connection, mail: CodeMail, at: datetime) -> None:
            request_code(
                conn,
                keyring,
                link_id=mail.link_id,
                participant_id=mail.participant_id,
                code=mail.code,
                expires_at=mail.expires_at,
                language=mail.language,
                now=at,
            )
            self.codes.append(mail)

        self.relay_keys, self.blobs = relay_keys, blobs
        opener = Opener(keyring, blobs)
        drafts = Drafts(keyring, opener, blobs, self.store, inline_limit=self.inline_limit, limits=self.limits)
        services = Services(
            store=self.store,
            keyring=keyring,
            opener=opener,
            drafts=drafts,
            audit=Audit(keyring, writer="portal"),
            send_code=send,
            health=lambda: (self.healthy, {"status": "ok" if self.healthy else "failing"}),
        )
        site = Site("Example Council", CONTACT, LANGUAGES, ZoneInfo("Europe/London"), ("[secure]",))
        self.app = create_app(site, self.base_url, services, self.now)

    def seal(self, original: bytes, readers: Sequence[str] = (JANE,), *, days: int = 30) -> dict[str, PickupLink]:
        """Seal a letter as the relay does; return each reader's link."""
        return self.seal_draft(original, readers, days=days).links

    def seal_draft(
        self, original: bytes, readers: Sequence[str] = (JANE,), *, blind: Sequence[str] = (), days: int = 30
    ) -> SealedDraft:
        """Seal a letter as the relay does; return all that is known of it."""
        now = self.now()
        draft = self.vault.seal(
            message_id=new_id(),
            reading=read(original),
            original=original,
            sender=ANNA,
            readers=readers,
            blind=blind,
            now=now,
            expires_at=now + timedelta(days=days),
        )
        self.store.run(lambda conn: self.vault.insert(conn, draft))
        return draft

    def people(self, conversation: SealedDraft) -> dict[str, Person]:
        """Return everybody of a conversation by address."""
        with self.store.read() as conn:
            return {person.address: person for person in people(conn, self.relay_keys, conversation.conversation_id)}

    def join(
        self,
        conversation: SealedDraft,
        original: bytes,
        author: str,
        readers: Sequence[str],
        *,
        fresh_links: bool = False,
        message_id: bytes = b"",
    ) -> SealedDraft:
        """Seal one more letter into a conversation, as the relay does for an answer that brings no secret."""
        known = self.people(conversation)
        now = self.now()
        draft = Correspondence(self.relay_keys, self.blobs, self.store, inline_limit=self.inline_limit).seal_into(
            capability=None,
            conversation_id=conversation.conversation_id,
            message_id=message_id or new_id(),
            reading=read(original),
            original=original,
            author=Author.STAFF if known[author].role is Role.SENDER else Author.READER,
            author_id=known[author].participant_id,
            to=[known[reader] for reader in readers],
            fresh_links=fresh_links,
            now=now,
            expires_at=now + timedelta(days=30),
        )
        self.store.run(lambda conn: self.vault.insert(conn, draft))
        return draft

    def requests(self, kind: RequestKind) -> dict[bytes, Any]:
        """Return what the portal asked the relay for, by id, as the relay reads it."""
        with self.store.read() as conn:
            rows = conn.execute(select(_REQUEST).where(_REQUEST.c.kind == kind).order_by(_REQUEST.c.created_at)).all()
        keys = self.relay_keys
        return {row.id: read_request(row.kind, open_request(keys, row.kind, row.id, row.item)) for row in rows}

    def close(self) -> None:
        """Close the store."""
        self.store.close()


SLOW_LINE = float(os.environ.get("LETTERLOCK_SLOW_LINE", "0"))  # seconds, at most, before and inside each answer


def slowed(app: ASGIApp, longest: float) -> ASGIApp:
    """Put ``app`` at the end of a slow line: what does not wait for a whole page meets an empty one."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        async def late(event: Message) -> None:
            if event["type"] == "http.response.body":
                await asyncio.sleep(random.uniform(0, longest))
            await send(event)

        if scope["type"] == "http":
            await asyncio.sleep(random.uniform(0, longest))
        await app(scope, receive, late)

    return slow


class Served:
    """A stage behind a real web server in a thread of this process."""

    def __init__(self, stage: Stage, port: int) -> None:
        self.stage = stage
        app = slowed(stage.app, SLOW_LINE) if SLOW_LINE else stage.app
        self._server = server_of(app, "127.0.0.1", port)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline, "the portal does not listen"
            threading.Event().wait(0.01)

    def url(self, link: PickupLink) -> str:
        """The address that stands in the notice."""
        return self.stage.base_url + link.path

    def close(self) -> None:
        """Stop the server, then close the store."""
        self._server.should_exit = True
        self._thread.join(10)
        self.stage.close()
