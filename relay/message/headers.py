"""Header fields above an original that is never parsed and flattened again: bytes in, bytes out (R13, R20).

Parsing and re-writing changed the body of one real message in ten; so fields are put in front as bytes, and a
field is cut out as bytes.
"""

from collections.abc import Sequence

from relay.message.original import Original
from relay.message.trace import count_received, received_field, remove_authentication_results
from relay.message.values import field, header_value, named_address, phrase, structured

__all__ = [
    "count_received",
    "field",
    "header_value",
    "named_address",
    "phrase",
    "prepend",
    "received_field",
    "remove_authentication_results",
    "remove_blind_copies",
    "remove_field",
    "structured",
]


def prepend(new: Sequence[tuple[str, str]], original: bytes) -> bytes:
    """Return ``original`` with fields in front of it, the first of ``new`` on top; nothing else changes.

    Values are made safe and folded here. Raises ValueError for a name that is no field name.
    """
    return b"".join([*(field(name, value) for name, value in new), original])


def remove_blind_copies(original: Original) -> Original:
    """Return ``original`` without Bcc and Resent-Bcc: no recipient may see them (RFC 5322 sections 3.6.3 and 3.6.6)."""
    return remove_field(remove_field(original, b"Bcc"), b"Resent-Bcc")


def remove_field(original: Original, name: bytes) -> Original:
    """Return ``original`` without any field called ``name``, its folded lines included; the body is never touched.

    Case and space before the colon do not matter. The header ends where a receiver sees its end: at the first
    empty line. Everything else stays byte for byte.
    """
    return original.without(original.named(name.lower()))
