"""Content-Type and Content-Disposition: a word and its parameters (RFC 2045 section 5.1, RFC 2183, RFC 2231).

Parsed as mail programs do, so broken quoting is read as far as it goes. Whatever programs disagree about is told by
``odd``: the reader turns it into a problem, because a structure that is read in two ways can hide text.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from relay.message.block import unfold
from relay.message.charsets import decode_short
from relay.message.words import decode_words

MAX_PARAMETER_TEXT = 16_384  # octets of one field that are looked at
_PARAMETER = re.compile(rb"([^\s=;\"()]{1,80}+)\s*+=\s*+(?:\"((?:[^\"\\]|\\.)*+)\"?|([^;]*+))", re.DOTALL)
_EXTENDED = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")
_COMMENT = re.compile(rb"\((?:[^()\\\"]|\\.)*+\)", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(slots=True)
class Value:
    """A parsed field: ``word`` in lower case (``text/html``), parameters decoded, ``odd`` for disputed syntax."""

    word: str
    parameters: dict[str, str] = field(default_factory=dict)
    odd: bool = False


def parse_value(raw: bytes) -> Value:
    """Parse one raw field value. Never raises; the first of two parameters with one name is kept, and ``odd`` set."""
    line = unfold(raw[:MAX_PARAMETER_TEXT])
    word, semicolon, rest = line.partition(b";")
    if b"(" in word:
        word = _COMMENT.sub(b"", word)
    value = Value(word.strip().lower().decode("latin-1"))
    if not semicolon:
        return value
    if b"(" in rest and b'"' not in rest:
        rest = _COMMENT.sub(b"", rest)
    seen: dict[str, bytes] = {}
    for match in _PARAMETER.finditer(rest):
        name = match[1].decode("latin-1").lower()
        content = match[3].strip() if match[2] is None else match[2]
        if match[2] is not None and b"\\" in content:
            content = _ESCAPED.sub(rb"\1", content)
        if name in seen:
            value.odd = value.odd or seen[name] != content
        else:
            seen[name] = content
    _join(value, seen)
    return value


def _join(value: Value, seen: dict[str, bytes]) -> None:
    """Put continuations and charsets together; ``name*`` wins over ``name`` as in current mail programs."""
    segments: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for name, content in seen.items():
        if name == "boundary":
            value.parameters[name] = content.decode("latin-1")  # compared octet by octet, never decoded
        elif "*" not in name:
            value.parameters[name] = decode_words(content) if b"=?" in content else decode_short(content)
        elif match := _EXTENDED.fullmatch(name):
            segments.setdefault(match[1], {})[int(match[2] or 0)] = (content, bool(match[3]))
    for name, numbered in segments.items():
        if name in {"boundary", "charset"}:
            value.odd = True  # some programs know RFC 2231 here, others do not
        value.parameters[name] = _extended(numbered)


def _extended(numbered: dict[int, tuple[bytes, bool]]) -> str:
    charset, octets = "", []
    for position, number in enumerate(sorted(numbered)):
        content, encoded = numbered[number]
        if encoded and position == 0 and content.count(b"'") >= 2:  # noqa: PLR2004  # charset'language'text
            label, _, content = content.split(b"'", 2)
            charset = label.decode("latin-1")
        octets.append(unquote_to_bytes(content) if encoded else content)
    return decode_short(b"".join(octets), charset)
