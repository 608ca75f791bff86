"""The connections to one next hop: a bounded number, the last used first, none kept too long."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from relay.queue.outcomes import Answer
from relay.queue.patience import Patience
from relay.queue.session import Session, Unusable

_REMEMBERED = 10  # times as long as it is left alone, a next hop in doubt is remembered without being used


class Pool:
    """Kept connections of one next hop.

    At most ``size`` are open at once; who wants one more waits. A next hop that takes fewer (it refuses a
    connection while others are open) is not down: we wait for one of ours instead. ``opened`` makes a new
    one, ``monotonic`` is a clock in seconds.

    After a fault the next hop is in doubt until a message has been answered there again: one courier at a time finds
    out, because a host that accepts connections and says nothing costs minutes.
    """

    def __init__(
        self,
        size: int,
        patience: Patience,
        opened: Callable[[], Awaitable[Session | Unusable]],
        monotonic: Callable[[], float],
    ) -> None:
        self._size = size
        self._patience = patience
        self._opened = opened
        self._monotonic = monotonic
        self._idle: list[Session] = []
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._fewer, self._fewer_until = size, 0.0
        self._avoid_until = 0.0
        self._reason: Answer | None = None
        self._in_doubt = False
        self._doubt_until = 0.0

    def resize(self, size: int, patience: Patience) -> None:
        """Bound open connections and waiting anew; what is open above the bound is closed as it falls idle too long."""
        self._size, self._patience = size, patience
        self._fewer_until = 0.0
        self._wake()

    def avoided(self) -> Answer | None:
        """Return why this next hop is left alone at the moment, None when it may be tried."""
        if self._idle or self._monotonic() >= self._avoid_until:
            return None
        return self._reason

    def avoid(self, reason: Answer) -> None:
        """Leave the next hop alone for a while."""
        self._reason = reason
        self._avoid_until = self._monotonic() + self._patience.avoid
        self.doubt()

    def ask_again(self) -> None:
        """Leave the next hop alone no longer: a person says that it is back."""
        self._avoid_until = 0.0

    def doubt(self) -> None:
        """Note that the next hop left a message without an answer, or could not be used."""
        self._in_doubt = True
        self._doubt_until = self._monotonic() + self._patience.avoid

    def trust(self) -> None:
        """Note that the next hop answered."""
        self._in_doubt = False

    @property
    def doubtful(self) -> bool:
        """Tell whether another next hop, where there is one, is to be tried before this one."""
        return self._in_doubt and (self._busy > 0 or self._monotonic() < self._doubt_until)

    @property
    def forgettable(self) -> bool:
        """Tell whether nothing is open, nobody waits and nothing is remembered of the next hop."""
        used = self._busy or self._idle or self._waiting
        doubted = self._doubt_until + _REMEMBERED * self._patience.avoid if self._in_doubt else 0.0
        return not used and self._monotonic() >= max(self._avoid_until, self._fewer_until, doubted)

    async def take(self, *, fresh: bool = False) -> Session | Unusable:
        """Return a connection for one message, kept or new; ``fresh`` asks for a new one.

        Unusable when none can be had, or when the next hop turned out to be down while we waited. Give it back with
        `give_back`, whatever happened.
        """
        while True:
            self._drop_stale()
            if self._idle and not fresh:
                self._busy += 1
                return self._idle.pop()
            if fresh and self._idle and self._full():
                self._idle.pop(0).drop()
            if not self._full():
                opened = await self._open()
                if isinstance(opened, Session):
                    return opened
                if self._idle and not fresh:  # one of ours has done its work meanwhile
                    continue
                if not self._takes_fewer(opened):
                    return opened
            await self._turn()
            if reason := self.avoided():  # others found out meanwhile: nobody waits for the same disappointment
                self._wake()
                return Unusable(reason)

    def give_back(self, session: Session) -> None:
        """Keep the connection for the next message, or forget it when it is of no more use."""
        self._busy -= 1
        if session.usable:
            session.idle_since = self._monotonic()
            self._idle.append(session)
        else:
            session.drop()
        self._wake()

    def tidy(self) -> list[Session]:
        """Take out and return the connections that were idle too long: say goodbye to them."""
        limit = self._monotonic() - self._patience.keep
        stale = [session for session in self._idle if session.idle_since < limit]
        self._idle = [session for session in self._idle if session.idle_since >= limit]
        return stale

    def empty(self) -> list[Session]:
        """Take out and return all idle connections."""
        idle, self._idle = self._idle, []
        return idle

    async def _turn(self) -> None:
        """Wait until one of ours is given back, behind those who waited before."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # the turn that was ours goes to the next
            raise

    async def _open(self) -> Session | Unusable:
        self._busy += 1
        try:
            opened = await self._opened()
        except BaseException:
            self._busy -= 1
            self._wake()
            raise
        if isinstance(opened, Session):
            return opened
        self._busy -= 1
        self._wake()
        return opened

    def _full(self) -> bool:
        limit = self._fewer if self._monotonic() < self._fewer_until else self._size
        return self._busy + len(self._idle) >= limit

    def _takes_fewer(self, refusal: Unusable) -> bool:
        """Tell whether the next hop refused one connection more than it takes; be content with fewer for a while."""
        if not self._busy or not refusal.answer.code:
            return False
        self._fewer, self._fewer_until = self._busy, self._monotonic() + self._patience.avoid
        return True

    def _drop_stale(self) -> None:
        while self._idle and not self._idle[-1].usable:
            self._idle.pop().drop()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
