"""Keys and store for one command, beside a gateway that may be running."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from relay.cli.session import Session
from relay.clock import id_from_text
from relay.config import Configuration
from relay.errors import RefusedError
from relay.store.audit import Audit
from relay.store.writer import Store, open_store
from relay.vault.keyring import Keyring

WRITER = "cli"  # the name of the command line's own audit chain


@dataclass(frozen=True, slots=True)
class Opened:
    """Configuration, keys, store and audit, opened for one command."""

    configuration: Configuration
    keyring: Keyring
    store: Store
    audit: Audit


@contextmanager
def opened(session: Session) -> Iterator[Opened]:
    """Open what a command needs; ConfigurationError, KeyringError or StoreError say what is missing."""
    configuration = session.configuration()
    keyring = Keyring.open(configuration.keys.folder, role="cli")
    store = open_store(configuration.storage.database)
    try:
        yield Opened(configuration, keyring, store, Audit(keyring, writer=WRITER))
    finally:
        store.close()


def identifier(text: str) -> bytes:
    """Return the id that a person typed; RefusedError when it is none."""
    try:
        return id_from_text(text.strip().lower())
    except ValueError:
        raise RefusedError(
            f'"{text}" is no id of the queue: it has 26 letters and digits, and "letterlock queue list" shows it'
        ) from None
