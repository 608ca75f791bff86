"""Who may sign in, and how often somebody may try (R16): five failures in five minutes for one client, then nothing.

A client is one IPv4 address or one IPv6 /64. While it is shut out, the right password is refused like a wrong one: an
answer would be what the guesser wants.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol
from weakref import WeakValueDictionary

from relay.config.users import User, folded
from relay.smtp.passwords import is_password, nobodys
from relay.store.throttle import network_of

THREADS = 2  # passwords verified at one time, each with 19 MiB: mail goes on meanwhile


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


class Failures(Protocol):
    """Where failures are counted (`relay.smtp.failed_sign_ins`). Blocking; StoreError when it cannot be said."""

    def shut_out(self, client: str) -> bool:
        """Say whether a client has failed so often that it must wait."""
        ...

    def add(self, client: str) -> int | None:
        """Count one more failure; return how many the client has left, None when it was shut out already."""
        ...


class SignIns:
    """Verifies passwords off the event loop, over all listeners of one process, and has failures counted."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._nobody = nobodys()

    async def attempt(self, ip: str, users: Mapping[str, User], said: Credentials) -> Answer:
        """Verify one attempt of the client at this address; StoreError when nobody knows how often it failed."""
        client = network_of(ip)
        turn = self._turns.setdefault(client, asyncio.Lock())
        async with turn:  # whoever tries a hundred times at once must not keep everybody else waiting
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, client, users, said)

    def _verify(self, client: str, users: Mapping[str, User], said: Credentials) -> Answer:
        if self._failures.shut_out(client):
            return Answer.SHUT_OUT
        user = users.get(folded(said.name))
        right = is_password(said.password, user.password if user else self._nobody)
        if right and user:
            # Other processes may have met the same guesser in the meantime. Only an answer helps to guess, and one is
            # given only within the limit: so the limit holds however many try at once.
            return Answer.SHUT_OUT if self._failures.shut_out(client) else Answer.WELCOME
        left = self._failures.add(client)
        if left is None:
            return Answer.SHUT_OUT
        return Answer.WRONG if left else Answer.LAST
