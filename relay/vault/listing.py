"""What of a message becomes a part, and what the manifest says of it.

Every limit of the manifest is kept here by leaving out what does not fit: the part ``original`` always has all of it,
so a message is never refused for its shape. Text that JSON or a page could stumble over is cleaned.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from relay.message.headers import header_value
from relay.message.parts import Part, Reading
from relay.vault.sealing.manifest import MAX_LENGTH, MAX_PARTS, Manifest, PartEntry, PartRole

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")  # RFC 6838 section 4.2
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_TEXT = 998  # characters: a subject, an address, a name (RFC 5322 section 2.1.1)
_LONGEST_NAME = 255
_LONGEST_PERSON = 100  # characters of a display name, as in the notices
_OF_ADDRESSES = re.compile(r'[@<>"]')
_PEOPLE_ROOM = MAX_LENGTH // 4  # octets of JSON for To, and again for Cc
_PARTS_ROOM = MAX_LENGTH // 3
_ENTRY = 164  # octets of JSON around the texts of one part
_JSON = json.JSONEncoder(ensure_ascii=False)
_UNKNOWN = "application/octet-stream"
_ROLES = {
    "text": PartRole.TEXT,
    "html": PartRole.HTML,
    "inline": PartRole.INLINE,
    "attachment": PartRole.ATTACHMENT,
}


@dataclass(frozen=True, slots=True)
class Content:
    """One part to be sealed: what the manifest will say of it, and its octets."""

    role: PartRole
    name: str
    type: str
    cid: str
    data: bytes = field(repr=False)

    def entry(self, part_id: bytes) -> PartEntry:
        """Return its line in the manifest."""
        return PartEntry(part_id, self.role, self.name, self.type, len(self.data), self.cid)


def contents(reading: Reading, original: bytes) -> tuple[Content, ...]:
    """Return the parts of a message in the order of the manifest; the last is the message itself."""
    taken = []
    room = _PARTS_ROOM
    for part in reading.parts[: MAX_PARTS - 1]:
        one = _content(part)
        room -= _ENTRY + _written(one.name) + _written(one.type) + _written(one.cid)
        if room < 0:
            break
        taken.append(one)
    return (*taken, Content(PartRole.ORIGINAL, "", "message/rfc822", "", original))


def manifest(reading: Reading, entries: Sequence[PartEntry]) -> Manifest:
    """Return the manifest of a message with these parts."""
    return Manifest(
        sender=clean(author(reading.from_name, reading.from_)),
        to=_people(reading.to),
        cc=_people(reading.cc),
        date=_date(reading.date),
        subject=clean(reading.subject),
        parts=tuple(entries),
    )


def clean(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return ``text`` on one line, without control characters and halves of surrogate pairs, cut to ``longest``."""
    return _UNFIT.sub("", text)[:longest]


def media_type(text: str) -> str:
    """Return a media type in lower case and without parameters; ``application/octet-stream`` for what is none."""
    kind = text.lower()
    return kind if _TYPE.fullmatch(kind) else _UNKNOWN


def author(name: str, address: str) -> str:
    """Return ``name <address>`` as a person reads it, or the address alone.

    A name that holds a mark of an address, in any width, is left out: it could pass for somebody else's
    (``"ceo@example.com" <mallory@example.net>``).
    """
    shown = header_value(name, _LONGEST_PERSON)
    if not address or not shown or _OF_ADDRESSES.search(unicodedata.normalize("NFKC", shown)):
        return address
    return f"{shown} <{address}>"


def _content(part: Part) -> Content:
    role = _ROLES[part.kind]
    readable = role in (PartRole.TEXT, PartRole.HTML)
    return Content(
        role,
        clean(part.name, _LONGEST_NAME),
        media_type(part.type),
        clean(part.cid, _LONGEST_NAME),
        part.text.encode("utf-8", "replace") if readable else part.data,
    )


def _people(addresses: Sequence[str]) -> tuple[str, ...]:
    taken = []
    room = _PEOPLE_ROOM
    for address in map(clean, addresses):
        room -= _written(address) + 1
        if room < 0:
            break
        taken.append(address)
    return tuple(taken)


def _date(moment: datetime | None) -> str:
    if moment is None or moment.tzinfo is None:
        return ""
    text = moment.isoformat(timespec="seconds")
    try:
        # An offset with seconds is legal for Python and for nobody else.
        return (
            text
            if len(text) == len("2026-11-22T16:32:19+00:00")
            else moment.astimezone(UTC).isoformat(timespec="seconds")
        )
    except OverflowError:
        return ""


def _written(text: str) -> int:
    """Return how many octets a text takes in the manifest, with its quotation marks."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return len(text) + 2
    return len(_JSON.encode(text).encode("utf-8"))
