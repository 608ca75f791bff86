"""One message as it came, and what several readers ask of its octets: each is worked out once.

On its way a small message is asked for the fields of its header by seven readers, and for the digest of its body by
three. Reading the header takes ten times as long as looking a name up; where a field lies is asked for few messages.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from relay.message.block import USUAL, BlockField, fields, header_end, named_values, values_by_name

# What is asked for in each message: a huge header is gone through once for all of these.
_OFTEN = frozenset(
    {
        b"authentication-results",
        b"bcc",
        b"cc",
        b"date",
        b"from",
        b"letterlock-trace",
        b"message-id",
        b"resent-bcc",
        b"resent-date",
        b"resent-message-id",
        b"sender",
        b"subject",
        b"to",
    }
)


class Original:
    """The octets of a message; they never change.

    What is worked out is worked out when it is first asked for. Safe to share between threads: at worst two work out
    the same.
    """

    __slots__ = ("_digest", "_header", "_values", "octets")

    def __init__(self, octets: bytes, digest: bytes | None = None) -> None:
        """Take the octets; ``digest`` is that of the body, where it is known."""
        self.octets = octets
        self._digest = digest
        self._header: Iterable[tuple[bytes, bytes]] | None = None
        self._values: Mapping[bytes, Sequence[bytes]] | None = None

    @property
    def header(self) -> Iterable[tuple[bytes, bytes]]:
        """Every field of the header in its order: its name in lower case, its raw value."""
        if self._header is None:
            block = self.octets[: header_end(self.octets)[0]]
            if len(block) > USUAL:
                return named_values(block)  # taken apart each time, and never held as a whole
            self._header = named_values(block)
        return self._header

    def values(self, name: bytes) -> Sequence[bytes]:
        """Return the raw values of the fields called ``name`` (lower case), in order."""
        if self._values is None:
            header = self.header
            huge = self._header is None  # then it was not kept
            self._values = values_by_name(one for one in header if one[0] in _OFTEN) if huge else values_by_name(header)
        if self._header is None and name not in _OFTEN:
            return [value for known, value in self.header if known == name]
        return self._values.get(name, ())

    def named(self, name: bytes) -> Sequence[BlockField]:
        """Return the fields called ``name`` (lower case) with their places, in order."""
        return [field for field in fields(self.octets) if field.name == name] if self.values(name) else ()

    def digest(self) -> bytes:
        """Return the SHA-256 of the body, 32 octets; blocking for a large body at the first time."""
        if self._digest is None:
            self._digest = hashlib.sha256(memoryview(self.octets)[header_end(self.octets)[1] :]).digest()
        return self._digest

    def without(self, gone: Collection[BlockField]) -> "Original":
        """Return the message without some of its fields, given in order, and else byte for byte the same."""
        if not gone:
            return self
        kept, position = [], 0
        for field in gone:
            kept.append(self.octets[position : field.start])
            position = field.end
        kept.append(self.octets[position:])
        return Original(b"".join(kept), self._digest)
