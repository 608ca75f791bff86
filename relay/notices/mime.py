"""MIME for mail that we write: whole messages as bytes, CRLF throughout, 7-bit always (RFC 2045, 2046)."""

import binascii
import secrets
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from relay.clock import id_text, new_id
from relay.message.headers import field, header_value, named_address, structured

_LINE_LIMIT = 900  # octets; below RFC 5321's 998, so that nobody on the way breaks a line


def text_part(subtype: str, text: str, parameters: str = "") -> bytes:
    """Return a text part with its headers: as it is where it is ASCII, else quoted-printable.

    A paragraph is one line: phones wrap it better than we could, and a link is never cut.
    """
    body = _crlf(text)
    plain = body.isascii() and b"\r\nFrom " not in b"\r\n" + body and max(map(len, body.split(b"\r\n"))) <= _LINE_LIMIT
    charset = "us-ascii" if plain else "utf-8"
    encoding = b"7bit" if plain else b"quoted-printable"
    return b"Content-Type: text/%s; charset=%s%s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (
        subtype.encode("ascii"),
        charset.encode("ascii"),
        parameters.encode("ascii"),
        encoding,
        body if plain else binascii.b2a_qp(body, istext=True),
    )


def multipart(subtype: str, parts: Sequence[bytes], parameters: str = "") -> bytes:
    """Return a multipart body with its Content-Type field, ready to follow other header fields."""
    boundary = f"=_{secrets.token_hex(16)}".encode("ascii")  # "=_" occurs in no quoted-printable text
    head = b'Content-Type: multipart/%s;%s\r\n boundary="%s"\r\n\r\n' % (
        subtype.encode("ascii"),
        parameters.encode("ascii"),
        boundary,
    )
    return b"".join([head, *(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts), b"--%s--\r\n" % boundary])


def enclosed(original: bytes) -> bytes:
    """Return a part that holds a whole mail (RFC 2046 section 5.2.1); 7-bit octets only, as we write them ourselves."""
    return b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + original


def message(
    *,
    from_: str,
    to: str,
    subject: str,
    now: datetime,
    message_id: str,
    body: bytes,
    more: Sequence[tuple[str, str]] = (),
    answers: bool = False,
) -> bytes:
    """Return a whole message of ours; ``answers``: it answers somebody's mail (RFC 3834 section 5).

    ``from_`` is a finished address (`relay.message.headers.named_address`), ``to`` an addr-spec, ``body``
    what `multipart` returned, ``more`` further structured fields. A recipient beyond ASCII stands in the
    header as it is (RFC 6532): such a message can only travel where SMTPUTF8 is offered, as it must for its
    recipient anyway.
    """
    return b"".join(
        [
            structured("Date", format_datetime(now)),
            structured("From", from_),
            address_field("To", to),
            field("Subject", subject),
            structured("Message-ID", message_id),
            b"Auto-Submitted: auto-replied\r\n" if answers else b"Auto-Submitted: auto-generated\r\n",
            # Exchange and Outlook do not know RFC 3834, but this: no out-of-office answers to what nobody
            # wrote.
            b"X-Auto-Response-Suppress: OOF, AutoReply\r\n",
            *(structured(name, value) for name, value in more),
            b"MIME-Version: 1.0\r\n",
            body,
        ]
    )


def address_field(name: str, address: str) -> bytes:
    """Return a field that holds one addr-spec."""
    if address.isascii():
        return structured(name, named_address("", address))
    return f"{name}: {header_value(address, 254)}\r\n".encode()


def new_message_id(domain: str) -> str:
    """Return a fresh Message-ID in our own domain."""
    return f"<{id_text(new_id())}@{domain}>"


def _crlf(text: str) -> bytes:
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return text.replace("\n", "\r\n").encode() + b"\r\n"
