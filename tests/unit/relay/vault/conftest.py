"""A keyring, a blob store, and the two sides of the vault on a fresh database of each kind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.clock import new_id
from relay.message.parts import Part, Reading
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring
from relay.vault.opener import Link, Opened, Opener
from relay.vault.vault import SealedDraft, Vault

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=30)


@pytest.fixture
def key_folder(tmp_path: Path) -> Path:
    """A fresh set of keys."""
    folder = tmp_path / "keys"
    Keyring.create(folder)
    return folder


@pytest.fixture
def keyring(key_folder: Path) -> Keyring:
    """The relay's keys."""
    return Keyring.open(key_folder, role="relay")


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """An empty blob store."""
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
def vault(keyring: Keyring, blobs: FileBlobs, store: Store) -> Vault:
    """The relay's side."""
    return Vault(keyring, blobs, store)


@pytest.fixture
def opener(key_folder: Path, blobs: FileBlobs) -> Opener:
    """The portal's side, with the portal's keys."""
    return Opener(Keyring.open(key_folder, role="portal"), blobs)


def reading(**changes: object) -> Reading:
    """Return a message with a text, an HTML body, an inline picture and an attachment."""
    values: dict[str, object] = {
        "message_id": "<1@example.org>",
        "from_": "anna@example.org",
        "to": ("jane@example.net",),
        "cc": ("kim@example.org",),
        "date": datetime(2026, 11, 22, 13, 29, 58, tzinfo=UTC),
        "subject": "Your appointment ✓",
        "parts": (
            Part("text", "the text", type="text/plain", text="Grüße, Jane"),
            Part("html", "the HTML", type="text/html", text="<p>Grüße</p>"),
            Part("inline", "picture", name="logo.png", type="image/png", data=b"\x89PNG", cid="logo"),
            Part("attachment", "report.pdf", name="report.pdf", type="application/pdf", data=bytes(range(256)) * 40),
        ),
    }
    return Reading(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def seal(vault: Vault, store: Store) -> Callable[..., SealedDraft]:
    """Seal and store a message; arguments as Vault.seal, all with defaults."""

    def do(**changes: object) -> SealedDraft:
        values: dict[str, object] = {
            "message_id": new_id(),
            "reading": reading(),
            "original": b"Subject: Your appointment\r\n\r\nGr\xc3\xbc\xc3\x9fe, Jane\r\n",
            "sender": "anna@example.org",
            "readers": ("jane@example.net",),
            "now": NOW,
            "expires_at": EXPIRES,
        }
        draft = vault.seal(**(values | changes))  # type: ignore[arg-type]
        store.run(lambda connection: vault.insert(connection, draft))
        return draft

    return do


@pytest.fixture
def arrive(store: Store, opener: Opener) -> Callable[..., Link | None]:
    """Look up a reader's link as the portal does."""

    def do(draft: SealedDraft, address: str = "jane@example.net", now: datetime = NOW) -> Link | None:
        link = draft.links[address]
        with store.read() as connection:
            return opener.find_link(connection, link.link_id, link.secret, now)

    return do


@pytest.fixture
def open_all(store: Store, opener: Opener, arrive: Callable[..., Link | None]) -> Callable[..., Opened]:
    """Open everything that a reader's link opens."""

    def do(draft: SealedDraft, address: str = "jane@example.net", now: datetime = NOW) -> Opened:
        link = arrive(draft, address, now)
        assert link is not None
        with store.read() as connection:
            return opener.open_messages(connection, link, now)

    return do
