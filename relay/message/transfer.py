"""Content-Transfer-Encoding undone as tolerantly as the most tolerant mail program (RFC 2045 section 6).

Usual base64 is decoded in one call that lets go of the interpreter, all else in pieces of 1 MiB, which let other
threads in between.
"""

import binascii
import re

from pybase64 import b64decode

PIECE = 1 << 20  # octets handled by one call
BASE64 = frozenset({"base64", "base-64", "b"})
PRINTABLE = frozenset({"quoted-printable", "quotedprintable", "q"})
IDENTITY = frozenset({"", "7bit", "8bit", "binary", "7-bit", "8-bit", "7bits", "8bits", "none"})
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_BEHIND_BASE64 = b"= \t\r\n"  # padding, and the line end of the last line
_SOFT_BREAK_SPACE = re.compile(rb"=[ \t]+(?=\r?\n)")
_SOFT_BREAK_CR = re.compile(rb"=\r(?!\n)")
_WORD = re.compile(rb"[a-z0-9_-]+")
_DECODED = re.compile(rb"base-?64|quoted|uu")


def encoding_of(raw: bytes) -> str:
    """Return the encoding that a Content-Transfer-Encoding value names, in lower case, empty for none.

    A value that begins like plain octets and goes on with an encoding (``7bit base64``) comes back whole, as an unknown
    one: programs differ in the word that they take.
    """
    value = re.sub(rb"\([^)]*\)", b"", raw[:200].lower())
    match = _WORD.search(value)
    if match is None:
        return ""
    word = match[0].decode("ascii")
    if word in IDENTITY and _DECODED.search(value, match.end()):
        return value.strip().decode("latin-1")
    return word


def decode_transfer(data: bytes, encoding: str) -> bytes | None:
    """Return the decoded octets, or None when the encoding is unknown. Never raises."""
    if encoding in IDENTITY:
        return data
    if encoding in BASE64:
        return decode_base64(data)
    if encoding in PRINTABLE:
        return _quoted_printable(data)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return decode_uu(data)
    return None


def decode_base64(data: bytes, start: int = 0, end: int | None = None) -> bytes:
    """Decode base64 with junk in it, without padding, or in several padded runs one after another.

    Strict programs stop at the first junk or padding, tolerant ones go on: a policy has to see all. ``start`` and
    ``end`` say where in ``data`` it stands.
    """
    stop = len(data) if end is None else end
    padding = data.find(b"=", start, stop)
    if padding < 0 or not data[padding:stop].strip(_BEHIND_BASE64):
        try:
            return b64decode(memoryview(data)[start:stop], validate=False)  # steps over junk
        except binascii.Error:  # too little padding, or too much
            pass
    return _in_runs(data[start:stop])


def _in_runs(data: bytes) -> bytes:
    """Decode base64 each of whose runs may end with any padding, or none."""
    decoded, carry = [], b""
    for start in range(0, len(data), PIECE):
        clean = carry + data[start : start + PIECE].translate(None, _NOT_BASE64)
        *ended, clean = clean.split(b"=")
        decoded += [_run(run) for run in ended if run]
        whole = len(clean) & ~3
        decoded.append(b64decode(clean[:whole], validate=True))
        carry = clean[whole:]
    decoded.append(_run(carry))
    return b"".join(decoded)


def _run(run: bytes) -> bytes:
    if len(run) % 4 == 1:
        run = run[:-1]  # six bits make no octet
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))  # on a few octets three times as fast


def _quoted_printable(data: bytes) -> bytes:
    decoded, start = [], 0
    while start < len(data):
        end = min(start + PIECE, len(data))
        if end < len(data):
            line_end = data.rfind(b"\n", start, end)
            # Without a line end cut where no escape is cut in two.
            end = line_end + 1 if line_end >= 0 else _before_escape(data, end)
        decoded.append(binascii.a2b_qp(_tidy(data[start:end])))
        start = end
    return b"".join(decoded)


def _before_escape(data: bytes, end: int) -> int:
    escape = data.rfind(b"=", end - 2, end)
    return end if escape < 0 else escape


def _tidy(piece: bytes) -> bytes:
    """Repair what `binascii.a2b_qp` reads differently from mail programs."""
    if b"= " in piece or b"=\t" in piece:
        piece = _SOFT_BREAK_SPACE.sub(b"=", piece)
    if piece.count(b"=\r") != piece.count(b"=\r\n"):
        piece = _SOFT_BREAK_CR.sub(b"=\r\n", piece)  # a2b_qp would drop the rest of the line
    return piece


def decode_uu(data: bytes) -> bytes:
    """Decode the lines of a uuencoded file; ``begin``, ``end`` and lines that are none are stepped over."""
    decoded = []
    for line in data.splitlines():
        if not line or line.startswith((b"begin ", b"end", b"`")):
            continue
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Some encoders pad a line wrongly: take as many characters as its length announces.
            wanted = ((((line[0] - 32) & 63) * 4) + 5) // 3
            try:
                decoded.append(binascii.a2b_uu(line[:wanted]))
            except binascii.Error:
                continue
    return b"".join(decoded)
