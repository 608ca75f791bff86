"""One message as it came, and what several readers ask of its octets: each is worked out once.

On its way a small message is asked for the fields of its header by seven readers, and for the digest of its body by
three. Reading the header takes ten times as long as looking a name up; where a field lies is asked for few messages.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence

from relay.message.block import BlockField, fields, header_end, whole_fields


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
        self._header: Sequence[tuple[bytes, bytes]] | None = None
        self._values: Mapping[bytes, Sequence[bytes]] | None = None

    @property
    def header(self) -> Sequence[tuple[bytes, bytes]]:
        """Every field of the header in its order: its name in lower case, its raw value."""
        if self._header is None:
            block = self.octets[: header_end(self.octets)[0]]
            self._header = [(name.lower(), value) for _, name, value in whole_fields(block)]
        return self._header

    def values(self, name: bytes) -> Sequence[bytes]:
        """Return the raw values of the fields called ``name`` (lower case), in order."""
        if self._values is None:
            found: dict[bytes, list[bytes]] = {}
            for known, value in self.header:
                found.setdefault(known, []).append(value)
            self._values = found
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
