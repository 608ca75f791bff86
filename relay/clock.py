"""The one place that reads the wall clock and draws identifiers, so that tests can name every moment."""

import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache

from relay import base32

ID_LENGTH = 16
_MILLISECONDS = 6  # octets: enough for 8,900 years


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
    """Return 16 random bytes: the identifier of a part, a key, a person or a visit."""
    return secrets.token_bytes(ID_LENGTH)


def new_queue_id() -> bytes:
    """Return 16 bytes, the identifier of a message or of a row about it: the milliseconds in six, ten random ones.

    Drawn one after the other they sort about so (as a UUIDv7 does, RFC 9562 section 5.7): indexes of them grow at their
    end, and a batch of messages writes one page of each instead of one a message (docs/decisions/0043). Nothing else
    may rely on the order: clocks are set back.
    """
    return (time.time_ns() // 1_000_000).to_bytes(_MILLISECONDS, "big") + secrets.token_bytes(ID_LENGTH - _MILLISECONDS)


@lru_cache(maxsize=1024)  # a message's is written a few times within a moment
def id_text(identifier: bytes) -> str:
    """Return an identifier as people and paths see it: 26 characters of lower-case base32 without padding."""
    return base32.encode(identifier)


def id_from_text(text: str) -> bytes:
    """Return the 16 bytes behind ``id_text``; raise ValueError for anything else."""
    raw = base32.decode(text)
    if len(raw) != ID_LENGTH or id_text(raw) != text:
        raise ValueError("not an identifier of ours")
    return raw
