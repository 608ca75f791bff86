"""The hash of a body in relaxed canonical form (RFC 6376 section 3.4.4), in time linear in its length.

One automaton looks for spaces that the canonical form has otherwise; where there are none, a piece is hashed as it is.
Where there are, only searches and replacements of the byte string type: a regular expression takes twenty times as
long, and a square of the length on a line of spaces. Nothing is held longer than one piece takes; hashing releases the
interpreter.
"""

import hashlib

from policies.prefilter import Expression, Prefilter

PIECE = 1 << 20  # octets that are looked at in one go
_CRLF = b"\r\n"
_EMPTY_LINES = 1 << 16
_MANY = _CRLF * _EMPTY_LINES
_UNTIDY = Prefilter([Expression(r"\t|  | \r")])


def squeezed(text: bytes) -> bytes:
    """Return a text with each run of spaces and tabs as one space, also a run of one tab."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    # Each round halves the longest run, so there are at most log2 of it.
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


class BodyHash:
    """SHA-256 of a body that comes in pieces, cut anywhere.

    The body is as it goes over the wire: every CR and LF belongs to a CRLF, which the front door and the transport see
    to. A last line without line end counts as one with it, as the transport sends it.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._held = b""  # a space, a CR or both, whose meaning the next piece decides
        self._line_ends = 0  # not hashed yet: empty lines at the end of a body do not count
        self._empty = True

    def update(self, piece: bytes) -> None:
        """Take the next octets of the body."""
        text = self._held + piece
        if _UNTIDY.occurring(text):
            text = squeezed(text).replace(b" \r\n", _CRLF)
        end = len(text) - text.endswith(b"\r")
        end -= text.endswith(b" ", 0, end)
        text, self._held = text[:end], text[end:]
        line = text.rstrip(_CRLF)
        if line:
            self._flush()
            self._hash.update(line)
            self._empty = False
        self._line_ends += (len(text) - len(line)) // len(_CRLF)

    def digest(self) -> bytes:
        """Return the hash, 32 octets; the body is complete."""
        if not self._empty:
            self._line_ends = 1
            self._flush()
        return self._hash.digest()

    def _flush(self) -> None:
        while self._line_ends:
            now = min(self._line_ends, _EMPTY_LINES)
            self._hash.update(_MANY[: now * len(_CRLF)])
            self._line_ends -= now


def hash_body(message: bytes, start: int, plain: bytes | None = None) -> bytes:
    """Return the hash of the body that begins at ``start`` of a message.

    ``plain`` is its SHA-256 as it stands, where that is known: most bodies are in canonical form already.
    """
    if plain is not None and _is_canonical(message, start):
        return plain
    whole = BodyHash()
    for begin in range(start, len(message), PIECE):
        whole.update(message[begin : begin + PIECE])
    return whole.digest()


def _is_canonical(message: bytes, start: int) -> bool:
    """Whether a body is its own relaxed form: spaces tidy, the last line ended, no empty line behind it."""
    if not message.endswith(_CRLF, start) or message.endswith(_CRLF + _CRLF) or len(message) - start == len(_CRLF):
        return False
    # One octet more each time: two that are untidy together may stand on both sides of a border.
    whole = memoryview(message)
    return not any(_UNTIDY.occurring(whole[begin : begin + PIECE + 1]) for begin in range(start, len(message), PIECE))
