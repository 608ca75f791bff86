"""The keys of a new installation: all of them appear in one moment, or none does."""

import secrets
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relay.durable import make_folder, sync_folder
from relay.errors import KeyringError
from relay.vault.keyfiles import new_key, write_key, write_public
from relay.vault.sealing.queue_item import new_queue_private, queue_public

PLACES = {
    "row-1": "relay", "address": "relay", "audit": "relay", "signing": "relay", "queue": "relay",
    "index": "shared", "enqueue": "shared", "ticket": "portal", "code": "portal", "page": "portal",
}  # fmt: skip


def create(folder: Path) -> None:
    """Make the keys in ``folder``; KeyringError when there are keys already, or the disk does not take them."""
    if folder.exists() and any(folder.iterdir()):
        raise KeyringError(f"there are keys in {folder} already: they are never overwritten")
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        make_folder(folder.parent)
        make_folder(draft, like=folder if folder.exists() else folder.parent)
        _fill(draft)
        draft.replace(folder)  # an empty folder may stand there
        sync_folder(folder.parent)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise KeyringError(f"the keys cannot be made in {folder}: {error.strerror}") from error


def _fill(folder: Path) -> None:
    for name in ("relay", "shared", "portal", "public"):
        make_folder(folder / name)
    private = new_queue_private()
    signing = Ed25519PrivateKey.generate()
    given = {"queue": private, "signing": signing.private_bytes_raw()}
    for name, place in PLACES.items():
        write_key(folder / place, new_key(name, given.get(name)))
    write_public(folder / "public" / "queue.pub", queue_public(private))
    write_public(folder / "public" / "signing.pub", signing.public_key().public_bytes_raw())
    sync_folder(folder)
