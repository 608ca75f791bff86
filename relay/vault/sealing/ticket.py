"""Draft tickets: proof, carried by a form, that its visit once opened this link.

A visit ends after minutes, a form may be sent hours later; with the ticket the portal can still seal what was
typed to the reader's own link, and nothing else.
"""

import struct
from dataclasses import dataclass

from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.primitives import KEY_LENGTH, MAC_LENGTH, TICKET, mac, require_id, same

LIFETIME = 24 * 3600  # seconds; the caller adds it to the present when it issues a ticket
_LAYOUT = struct.Struct(">16s16s32sQ")  # visit id | link id | public key | until
_MAX_UNTIL = (1 << 64) - 1
TICKET_LENGTH = _LAYOUT.size + MAC_LENGTH  # 104


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says. ``until`` counts seconds since 1970 (u64): the first second at which it is void."""

    visit_id: bytes
    link_id: bytes
    public: bytes
    until: int

    def __post_init__(self) -> None:
        require_id(self.visit_id, Layer.TICKET)
        require_id(self.link_id, Layer.TICKET)
        if len(self.public) != KEY_LENGTH:
            raise SealingError(Layer.TICKET, "a public key has 32 bytes")
        if not 0 <= self.until <= _MAX_UNTIL:
            raise SealingError(Layer.TICKET, "its time is an unsigned 64-bit number of seconds")


def issue_ticket(ticket_key: bytes, ticket: Ticket) -> bytes:
    """Return the ticket as 104 bytes: its fields, then HMAC-SHA256 over the label and the fields."""
    fields = _LAYOUT.pack(ticket.visit_id, ticket.link_id, ticket.public, ticket.until)
    return fields + mac(ticket_key, TICKET + fields)


def check_ticket(ticket_key: bytes, data: bytes, now: int) -> Ticket:
    """Return what a ticket says at the moment ``now`` (seconds since 1970).

    SealingError (ticket) when it was not issued under this key, or is void by now.
    """
    if len(data) != TICKET_LENGTH:
        raise SealingError(Layer.TICKET, "a ticket has 104 bytes")
    fields, tag = data[: _LAYOUT.size], data[_LAYOUT.size :]
    if not same(tag, mac(ticket_key, TICKET + fields)):
        raise SealingError(Layer.TICKET, "it was not issued here, or was changed")
    ticket = Ticket(*_LAYOUT.unpack(fields))
    if now >= ticket.until:
        raise SealingError(Layer.TICKET, "it is too old")
    return ticket
