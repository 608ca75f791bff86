"""How much one attachment may unpack to, however it is nested (R48)."""

from dataclasses import dataclass

MAX_DEPTH = 5  # documents within documents
MAX_MEMBERS = 1_000
MAX_OCTETS = 200 << 20  # unpacked, all levels together
MAX_RATIO = 200  # unpacked against what was sent
MAX_TEXT = 20_000_000  # characters
_SMALL = 10 << 20  # octets; below this no ratio is a danger


class UnreadableError(Exception):
    """A document that cannot be read; ``str()`` completes "this attachment ...". Never leaves the helper."""

    def __init__(self, clause: str, *, encrypted: bool = False) -> None:
        super().__init__(clause)
        self.encrypted = encrypted


@dataclass(slots=True)
class Budget:
    """What is left for one attachment of ``size`` octets."""

    size: int
    members: int = 0
    octets: int = 0

    def member(self, depth: int) -> None:
        """Count one document inside another; raise UnreadableError when there are too many or too deep."""
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise UnreadableError(f"holds more than {MAX_MEMBERS} files")
        if depth > MAX_DEPTH:
            raise UnreadableError(f"holds files nested more than {MAX_DEPTH} deep")

    def unpacked(self, octets: int) -> None:
        """Count unpacked octets; raise UnreadableError when they are too many."""
        self.octets += octets
        if self.octets > MAX_OCTETS or (self.octets > _SMALL and self.octets > MAX_RATIO * max(self.size, 1)):
            raise UnreadableError("unpacks to more than can be inspected")

    @property
    def left(self) -> int:
        """Octets that may still be unpacked."""
        return MAX_OCTETS - self.octets
