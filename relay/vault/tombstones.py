"""What was destroyed before its time and must stay destroyed, whatever backup is restored.

One line for each: ``kek <id, hex>`` or ``message <id, hex>``, in a file beside the keys. Lines are only added.
"""

import os
from enum import StrEnum
from pathlib import Path

from relay.errors import KeyringError


class Grave(StrEnum):
    """What a tombstone stands for."""

    KEK = "kek"
    MESSAGE = "message"


def bury(file: Path, what: Grave, identifier: bytes) -> None:
    """Note, durably, that ``identifier`` must stay destroyed."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The line break in front ends a line that a crash may have left half; empty lines mean nothing.
            os.write(descriptor, f"\n{what} {identifier.hex()}\n".encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KeyringError(f"{file}: {error.strerror}") from error


def buried(file: Path, what: Grave) -> frozenset[bytes]:
    """Return the identifiers of everything of this kind that must stay destroyed."""
    try:
        lines = file.read_text("ascii", "replace").splitlines()
    except FileNotFoundError:
        return frozenset()
    except OSError as error:
        raise KeyringError(f"{file}: {error.strerror}") from error
    found = set()
    for line in lines:
        kind, _, identifier = line.partition(" ")
        if kind == what and len(identifier) == 32 and set(identifier) <= set("0123456789abcdef"):  # noqa: PLR2004
            found.add(bytes.fromhex(identifier))
    return frozenset(found)
