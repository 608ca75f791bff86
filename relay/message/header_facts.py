"""Facts of a message's own header: who, when, what about. Tolerant, linear, without `email`'s header parser."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from policies.model import Text
from relay.message.address_list import Named, display_names, parse_addresses
from relay.message.values import header_value
from relay.message.words import header_text

Headers = dict[bytes, list[bytes]]

MAX_SUBJECT = 1_000  # characters
_MAX_REFERENCES = 100
_MAX_DATE = 100  # octets
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(
    r"(?:[A-Za-z]{3},\s*)?(\d{1,2})\s+([A-Za-z]{3})\s+(\d{4})\s+(\d\d):(\d\d)(?::(\d\d))?\s+([+-])(\d\d)(\d\d)(?:\s*\(.*\))?",
    re.ASCII,
)
_ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc")
_TEXT_FIELDS = (b"comments", b"keywords", b"thread-topic", b"content-description")
_BULK = ("bulk", "junk", "list", "auto_reply")  # the last is what autoresponders older than RFC 3834 say
_DIGIT = re.compile(rb"[0-9\x80-\xff]|=\?")  # or characters that could be digits


def subject(headers: Headers) -> str:
    """Return the first Subject on one line, at most MAX_SUBJECT characters (`also` has the rest of a longer one)."""
    values = headers.get(b"subject")
    return header_value(header_text(values[0]), MAX_SUBJECT) if values else ""


def authors(headers: Headers) -> tuple[Named, ...]:
    """Return the addresses of From that could be read."""
    return addresses(headers, b"from")


def addresses(headers: Headers, name: bytes) -> tuple[Named, ...]:
    """Return the addresses of every field called ``name``, in order."""
    return tuple(found for value in headers.get(name, ()) for found in parse_addresses(value))


def message_ids(headers: Headers, name: bytes) -> tuple[str, ...]:
    """Return the message identifiers of a field, with their brackets; at most 100 (RFC 5322 section 3.6.4)."""
    values = headers.get(name)
    return tuple(_MESSAGE_ID.findall(header_text(values[0]))[-_MAX_REFERENCES:]) if values else ()


def date(headers: Headers) -> datetime | None:
    """Return the Date as an aware moment, or None where there is none that can be read."""
    values = headers.get(b"date")
    text = values[0][: 2 * _MAX_DATE].decode("latin-1").strip()[:_MAX_DATE] if values else ""
    match = _DATE.fullmatch(text)
    try:
        if match is None or match[2].lower() not in _MONTHS:
            loose = parsedate_to_datetime(text) if text else None
            return loose.replace(tzinfo=UTC) if loose is not None and loose.tzinfo is None else loose
        offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
        zone = timezone(-offset if match[7] == "-" else offset)
        month = _MONTHS.index(match[2].lower()) + 1
        clock = (int(match[4]), int(match[5]), min(int(match[6] or 0), 59))
        return datetime(int(match[3]), month, int(match[1]), *clock, tzinfo=zone)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


def auto_submitted(headers: Headers) -> bool:
    """Whether a machine sent this, so that no machine may answer it (RFC 3834 section 2, RFC 3464, RFC 8098)."""
    values = headers.get(b"auto-submitted")
    if values and header_text(values[0]).partition(";")[0].strip().lower() not in {"", "no"}:
        return True
    values = headers.get(b"precedence")
    if values and header_text(values[0]).strip().lower() in _BULK:
        return True
    kind = headers.get(b"content-type")
    return kind is not None and kind[0].strip().lower().startswith(b"multipart/report")


def wants_read_receipt(headers: Headers) -> bool:
    """Whether the sender asked to be told when it is read (RFC 8098 section 2.1)."""
    return any(value.strip() for value in headers.get(b"disposition-notification-to", ()))


def texts(headers: Headers, where: str = "header") -> list[Text]:
    """Return header texts beyond the Subject that some mail program shows.

    Further subjects, a subject that was cut, comments, keywords; display names only where they hold a digit: an
    identifier can be hidden there, but the name of a team ("Cancer Services") is not content.
    """
    found = []
    subjects = headers.get(b"subject", [])
    if len(subjects) > 1 or (subjects and len(subjects[0]) > MAX_SUBJECT):
        found += [Text(f"{where}, Subject", header_text(value)) for value in subjects]
    for name in _TEXT_FIELDS:
        found += [
            Text(f"{where}, {name.decode('ascii').title()}", header_text(value)) for value in headers.get(name, ())
        ]
    for name in _ADDRESS_FIELDS:
        for value in headers.get(name, ()):
            names = display_names(value) if _DIGIT.search(value) else ""
            if names and any(character.isdigit() for character in names):
                found.append(Text(f"{where}, names in {name.decode('ascii').title()}", names))
    return [text for text in found if text.text]
