"""The next hops of a route by MX: who takes mail for one domain, in the order in which they are tried."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from relay.config.values import Endpoint
from relay.dns.destination import Directory, Host, NoDestination
from relay.queue.outcomes import Deferred, Failed, local_answer

SMTP = 25
MOST_TRIES = 8  # addresses in one attempt; RFC 5321 section 5.1 asks for two at least


@dataclass(frozen=True, slots=True)
class MailHost:
    """One address of a mail exchanger. ``name`` is the host's, for TLS and for people; ``host`` the address."""

    name: str
    host: str
    port: int = SMTP

    def __str__(self) -> str:
        address = self.name if self.name.startswith("[") else f"{self.name}[{self.host}]"
        return f"{address}:{self.port}"


Hop = Endpoint | MailHost


class Exchangers:
    """Looks next hops up in ``directory``. ``port`` and ``shuffle`` are for tests."""

    def __init__(
        self, directory: Directory, *, port: int = SMTP, shuffle: Callable[[list[Host]], None] = random.shuffle
    ) -> None:
        self._directory = directory
        self._port = port
        self._shuffle = shuffle

    async def hops(self, domain: str) -> tuple[MailHost, ...] | Deferred | Failed:
        """Return the addresses to try for mail to a domain, or what becomes of it. Never raises."""
        found = await self._directory.find(domain)
        if isinstance(found, NoDestination):
            answer = local_answer(found.enhanced, found.text)
            return Failed(answer) if found.enhanced.startswith("5") else Deferred(answer)
        hosts = found.in_order(self._shuffle)
        return tuple(MailHost(host.name, address, self._port) for host in hosts for address in host.addresses)[
            :MOST_TRIES
        ]
