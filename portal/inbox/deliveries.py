"""What arrived, one file for each recipient: the bytes as delivered below ``Delivered-To`` and ``Return-Path``."""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relay.errors import StoreError
from relay.message.headers import prepend

KEPT = 2000  # deliveries; the oldest go first
_NAME = re.compile(r"(\d{20})-([0-9a-f]{16})\.eml")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy in one mailbox."""

    id: str
    recipient: str
    arrived_at: datetime
    path: Path

    def content(self) -> bytes:
        """Return the message as it arrived, below the two fields that delivery added (RFC 5321 §4.4)."""
        return self.path.read_bytes()


class Deliveries:
    """All mailboxes, in a folder. One process owns it; calls are short and safe on its event loop.

    StoreError leaves where the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with _explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._all = {found.id: found for path in sorted(folder.glob("*.eml")) if (found := _load(path))}

    def add(self, recipients: Sequence[str], return_path: str, content: bytes) -> None:
        """Put one copy into the mailbox of each recipient."""
        for recipient in recipients:
            now = datetime.now(UTC)
            name = f"{int(now.timestamp() * 1e6):020d}-{secrets.token_hex(8)}"
            path = self._folder / f"{name}.eml"
            fields = (("Delivered-To", recipient), ("Return-Path", f"<{return_path}>"))
            unfinished = path.with_suffix(".part")
            with _explained(self._folder):
                unfinished.write_bytes(prepend(fields, content))
                unfinished.rename(path)
            self._all[name] = Delivery(name, recipient, now, path)
        for name in list(self._all)[:-KEPT]:
            self._all.pop(name).path.unlink(missing_ok=True)

    def mailboxes(self) -> list[tuple[str, int]]:
        """Return each address with its number of messages, the one with the newest mail first."""
        counts: dict[str, int] = {}
        for delivery in reversed(self._all.values()):
            counts[delivery.recipient] = counts.get(delivery.recipient, 0) + 1
        return list(counts.items())

    def of(self, recipient: str) -> list[Delivery]:
        """Return one mailbox, newest first."""
        return [found for found in reversed(self._all.values()) if found.recipient == recipient]

    def get(self, identifier: str) -> Delivery | None:
        """Return one delivery by its id, or None."""
        return self._all.get(identifier)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"the demo inbox cannot use {error.filename or folder}: {error.strerror}") from error


def _load(path: Path) -> Delivery | None:
    match = _NAME.fullmatch(path.name)
    with path.open("rb") as file:
        field, _, recipient = file.readline(1000).decode("utf-8", "replace").partition(":")
    if not match or field != "Delivered-To":
        return None
    arrived = datetime.fromtimestamp(int(match[1]) / 1e6, UTC)
    return Delivery(path.stem, recipient.strip(), arrived, path)
