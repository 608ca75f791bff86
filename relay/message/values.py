"""Values of header fields that we write: made safe by one function, encoded and folded by another.

RFC 5322 (folding, section 2.2.3; lines, section 2.1.1), RFC 2047 (characters beyond ASCII). What a stranger typed
never becomes a second field: CVE-2024-6923 and its kin.
"""

import base64
import re

DEFAULT_LIMIT = 500  # characters; a subject that a person can read is shorter
_NAME_LIMIT = 100  # characters of a display name
_LINE = 78  # characters, what RFC 5322 section 2.1.1 recommends
_LONGEST_TOKEN = 900  # characters that cannot be folded; a line must stay below 998 octets
_WORD_OCTETS = 42  # octets in one encoded word: 4/3 of it and the frame make less than 75 (RFC 2047 section 2)

_BREAKS = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
# C0, DEL, C1; marks that turn the direction of text; halves of surrogate pairs, which cannot be encoded.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ud800-\udfff]")
_NAME = re.compile(r"[!-9;-~]{1,76}")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


def header_value(text: str, limit: int = DEFAULT_LIMIT) -> str:
    """Return ``text`` as one line that is safe in any header field, page or log; the only way into a header (R20).

    Line ends and tabs become a space; C0, C1, U+2028, U+2029, bidi controls and lone surrogates go; at most
    ``limit`` characters stay, the last of them an ellipsis where something was cut. Applying it twice changes nothing.
    """
    line = text[: 4 * limit]
    if not (line.isascii() and line.isprintable()):  # nearly all are: nothing to replace
        line = _FORBIDDEN.sub("", _BREAKS.sub(" ", line))
    line = line.strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def field(name: str, value: str) -> bytes:
    """Return one complete field, ``name: value CRLF``: made safe, encoded where needed, folded.

    Raises ValueError when ``name`` is no field name: names are ours, never a stranger's.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("not the name of a header field")
    safe = header_value(value, 100_000)
    tokens = safe.split(" ") if safe.isascii() else []
    if not tokens or "=?" in safe or max(map(len, tokens)) > _LONGEST_TOKEN:
        tokens = encoded_words(safe)
    return _folded(name, tokens)


def structured(name: str, value: str) -> bytes:
    """Return a field whose value is machine syntax that we built (addresses, parameters): never re-encoded.

    Encoded words that `phrase` made stay as they are. Raises ValueError for a value beyond ASCII.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("not the name of a header field")
    safe = header_value(value, 100_000)
    if not safe.isascii():
        raise ValueError("a structured value is ASCII; display names go through phrase()")
    return _folded(name, safe.split(" "))


def phrase(text: str) -> str:
    """Return a display name for use in front of ``<address>``: plain, quoted or in encoded words (RFC 5322 3.2.5)."""
    safe = header_value(text, _NAME_LIMIT)
    if not safe.isascii() or "=?" in safe:
        return " ".join(encoded_words(safe))
    if _PHRASE.fullmatch(safe):
        return safe
    return '"' + re.sub(r'(["\\])', r"\\\1", safe) + '"'


def named_address(name: str, address: str) -> str:
    """Return ``name <address>`` for From, To and their like; ``address`` is an ASCII addr-spec that was parsed."""
    safe = header_value(address, 254)
    return f"{phrase(name)} <{safe}>" if header_value(name) else safe


def encoded_words(text: str) -> list[str]:
    """Return one line as encoded words of at most 75 characters each (RFC 2047 section 2), at least one."""
    words, octets = [], b""
    for character in text:
        encoded = character.encode()
        if len(octets) + len(encoded) > _WORD_OCTETS:  # never cut a character in two (RFC 2047 section 5)
            words.append(octets)
            octets = b""
        octets += encoded
    words.append(octets)
    return [f"=?utf-8?B?{base64.b64encode(word).decode('ascii')}?=" for word in words if word] or [""]


def _folded(name: str, tokens: list[str]) -> bytes:
    text = f"{name}: {' '.join(tokens)}".rstrip(" ")
    lines, start, first = [], 0, len(name) + 2  # the first token stays beside the name
    while len(text) - start > _LINE:
        space = text.rfind(" ", first, start + _LINE + 1)
        if space < 0:
            space = text.find(" ", first)  # behind a token that is longer than a line
        if space < 0:
            break
        while text[space + 1] == " ":
            space += 1  # a line of folding space alone would be read by some as the end of the header
        lines.append(text[start:space].rstrip(" "))
        start, first = space, space + 1
    lines.append(text[start:])
    return "\r\n".join(lines).encode("ascii") + b"\r\n"
