"""How much strangers may bring: servers whom nobody vouches for, and who may write to a few addresses of ours only.

Reports come from all over the world, and questions to postmaster; most of them late, and never many at once. One
network must not use up what is there for all, be it mail, conversations that lead to nothing (each costs a handshake),
connections or memory (`relay.smtp.access.Occupancy` has those two). Who is refused hears 4xx, and a server that has
something to say tries again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from relay import clock
from relay.smtp.access import crowd_of

_NETWORKS = 10_000  # remembered at one time; above that the one that was heard of longest ago is forgotten


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most ``count`` at once, and as many again in each ``seconds``."""

    count: int
    seconds: float

    def for_one_of(self, processes: int) -> "Allowance":
        """Return the share of one of so many processes, rounded up."""
        return Allowance(-(-self.count // processes), self.seconds)


MESSAGES = Allowance(60, 600)
FRUITLESS = Allowance(300, 600)


class Pace:
    """One allowance for each network, each a bucket that fills steadily. ``now`` is monotonic seconds."""

    def __init__(self, allowance: Allowance, now: Callable[[], float]) -> None:
        self._allowance = allowance
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}  # network -> what was left, and when that was

    def left(self, network: str) -> float:
        """Return how much a network may use now."""
        now = self._now()
        left, then = self._buckets.get(network, (float(self._allowance.count), now))
        return min(self._allowance.count, left + (now - then) * self._allowance.count / self._allowance.seconds)

    def use(self, network: str) -> bool:
        """Use one; False, and nothing is used, when less than one is left."""
        left = self.left(network)
        if left < 1:
            return False
        self._buckets.pop(network, None)  # so that the first of them is the one heard of longest ago
        self._buckets[network] = (left - 1, self._now())
        if len(self._buckets) > _NETWORKS:
            del self._buckets[next(iter(self._buckets))]
        return True


class Strangers:
    """Counts what strangers bring, by network, over all listeners of one process; a restart begins anew."""

    def __init__(
        self,
        *,
        messages: Allowance = MESSAGES,
        fruitless: Allowance = FRUITLESS,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._messages = Pace(messages, now)
        self._fruitless = Pace(fruitless, now)

    def may_bring(self, ip: str) -> bool:
        """Count one more message from the network of this address; False when there have been too many."""
        return self._messages.use(crowd_of(ip))

    def may_enter(self, ip: str) -> bool:
        """Say whether this network may try again after conversations that led to nothing."""
        return self._fruitless.left(crowd_of(ip)) >= 1

    def went_without(self, ip: str) -> None:
        """Note that a conversation with this address ended without a message."""
        self._fruitless.use(crowd_of(ip))
