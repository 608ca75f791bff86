"""Server keys that were destroyed and must stay destroyed, whatever backup of the keys is restored.

One line for each, ``kek <id, hex>``, in a file beside the keys. Lines are only added.
"""

import os
from pathlib import Path

from relay.durable import sync_folder
from relay.errors import KeyringError

_KIND = "kek"


def bury(file: Path, kek_id: bytes) -> None:
    """Note, durably, that a server key must stay destroyed."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The line break in front ends a line that a crash may have left half; empty lines mean nothing.
            os.write(descriptor, f"\n{_KIND} {kek_id.hex()}\n".encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(file.parent)  # the first note makes the file
    except OSError as error:
        raise KeyringError(f"{file}: {error.strerror}") from error


def buried(file: Path) -> frozenset[bytes]:
    """Return the ids of the server keys that must stay destroyed."""
    try:
        lines = file.read_text("ascii", "replace").splitlines()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise KeyringError(f"{file}: {error.strerror}") from error
    found = set()
    for line in lines:
        kind, _, identifier = line.partition(" ")
        if kind == _KIND and len(identifier) == 32 and set(identifier) <= set("0123456789abcdef"):  # noqa: PLR2004
            found.add(bytes.fromhex(identifier))
    return frozenset(found)
