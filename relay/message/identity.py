"""What makes two submissions the same message, and whom its recipients can see.

Exchange splits one mail into several transactions, clients send again after a lost 250: the trace differs, the message
does not.
"""

import hashlib

from relay.message.block import fields, header_end, unfold
from relay.message.parts import Reading

_LABEL = b"letterlock message 1"
# Who sends a message anew on purpose says so in Resent fields (RFC 5322 section 3.6.6): that is no repetition.
_FIELDS = (b"message-id", b"from", b"to", b"cc", b"date", b"subject", b"resent-date", b"resent-message-id")


def body_digest(original: bytes) -> bytes:
    """Return the SHA-256 of the body of a message, 32 octets."""
    return hashlib.sha256(memoryview(original)[header_end(original)[1] :]).digest()


def message_key(sender: str, original: bytes, body: bytes | None = None) -> bytes:
    """Return the canonical bytes of a message, to be put through an HMAC; ``body`` is its `body_digest`, where known.

    Over the reverse-path, the fields From, To, Cc, Date, Subject, Message-ID, Resent-Date and Resent-Message-ID
    (unfolded, in their order, with their number) and the SHA-256 of the body; each with its length in front, so that
    nothing can be moved from one to the other. Trace and every other field are left out.
    """
    found: dict[bytes, list[bytes]] = {name: [] for name in _FIELDS}
    for field in fields(original):
        if field.name in found:
            found[field.name].append(unfold(field.value))
    pieces = [_LABEL, sender.encode("utf-8", "surrogateescape")]
    for name in _FIELDS:
        pieces += [name, len(found[name]).to_bytes(4, "big"), *found[name]]
    pieces.append(body or body_digest(original))
    return b"".join(len(piece).to_bytes(8, "big") + piece for piece in pieces)


def visible_addresses(reading: Reading) -> frozenset[str]:
    """Return the addresses that every recipient sees in To and Cc, without regard to case.

    For facts only ("too many visible", who is a Bcc): recipients are those of the envelope.
    """
    return frozenset(address.casefold() for address in (*reading.to, *reading.cc))
