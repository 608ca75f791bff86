"""One message as it came, and what several readers ask of its octets: each is worked out once.

On its way a small message is asked for the fields of its header by seven readers, and for the digest of its body by
three. Reading the header takes ten times as long as looking a name up.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence

from relay.message.block import BlockField, fields, header_end


class Original:
    """The octets of a message; they never change.

    What is worked out is worked out when it is first asked for. Safe to share between threads: at worst two work out
    the same.
    """

    __slots__ = ("_digest", "_fields", "octets")

    def __init__(self, octets: bytes, digest: bytes | None = None) -> None:
        """Take the octets; ``digest`` is that of the body, where it is known."""
        self.octets = octets
        self._digest = digest
        self._fields: Mapping[bytes, Sequence[BlockField]] | None = None

    def named(self, name: bytes) -> Sequence[BlockField]:
        """Return the fields of the header called ``name`` (lower case), in order."""
        if self._fields is None:
            found: dict[bytes, list[BlockField]] = {}
            for field in fields(self.octets):
                found.setdefault(field.name, []).append(field)
            self._fields = found
        return self._fields.get(name, ())

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
