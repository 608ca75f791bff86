"""A reader's answer as mail: 7 bits, files in base64, nothing in a header that the reader typed (R42).

The same answer is written twice. Staff get it from an address of ours, whose display name says the reader's own; what
is sealed into the conversation names the real addresses.
"""

import base64
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from relay.message import values
from relay.message.headers import header_value, named_address, structured
from relay.message.names import clean_name
from relay.notices.letterhead import Letterhead, thread_fields
from relay.notices.mime import address_field, text_part
from relay.notices.written_by import written_by

_OCTETS = 57 * 1024  # of a file that are encoded at a time: whole lines of 76 characters
_PLAIN_NAME = re.compile(r"[ !#-\[\]-~]+")  # what needs no escape between quotes
_UNKNOWN = "application/octet-stream"
_IN_BASE64 = re.compile(r"(?!multipart/|message/)[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")  # RFC 2046 section 5.2.1
_NAME = 100  # characters
_ENCODED_NAME = 800  # characters of a file name, each octet beyond ASCII taking three
_SHORT_STEM = 30


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file of an answer: as the reader named it, its media type; ``read`` yields its octets."""

    name: str
    type: str
    read: Callable[[], Iterable[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Heading:
    """Who stands in the header of one copy, each a finished address (`named_address`), and where it belongs.

    ``thread`` are Message-IDs with their angle brackets, the answered message last.
    """

    from_: str
    to: Sequence[str]
    cc: Sequence[str]
    subject: str
    message_id: str
    thread: Sequence[str]
    at: datetime


@dataclass(frozen=True, slots=True)
class ReplyMail:
    """Writes answers on the letterhead of the organisation, in its first language."""

    letterhead: Letterhead

    def via(self, reader: str, address: str) -> str:
        """Return ``"jane (example.net) via organisation" <address>``: who wrote, and by which way it came.

        Without "@": spam filters take the address of somebody else in a display name for a trick.
        """
        tag = self.letterhead.tag()
        words = self.letterhead.languages[tag].gettext("%(reader)s via %(organisation)s")
        local, _, domain = reader.rpartition("@")
        name = f"{local.replace('@', ' ')} ({domain})"
        return named_address(words % {"reader": name, "organisation": self.letterhead.organisation}, address)

    def body(self, text: str, files: Sequence[Enclosure], *, name: str = "") -> bytes:
        """Return the MIME body of an answer, ready to follow the header of each copy.

        ``name`` is what the person called themself: it stands in the text, never in a header. What ``read`` of a file
        raises leaves through here.
        """
        shown = header_value(name, _NAME)
        if shown:
            text = f"{written_by(self.letterhead.languages[self.letterhead.tag()], shown)}\n\n{text}"
        written = text_part("plain", text)
        if not files:
            return written
        boundary = f"=_{secrets.token_hex(16)}".encode("ascii")
        pieces = [b'Content-Type: multipart/mixed;\r\n boundary="%s"\r\n\r\n--%s\r\n%s' % (boundary, boundary, written)]
        for number, one in enumerate(files, 1):
            pieces.append(b"\r\n--%s\r\n%s" % (boundary, _file_header(one, number)))
            pieces += _encoded(one.read())
        return b"".join([*pieces, b"\r\n--%s--\r\n" % boundary])

    def write(self, heading: Heading, body: bytes) -> bytes:
        """Return one whole copy. It was written by a person: nothing in it says otherwise."""
        return b"".join(
            [
                structured("Date", format_datetime(heading.at)),
                _people("From", [heading.from_]),
                _people("To", heading.to),
                _people("Cc", heading.cc),
                values.field("Subject", heading.subject),
                structured("Message-ID", heading.message_id),
                *(structured(name, value) for name, value in thread_fields(heading.thread)),
                b"MIME-Version: 1.0\r\n",
                body,
            ]
        )


def _people(name: str, addresses: Sequence[str]) -> bytes:
    if not addresses:
        return b""
    line = ", ".join(addresses)
    return structured(name, line) if line.isascii() else address_field(name, line)


def _file_header(one: Enclosure, number: int) -> bytes:
    """Return the header of a file; a name beyond ASCII is written as RFC 2231 has it."""
    name = clean_name(one.name) or f"file-{number}"
    if len(quote(name, safe="")) > _ENCODED_NAME:  # what cannot be folded must fit into one line
        stem, dot, suffix = name.rpartition(".")
        name = (stem or suffix)[:_SHORT_STEM] + (dot + suffix[:_SHORT_STEM] if stem else "")
    # One spelling only: programs differ in which of two they believe.
    plain = _PLAIN_NAME.fullmatch(name) is not None
    parameter = f'filename="{name}"' if plain else f"filename*=utf-8''{quote(name, safe='')}"
    kind = one.type if _IN_BASE64.fullmatch(one.type) else _UNKNOWN
    return b"".join(
        [
            structured("Content-Type", kind),
            structured("Content-Disposition", f"attachment; {parameter}"),
            b"Content-Transfer-Encoding: base64\r\n\r\n",
        ]
    )


def _encoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        held += piece
        whole = len(held) - len(held) % 57
        if whole >= _OCTETS:
            yield _lines(held[:whole])
            held = held[whole:]
    if held:
        yield _lines(held)


def _lines(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")
