"""BDAT: messages in chunks of a named size (RFC 3030), without dots and without searching for an end."""

import re
from dataclasses import dataclass

from relay.smtp.data import Content

_ARGUMENT = re.compile(r"([0-9]{1,20})(?: +(LAST))? *", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one BDAT command announces: a number of octets, and whether they are the last."""

    octets: int
    last: bool


def parse_chunk(argument: str) -> Chunk | None:
    """Return what ``BDAT argument`` announces, or None when it cannot be understood (RFC 3030 section 2)."""
    match = _ARGUMENT.fullmatch(argument)
    return Chunk(int(match[1]), match[2] is not None) if match else None


class ChunkReader:
    """Fills a `Content` from BDAT chunks; a CRLF may be cut between two of them."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._held = b""  # a CR whose LF may still come
        self._complete = True  # nothing yet, or ends in CRLF

    def feed(self, octets: bytes) -> None:
        """Take octets of a chunk."""
        if not octets:
            return
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        self._add(octets[: len(octets) - len(self._held)])

    def finish(self) -> None:
        """Take note that the last chunk has come; a last line without CRLF gets one, as DATA would have had."""
        self._add(self._held)
        self._held = b""
        if not self._complete:
            self._add(b"\r\n")

    def _add(self, octets: bytes) -> None:
        if octets:
            self._complete = octets.endswith(b"\n")
            self.content.add(octets)
