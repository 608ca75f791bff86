"""Loop evidence: a field on every copy that we relay, by which we know our own mail when it comes back (R17).

    Letterlock-Trace: <passes> <queue id> <seconds since 1970> <tag>

The tag is a MAC over all that stands before it and over From, Message-ID and body, so that the field can neither be
made by others nor be moved to another message. It is good for an hour. It never skips judging: whoever copies it
gains no more than an earlier end of the circle. Circles whose hops change the body are found by counting Received.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.message.block import BlockField, unfold
from relay.message.original import Original

FIELD = "Letterlock-Trace"
MAX_PASSES = 3  # a message that was here so often goes round in a circle
LIFETIME = timedelta(hours=1)

Tag = Callable[[bytes], bytes]  # the MAC, under a key that only the relay has
_NAME = FIELD.lower().encode("ascii")
_LABEL = b"letterlock trace 1"
_VALUE = re.compile(rb"(([1-9][0-9]{0,2}) ([a-z2-7]{26}) ([0-9]{1,11})) ([0-9a-f]{8,64})")
_BOUND = frozenset({b"from", b"message-id"})
_MOST = 10  # fields that are looked at: several gateways in a row leave one each


@dataclass(frozen=True, slots=True)
class Evidence:
    """How often this message has left us already, and under which queue id last."""

    passes: int
    queue_id: str


def find_evidence(original: Original, now: datetime, tag: Tag) -> Evidence | None:
    """Return the evidence that this message left us within the last hour, the highest count of it; None without any.

    Takes any bytes, never raises. ``now`` is aware; a moment in the future counts as any other within the hour,
    because the clock may have been put right.
    """
    found = [evidence for _, evidence in _valid(original, now, tag)]
    return max(found, key=lambda evidence: evidence.passes, default=None)


def mark(original: Original, queue_id: str, now: datetime, tag: Tag) -> tuple[tuple[str, str], bytes]:
    """Return our field for a copy that leaves, as name and value, and the copy without the marks that it replaces.

    Nothing else of the copy changes; fields of other gateways, and ours that have lapsed, stay.
    """
    earlier = _valid(original, now, tag)
    passes = 1 + max((evidence.passes for _, evidence in earlier), default=0)
    claim = f"{passes} {queue_id} {int(now.timestamp())}".encode("ascii")
    value = claim.decode("ascii") + " " + tag(_covered(claim, _fingerprint(original))).hex()
    return (FIELD, value), original.without([field for field, _ in earlier]).octets


def _valid(original: Original, now: datetime, tag: Tag) -> list[tuple[BlockField, Evidence]]:
    marks = original.named(_NAME)[:_MOST]
    fingerprint = _fingerprint(original) if marks else b""
    found = []
    for field in marks:
        match = _VALUE.fullmatch(unfold(field.value))
        if (
            match
            and abs(now.timestamp() - int(match[4])) <= LIFETIME.total_seconds()
            and hmac.compare_digest(tag(_covered(match[1], fingerprint)).hex().encode("ascii"), match[5])
        ):
            found.append((field, Evidence(int(match[2]), match[3].decode("ascii"))))
    return found


def _covered(claim: bytes, fingerprint: bytes) -> bytes:
    return _LABEL + claim + b"\0" + fingerprint


def _fingerprint(original: Original) -> bytes:
    """Return the SHA-256 over From and Message-ID, as they stand one behind the other, and body; lengths in front."""
    pieces = []
    for name, raw in original.header:
        if name in _BOUND:
            value = unfold(raw)
            pieces.append(name + b":" + len(value).to_bytes(8, "big") + value)
    return hashlib.sha256(b"".join([*pieces, b"body:", original.digest()])).digest()
