"""Who may sign in, and how often somebody may try (R16): five failures in five minutes for one client, then nothing.

A client is one IPv4 address or one IPv6 /64. While it is shut out, the right password is refused like a wrong one: an
answer would be what the guesser wants. Each relay process counts for itself.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum

from relay import clock
from relay.config.users import User, folded
from relay.smtp.access import counted_as
from relay.smtp.passwords import is_password, nobodys

FAILURES = 5
WINDOW = 300.0  # seconds
THREADS = 2  # passwords verified at one time, each with 19 MiB: mail goes on meanwhile
_TIDY_ABOVE = 10_000  # clients remembered before those whose failures are over are forgotten


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says to sign in."""

    name: str
    password: str = field(repr=False)


class Answer(Enum):
    """What becomes of an attempt. LAST is the failure after which the client is SHUT_OUT."""

    WELCOME = "welcome"
    WRONG = "wrong"
    LAST = "last"
    SHUT_OUT = "shut out"


@dataclass(slots=True)
class _Client:
    failures: deque[float] = field(default_factory=deque)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class SignIns:
    """Verifies passwords off the event loop and counts failures, over all listeners of one process.

    ``failures`` within ``window`` seconds shut a client out until the first of them is so long ago. ``now`` is
    monotonic seconds.
    """

    def __init__(
        self, *, failures: int = FAILURES, window: float = WINDOW, now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._allowed = failures
        self._window = window
        self._now = now
        self._clients: dict[str, _Client] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._nobody = nobodys()

    async def attempt(self, ip: str, users: Mapping[str, User], said: Credentials) -> Answer:
        """Verify one attempt of the client at this address."""
        client = self._clients.setdefault(counted_as(ip), _Client())
        client.waiting += 1
        try:
            # One at a time for each client: a hundred attempts at once must not be a hundred guesses.
            async with client.turn:
                return await self._verify(client, users, said)
        finally:
            client.waiting -= 1
            self._tidy()

    async def _verify(self, client: _Client, users: Mapping[str, User], said: Credentials) -> Answer:
        if self._recent(client) >= self._allowed:
            return Answer.SHUT_OUT
        user = users.get(folded(said.name))
        kept = user.password if user else self._nobody
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, is_password, said.password, kept)
        if right and user:
            return Answer.WELCOME
        client.failures.append(self._now())
        return Answer.LAST if len(client.failures) >= self._allowed else Answer.WRONG

    def _recent(self, client: _Client) -> int:
        over = self._now() - self._window
        while client.failures and client.failures[0] <= over:
            client.failures.popleft()
        return len(client.failures)

    def _tidy(self) -> None:
        if len(self._clients) > _TIDY_ABOVE:
            kept = {name: one for name, one in self._clients.items() if one.waiting or self._recent(one)}
            self._clients = kept
