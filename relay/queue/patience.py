"""How long each step of sending may take (RFC 5321 section 4.5.3.2 asks for at least these)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Time limits in seconds. Those of RFC 5321 apply to each reply; ``transaction`` bounds the whole.

    A tarpit that answers each command just in time would hold a connection for ever: ``transaction`` ends it,
    plus one second for each ``slowest`` octets of the message, so that a large message over a thin line still
    gets through. ``keep`` is how long an idle connection is kept, ``uses`` how many messages it may carry. A
    next hop that could not be talked to is left alone for ``avoid``.
    """

    connect: float = 30
    greeting: float = 300
    command: float = 300
    block: float = 180
    final: float = 600
    transaction: float = 1800
    slowest: int = 10_000
    goodbye: float = 5
    keep: float = 10
    uses: int = 1000
    avoid: float = 30

    def for_message(self, octets: int) -> float:
        """Return the limit for one transaction of a message of this size."""
        return self.transaction + octets / self.slowest
