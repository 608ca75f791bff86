"""The sweep as a process of its own, at a moment that the drill names: what expires then, goes."""

from datetime import datetime, timedelta
from pathlib import Path

from relay.config.load import load
from relay.store.audit import Audit
from relay.store.slot import Slot
from relay.store.writer import open_store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring
from relay.vault.retention import sweep
from relay.vault.steady import STEADY


def main(configuration: Path, now: str) -> int:
    """Sweep once under a clock that has shown this time for a while; return the exit code."""
    settings = load(configuration)
    moment = datetime.fromisoformat(now)
    keyring = Keyring.open(settings.keys.folder, role="relay")
    slot = Slot(settings.storage.database, "sweeper")
    store, blobs = open_store(settings.storage.database), FileBlobs(settings.storage.blobs)
    audit = Audit(keyring, writer="sweeper")
    sweep(store, blobs, keyring, audit, moment - STEADY - timedelta(minutes=1))  # doubted: the clock has jumped
    sweep(store, blobs, keyring, audit, moment)
    store.close()
    slot.close()
    return 0
