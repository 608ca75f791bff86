"""What makes two submissions the same message, and whom its recipients can see.

Exchange splits one mail into several transactions, clients send again after a lost 250: the trace differs, the message
does not.
"""

from relay.message.block import unfold
from relay.message.original import Original
from relay.message.parts import Reading

_LABEL = b"letterlock message 1"
# Who sends a message anew on purpose says so in Resent fields (RFC 5322 section 3.6.6): that is no repetition.
_FIELDS = (b"message-id", b"from", b"to", b"cc", b"date", b"subject", b"resent-date", b"resent-message-id")


def message_key(sender: str, original: Original) -> bytes:
    """Return the canonical bytes of a message, to be put through an HMAC.

    Over the reverse-path, the fields From, To, Cc, Date, Subject, Message-ID, Resent-Date and Resent-Message-ID
    (unfolded, in their order, with their number) and the SHA-256 of the body; each with its length in front, so that
    nothing can be moved from one to the other. Trace and every other field are left out.
    """
    pieces = [_LABEL, sender.encode("utf-8", "surrogateescape")]
    for name in _FIELDS:
        values = [unfold(value) for value in original.values(name)]
        pieces += [name, len(values).to_bytes(4, "big"), *values]
    pieces.append(original.digest())
    return b"".join([len(piece).to_bytes(8, "big") + piece for piece in pieces])


def visible_addresses(reading: Reading) -> frozenset[str]:
    """Return the addresses that every recipient sees in To and Cc, without regard to case.

    For facts only ("too many visible", who is a Bcc): recipients are those of the envelope.
    """
    return frozenset(address.casefold() for address in (*reading.to, *reading.cc))
