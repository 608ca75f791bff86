"""A link's private key for the minutes of a visit, and tickets for what is written after its end.

The visit's row alone opens nothing: it takes the secret V that only the reader's cookie holds. A ticket lets a form
that was sent after the end of a visit store a draft for the same link, and nothing else.
"""

from datetime import datetime

from relay.vault.keyring import Keyring
from relay.vault.opener import Link
from relay.vault.sealing.links import pair_from_private
from relay.vault.sealing.ticket import Ticket, check_ticket, issue_ticket
from relay.vault.sealing.visit import open_visit, seal_visit

__all__ = ["Ticket", "open_visit_key", "read_ticket", "seal_visit_key", "write_ticket"]


def seal_visit_key(visit_id: bytes, link: Link) -> tuple[bytes, bytes]:
    """Return V for the cookie (32 bytes) and the sealed link key for the visit's row (48 bytes)."""
    return seal_visit(visit_id, link.link_id, pair_from_private(link.key))


def open_visit_key(secret: bytes, visit_id: bytes, link_id: bytes, sealed: bytes) -> bytes:
    """Return the link's private key, for ``Opener.link_by_id``; SealingError (visit) for another browser or row."""
    return open_visit(secret, visit_id, link_id, sealed).private_bytes()


def write_ticket(keyring: Keyring, visit_id: bytes, link: Link, until: datetime) -> bytes:
    """Return the ticket for a form of this visit."""
    return issue_ticket(keyring.ticket_key, Ticket(visit_id, link.link_id, link.public, int(until.timestamp())))


def read_ticket(keyring: Keyring, data: bytes, now: datetime) -> Ticket:
    """Return the ticket in ``data``; SealingError (ticket) when it is not ours or no longer valid."""
    return check_ticket(keyring.ticket_key, data, int(now.timestamp()))
