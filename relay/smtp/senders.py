"""Whether a message comes from whom it says: the author's fields against what its client may write as.

A client that signed in may write under the addresses of its user only; mail from a tenant of Microsoft 365 is from its
domains only. What cannot be read with certainty is not theirs: programs would show different authors.
"""

from collections.abc import Iterator

from relay.message.address_list import sole_address
from relay.message.addresses import Mailbox, parse_mailbox
from relay.message.block import BlockField, fields, header_end

HEADER_LIMIT = 1 << 20  # octets of a header that is looked at; a longer one proves nothing


def mailbox_of(path: str) -> Mailbox:
    """Return the mailbox of a reverse-path that was parsed already (relay.smtp.paths)."""
    return parse_mailbox(path, smtputf8=True)


def header_of(content: bytes) -> tuple[BlockField, ...] | None:
    """Return the fields of a message's header; None when it has no end within 1 MiB."""
    start = content[: HEADER_LIMIT + 2]
    _, body = header_end(start)
    if body > HEADER_LIMIT:
        return None
    return tuple(fields(start, 0, body))


def authors_of(header: tuple[BlockField, ...]) -> tuple[Mailbox, ...] | None:
    """Return the author, and the Sender where there is one; None unless each is one field with one address.

    Whoever obeys a command by mail believes either (RFC 5322 section 3.6.2), so either must be the client's.
    """
    found = [*_values(header, b"from")]
    if len(found) != 1:
        return None
    found += _values(header, b"sender")
    mailboxes = tuple(sole_address(value) for value in found)
    return None if None in mailboxes else tuple(one for one in mailboxes if one)


def _values(header: tuple[BlockField, ...], name: bytes) -> Iterator[bytes]:
    return (field.value for field in header if field.name == name)
