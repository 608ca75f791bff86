"""Header text as people read it: encoded words (RFC 2047), raw 8-bit bytes, folds. Linear in the length."""

import binascii
import re

from relay.message.block import unfold
from relay.message.charsets import decode_short

MAX_HEADER_TEXT = 65_536  # octets of one field that are decoded; a subject needs 998 a line
_WORD = re.compile(rb"=\?([^?\s]{1,80})\?([bBqQ])\?")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def header_text(raw: bytes) -> str:
    """Return a raw field value (folds included) as text. Never raises."""
    value = unfold(raw[:MAX_HEADER_TEXT])
    if b"=?" not in value:
        return decode_short(value)
    return decode_words(value)


def decode_words(value: bytes) -> str:
    """Decode the encoded words in one unfolded line; what only looks like one stays as it is written.

    Space between two encoded words vanishes, and neighbours in one charset are joined before they are decoded,
    because real senders cut characters in two.
    """
    pieces: list[str] = []
    pending, charset = b"", ""
    position = 0
    while (start := value.find(b"=?", position)) >= 0:
        match = _WORD.match(value, start)
        end = value.find(b"?=", match.end()) if match else -1
        if match is None or end < 0:
            if match is not None:
                break  # no word can end any more
            gap, next_position = value[position : start + 2], start + 2
            pieces += [decode_short(pending, charset), decode_short(gap)]
            pending, position = b"", next_position
            continue
        gap = value[position:start]
        label = match[1].partition(b"*")[0].decode("latin-1").lower()  # RFC 2231 section 5: a language may follow
        content = _content(match[2], value[match.end() : end])
        if pending and (gap.strip() or label != charset):
            pieces.append(decode_short(pending, charset))
            pending = b""
            if gap.strip():
                pieces.append(decode_short(gap))
        elif not pending:
            # space between two words vanishes, also when the first of them was empty or in another charset
            pieces.append(decode_short(gap))
        pending, charset = pending + content, label
        position = end + 2
    if pending:
        pieces.append(decode_short(pending, charset))
    pieces.append(decode_short(value[position:]))
    return "".join(pieces)


def _content(encoding: bytes, content: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(content, header=True)
    clean = content.translate(None, _NOT_BASE64)
    clean = clean[: len(clean) - 1] if len(clean) % 4 == 1 else clean
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
