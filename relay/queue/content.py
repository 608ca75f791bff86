"""The bytes of a message on their way out: read in pieces, checked, dot-stuffed (RFC 5321 section 4.5.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from relay.message.lines import are_plain, faults_of

END_OF_DATA = b".\r\n"


class UncleanError(Exception):
    """The message holds a bare CR, a bare LF or a NUL: it must not leave (RFC 5321 section 2.3.8).

    Raised while sending; the transport turns it into an outcome. Repairing would change what the sender
    signed.
    """


class Pieces(Iterator[bytes], Protocol):
    """A message in order, piece by piece."""

    def at_hand(self) -> bool:
        """Whether the next piece takes no wait for a disk: otherwise it is fetched in a thread."""
        ...


class Content(Protocol):
    """A message's bytes, readable again and again for each attempt."""

    @property
    def size(self) -> int:
        """Octets as the message stands, without dot-stuffing."""
        ...

    def pieces(self) -> Pieces:
        """Return the message in order; pieces of a stored message are verified before they are handed out."""
        ...


@dataclass(frozen=True, slots=True)
class MemoryContent:
    """A message that is small enough to be held."""

    data: bytes

    @property
    def size(self) -> int:
        """Octets of the message."""
        return len(self.data)

    def pieces(self) -> Pieces:
        """Return the whole message as one piece."""
        return _Held(self.data)


class _Held(Iterator[bytes]):
    """One piece that is in memory."""

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        return self._left.pop()

    def at_hand(self) -> bool:
        return True


class DotStuffer:
    """Turns pieces of a message into what follows 354, the final dot included; pieces may be cut anywhere."""

    def __init__(self) -> None:
        self._held = b""  # a CR whose LF comes with the next piece
        self._at_line_start = True

    def stuff(self, piece: bytes) -> bytes:
        """Return the octets to send for the next piece; raise UncleanError."""
        if self._held:
            piece, self._held = self._held + piece, b""
        if piece.endswith(b"\r"):
            piece, self._held = piece[:-1], b"\r"
        if not piece:
            return b""
        stuffed = piece
        if not are_plain(piece):
            if faults_of(piece):
                raise UncleanError
            stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and piece.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = piece.endswith(b"\n")
        return stuffed

    def finish(self) -> bytes:
        """Return what ends the message: a line end if the last line has none, then the final dot."""
        if self._held:
            raise UncleanError
        return END_OF_DATA if self._at_line_start else b"\r\n" + END_OF_DATA


def header_section(pieces: Iterable[bytes], limit: int = 256 * 1024) -> bytes:
    """Return the header section of a message, with its last CRLF but without the empty line, at most ``limit``."""
    collected = b""
    for piece in pieces:
        collected += piece
        if collected.startswith(b"\r\n"):
            return b""
        if (end := collected.find(b"\r\n\r\n", 0, limit)) != -1:
            return collected[: end + 2]
        if len(collected) >= limit:
            break
    return collected[: collected.rfind(b"\r\n", 0, limit) + 2] if b"\r\n" in collected[:limit] else b""
