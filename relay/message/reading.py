"""`read`: the bytes of a message to a Reading. The bytes stay the message; a Reading is only looked at.

It never raises: whatever it cannot make sense of is a problem, and a problem seals. Cost: 10 KB of plain text well
below 100 us, 25 MB with attachments some 10 ms, of which few at a time hold the interpreter.
"""

import re

from policies.model import Text
from relay.message import header_facts
from relay.message.block import header_end, whole_fields
from relay.message.charsets import decode_short
from relay.message.leaves import parts_of
from relay.message.parts import Part, Reading
from relay.message.structure import MAX_HEADER, Structure, holds_parts, walk

MAX_SIZE = 200 << 20  # octets; the front door's limit is lower
MAX_PARTS = 900  # after unpacking; a manifest holds 1,000
# What could make a program decode free text, or find other lines in it: with any of these it is no free text.
_MORE_THAN_TEXT = re.compile(rb"content-t(?:ype|ransfer-encoding)|=\?|\0|\r(?!\n)", re.IGNORECASE)
_USUAL_PREAMBLE = re.compile(
    rb"\s*(?:This is a (?:cryptographically signed )?(?:multi-?part )?message in MIME format\.?)?\s*", re.IGNORECASE
)


def read(original: bytes) -> Reading:
    """Read a message (RFC 5322, MIME). Takes any bytes, never raises; see Reading for what comes out."""
    if len(original) > MAX_SIZE:
        return Reading(problems=("is too large to be read",))
    try:
        return _read(original)
    except Exception:  # noqa: BLE001  # a fault of ours must seal the message, not lose it
        return Reading(problems=("could not be read",))


def read_enclosed(octets: bytes) -> Reading:
    """Read a message that is a part of another. As `read`, but free text where a message should be is a text.

    Reports on delivery hold a sentence where the message was ("too large to be returned"). Some programs skip it as a
    broken header, others show it as a body; with no header field in it and nothing to decode, its octets are all there
    is to see. A header with odd lines between its fields is still a problem.
    """
    return read(b"\n" + octets if _is_free_text(octets) else octets)


def _is_free_text(octets: bytes) -> bool:
    stop = header_end(octets)[0]
    return 0 < stop <= MAX_HEADER and not whole_fields(octets[:stop]) and _MORE_THAN_TEXT.search(octets) is None


def _read(original: bytes) -> Reading:
    found = walk(original)
    headers = found.headers
    parts: list[Part] = []
    also = header_facts.texts(headers)
    number = files = 0
    while number < len(found.leaves):  # unpacking can add leaves
        leaf = found.leaves[number]
        number += 1
        # A file without a name is called by its place among the attachments, as a person counts them.
        given = parts_of(leaf, found, files + 1)
        files += sum(part.kind == "attachment" for part in given)
        parts += given
        if leaf.headers is not headers:
            also += header_facts.texts({b"content-description": leaf.headers.get(b"content-description", [])}, "part")
        if len(parts) > MAX_PARTS:
            found.problems[f"has more than {MAX_PARTS} parts"] = None
            break
    also += _outside(found)
    if len(set(headers.get(b"from", ()))) > 1:
        found.problems["has several From fields"] = None
    authors = header_facts.authors(headers)
    return Reading(
        message_id=next(iter(header_facts.message_ids(headers, b"message-id")), ""),
        from_=str(authors[0].mailbox) if authors else "",
        from_name=authors[0].name if authors else "",
        to=tuple(str(named.mailbox) for named in header_facts.addresses(headers, b"to")),
        cc=tuple(str(named.mailbox) for named in header_facts.addresses(headers, b"cc")),
        date=header_facts.date(headers),
        subject=header_facts.subject(headers),
        auto_submitted=header_facts.auto_submitted(headers),
        read_receipt=header_facts.wants_read_receipt(headers),
        parts=tuple(parts),
        problems=tuple(found.problems),
        also=tuple(also),
        in_reply_to=header_facts.message_ids(headers, b"in-reply-to"),
        references=header_facts.message_ids(headers, b"references"),
    )


def _outside(found: Structure) -> list[Text]:
    """Text before, between and behind the parts, which programs without MIME show."""
    texts = []
    for piece in found.outside:
        if not _USUAL_PREAMBLE.fullmatch(piece[:500]) or len(piece) > 500:  # noqa: PLR2004  # the usual sentence is short
            if holds_parts(piece):
                found.problems["holds text that some mail programs read as further parts"] = None
            texts.append(Text("text outside of the parts", decode_short(piece)))
    return texts
