"""The one place that reads the wall clock and draws identifiers, so that tests can name every moment."""

import base64
import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache

ID_LENGTH = 16


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def local_text(at: datetime) -> str:
    """Return a moment for the person at the terminal: in local time, to the second, with the zone named."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def monotonic() -> float:
    """Return seconds that never jump: for pauses and deadlines, never for what is stored."""
    return time.monotonic()


def new_id() -> bytes:
    """Return 16 random bytes: the identifier of a row, a part, a key or a visit."""
    return secrets.token_bytes(ID_LENGTH)


@lru_cache(maxsize=1024)  # a message's is written a few times within a moment
def id_text(identifier: bytes) -> str:
    """Return an identifier as people and paths see it: 26 characters of lower-case base32 without padding."""
    return base64.b32encode(identifier).decode("ascii").rstrip("=").lower()


def id_from_text(text: str) -> bytes:
    """Return the 16 bytes behind ``id_text``; raise ValueError for anything else."""
    raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    if len(raw) != ID_LENGTH or id_text(raw) != text:
        raise ValueError("not an identifier of ours")
    return raw
