"""Addresses with secrets go out of a message before it is sealed or relayed: real ones stand in their place.

A secret belongs into the mailbox that it was mailed to and nowhere else, but people answer, forward and quote, and
their mail programs copy the address into headers, texts and invitations. So every header field, every text and every
message within the message is searched, attached ones too, under its transfer encoding and charset. A part in which
nothing is found keeps its octets, and so does everything around a find. What was changed no longer fits a signature
over it (DKIM, S/MIME, OpenPGP); that is the lesser harm.

Not searched: texts that the sender encrypted, uuencoded ones, and files that are no text (PDF, Office, .msg,
winmail.dat).
"""

import binascii
import re
from collections.abc import Iterator

from policies.prefilter import Expression, Prefilter
from relay.message.calendar_text import fold, unfold
from relay.message.charsets import codec_of
from relay.message.names import declared_name
from relay.message.printable import change_printable
from relay.message.spellings import LIKELY, Change, Real, Spellings, splice
from relay.message.structure import Leaf, walk
from relay.message.transfer import BASE64, IDENTITY, PRINTABLE, decode_base64, decode_transfer
from relay.message.values import encoded_words
from relay.message.words import decode_words

_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
_HTML, _CALENDAR = "text/html", "text/calendar"
# What mail programs write that is text or a message, whatever they call it: by type, and by the end of its name.
_BY_TYPE = {
    "application/ics": _CALENDAR,
    "application/xhtml+xml": _HTML,
    **dict.fromkeys(("application/rtf", "application/json", "application/xml"), "text/plain"),
}
_BY_NAME = {
    "eml": "message/rfc822",
    **dict.fromkeys(("ics", "vcs"), _CALENDAR),
    **dict.fromkeys(("htm", "html"), _HTML),
    **dict.fromkeys(("txt", "csv", "rtf", "json", "xml", "vcf"), "text/plain"),
}
_WORTH_A_WALK = Prefilter([Expression(rf"base-?64|quoted-?printable|begin:v|=\?|{LIKELY}", ignore_case=True)])
_SURELY = 1 << 18  # octets: what is larger is so by its attachments, and the walk leaves them out
_WORDS = re.compile(rb"=\?[^?\s]{1,80}\?[bBqQ]\?[^?\s]*+\?=(?:\s++=\?[^?\s]{1,80}\?[bBqQ]\?[^?\s]*+\?=)*+")
_LINE_END = re.compile(rb"\r?\n")
_WIDE = ("utf_16", "utf_32")  # codecs under which ASCII is more than one octet
_DEPTH = 10  # messages within messages
_LINE = 57  # octets that give a line of 76 characters of base64 (RFC 2045 section 6.8)


def scrub(content: bytes, domain: str, real: Real) -> bytes:
    """Return ``content`` without secrets of the gateway at ``domain``; the same object where there are none.

    ``real`` gives the address that is to stand in place of one with a secret. Small mail without encoded texts costs
    one search of its octets, other mail a walk over its parts.
    """
    worth = len(content) > _SURELY or _WORTH_A_WALK.occurring(content)
    return _message(content, Spellings(domain, real), 0) if worth else content


def _message(content: bytes, spellings: Spellings, depth: int) -> bytes:
    changes: list[Change] = []
    position = 0
    for leaf in _special(content):
        changes += _plain(content, position, leaf.start, spellings)
        position = leaf.end
        if _kind(leaf) and (scrubbed := _leaf(leaf, raw := leaf.raw, spellings, depth)) != raw:
            changes.append((leaf.start, leaf.end, scrubbed))
    return splice(content, [*changes, *_plain(content, position, len(content), spellings)])


def _special(content: bytes) -> Iterator[Leaf]:
    """Yield the parts that need more than a look at their octets, in order."""
    position = 0
    for leaf in walk(content).leaves:
        kind = _kind(leaf)
        special = kind and (leaf.encoding not in IDENTITY or kind in _MESSAGES or kind in {_HTML, _CALENDAR})
        if (special or leaf.encoding in BASE64) and leaf.buffer is content and leaf.start >= position:
            position = leaf.end
            yield leaf


def _kind(leaf: Leaf) -> str:
    """Return as what a part is searched: the type of a text or message; empty for any other file."""
    word = leaf.type.word
    if word.startswith(("text/", "message/")):
        return word
    return _BY_TYPE.get(word) or _BY_NAME.get(declared_name(leaf).rpartition(".")[2].lower(), "")


def _plain(content: bytes, start: int, end: int, spellings: Spellings) -> list[Change]:
    """Return the changes in octets that stand there as they are: headers, texts without encoding, what is between."""
    piece = content[start:end]
    found = spellings.find(piece)
    if b"=?" in piece:
        found = sorted([*found, *_words(piece, spellings)])
    return [(start + first, start + last, instead) for first, last, instead in found]


def _words(piece: bytes, spellings: Spellings) -> Iterator[Change]:
    """Yield the changes in encoded words (RFC 2047): one that held a secret is written anew with its neighbours."""
    for match in _WORDS.finditer(piece):
        text = decode_words(_LINE_END.sub(b"", match[0]))
        scrubbed = spellings.replace(text)
        if scrubbed != text:
            yield match.start(), match.end(), "\r\n ".join(encoded_words(scrubbed)).encode("ascii")


def _leaf(leaf: Leaf, raw: bytes, spellings: Spellings, depth: int) -> bytes:
    kind = _kind(leaf)
    if leaf.encoding in IDENTITY:
        scrubbed = _decoded(leaf, raw, spellings, depth)
        # A charset that does not fit hides nothing: programs show the octets then.
        return splice(scrubbed, spellings.find(scrubbed, markup=kind == _HTML))
    if leaf.encoding in PRINTABLE:
        if kind == _CALENDAR and spellings.find(unfold(decoded := decode_transfer(raw, leaf.encoding) or b"")):
            return binascii.b2a_qp(_decoded(leaf, decoded, spellings, depth), istext=True)
        return change_printable(raw, lambda data: spellings.find(data, markup=kind == _HTML))
    decoded = decode_base64(raw)
    scrubbed = _decoded(leaf, decoded, spellings, depth)
    return raw if scrubbed == decoded else _base64(scrubbed) + (b"\r\n" if raw.endswith(b"\n") else b"")


def _decoded(leaf: Leaf, data: bytes, spellings: Spellings, depth: int) -> bytes:
    kind = _kind(leaf)
    if kind in _MESSAGES and depth < _DEPTH:
        return _message(data, spellings, depth + 1)
    if kind == _CALENDAR and (changes := spellings.find(whole := unfold(data))):
        return fold(splice(whole, changes))
    markup = kind == _HTML
    codec = codec_of(leaf.type.parameters.get("charset", ""))
    if not codec.startswith(_WIDE):
        return splice(data, spellings.find(data, markup=markup))
    text = data.decode(codec, "replace")
    scrubbed = spellings.replace(text, markup=markup)
    return data if scrubbed == text else scrubbed.encode(codec, "replace")


def _base64(data: bytes) -> bytes:
    lines = (binascii.b2a_base64(data[start : start + _LINE], newline=False) for start in range(0, len(data), _LINE))
    return b"\r\n".join(lines)
