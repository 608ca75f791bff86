"""Files that stand inside the text of a mail, as old programs put them there: uuencode and yEnc.

Many mail programs still show them as attachments, so the policies have to see what is in them.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from policies.prefilter import Expression, Prefilter
from relay.message.charsets import decode_short
from relay.message.transfer import decode_uu

MAX_FILES = 50  # in one text
MAX_YENC = 4 << 20  # octets; larger ones are told to be too large, no mail program of today makes them
_BEGIN = Prefilter([Expression("begin")])
_UU_BEGIN = re.compile(rb"^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n", re.MULTILINE)
_UU_END = re.compile(rb"^end[ \t]*\r?$", re.MULTILINE)
_Y_BEGIN = re.compile(rb"^=ybegin [^\r\n]*?name=([^\r\n]{1,255})\r?\n", re.MULTILINE)
_Y_END = re.compile(rb"^=yend[^\r\n]*\r?$", re.MULTILINE)
_Y_PLAIN = bytes((octet - 42) % 256 for octet in range(256))


class InlineFile(NamedTuple):
    """A file found in a text: its name, its octets, and why it could not be read (empty when it was)."""

    name: str
    data: bytes
    problem: str = ""


_Read = Callable[[re.Match[bytes], bytes], InlineFile | None]


def find_inline_files(text: bytes) -> tuple[InlineFile, ...]:
    """Return the files that stand in a decoded text body, in order; at most MAX_FILES. Never raises."""
    if not _BEGIN.occurring(text):
        return ()
    found: list[InlineFile] = []
    if b"begin " in text or b"begin-base64 " in text:
        found += _files(text, _UU_BEGIN, _UU_END, _uu)
    if b"=ybegin " in text:
        found += _files(text, _Y_BEGIN, _Y_END, _yenc)
    return tuple(found)


def _files(text: bytes, begin: re.Pattern[bytes], end: re.Pattern[bytes], read: _Read) -> list[InlineFile]:
    found: list[InlineFile] = []
    position = 0
    while len(found) < MAX_FILES and (start := begin.search(text, position)):
        stop = end.search(text, start.end())
        body_end = stop.start() if stop else len(text)
        file = read(start, text[start.end() : body_end])
        if file is not None:
            found.append(file)
        position = stop.end() if stop else len(text)
    return found


def _uu(start: re.Match[bytes], body: bytes) -> InlineFile | None:
    if start[0].startswith(b"begin-base64"):
        return InlineFile(_name(start), body, "holds a file in an encoding that was not read")
    data = decode_uu(body)
    # "begin 644 nothing" in a sentence is no file: its next line does not decode.
    return InlineFile(_name(start), data) if data else None


def _yenc(start: re.Match[bytes], body: bytes) -> InlineFile:
    if len(body) > MAX_YENC:
        return InlineFile(_name(start), b"", "is too large to be read in this encoding")
    lines = [line for line in body.split(b"\n") if not line.startswith(b"=y")]
    joined = b"".join(line.removesuffix(b"\r") for line in lines)
    first, *escaped = joined.split(b"=")
    plain = first + b"".join(bytes([(run[0] - 64) % 256]) + run[1:] for run in escaped if run)
    return InlineFile(_name(start), plain.translate(_Y_PLAIN))


def _name(start: re.Match[bytes]) -> str:
    return decode_short(start[1]).strip().strip('"')
