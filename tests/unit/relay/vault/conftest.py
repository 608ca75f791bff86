"""A keyring, a blob store, and the two sides of the vault on a fresh database of each kind."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from relay.clock import new_id
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.correspondence import Correspondence
from relay.vault.keyring import Keyring
from relay.vault.opener import Link, Opened, Opener
from relay.vault.vault import SealedDraft, Vault

from .letters import EXPIRES, NOW, reading
from .talk import Talk

__all__ = ["EXPIRES", "NOW", "reading"]


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


@pytest.fixture
def talk(*, store: Store, keyring: Keyring, vault: Vault, blobs: FileBlobs, opener: Opener) -> Talk:
    """A conversation that has not begun."""
    return Talk(store, keyring, vault, Correspondence(keyring, blobs, store), opener)
