"""Sending one message to one route: next hops in order, connections kept, one outcome per recipient."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace

from relay.clock import monotonic as real_monotonic
from relay.config.values import Endpoint
from relay.queue.opening import Client, Contexts, open_session
from relay.queue.outcomes import Deferred, Outcome, local_answer
from relay.queue.patience import Patience
from relay.queue.pool import Pool
from relay.queue.routes import Protection, Route
from relay.queue.session import CLOSING, NOT_SIGNED_IN, Unusable
from relay.queue.transaction import Transaction

_TO_AVOID = (CLOSING, NOT_SIGNED_IN)  # said to one message, meant for all


class Transport:
    """The SMTP client. One a process, on one event loop.

    ``ehlo_name`` is our own name in EHLO (ASCII). ``connections`` bounds the open connections to one next
    hop. ``verifying`` is the TLS context of routes with required TLS; None takes the system's authorities.
    """

    def __init__(
        self,
        *,
        ehlo_name: str,
        connections: int = 10,
        patience: Patience | None = None,
        verifying: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = real_monotonic,
    ) -> None:
        self._client = Client(ehlo_name, patience or Patience(), Contexts(verifying))
        self._connections = connections
        self._monotonic = monotonic
        self._pools: dict[tuple[Endpoint, Protection], Pool] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    def renew(self, *, ehlo_name: str, connections: int) -> None:
        """Take another name, and another bound for each next hop; connections that are open stay as they are."""
        self._client = replace(self._client, ehlo_name=ehlo_name)
        self._connections = connections
        for pool in self._pools.values():
            pool.resize(connections)

    async def send(self, route: Route, mail: Transaction) -> tuple[Outcome, ...]:
        """Send a message; return one outcome per path of the transaction, in order. Never raises.

        A next hop that cannot be used is passed over for the next one of the route, and left alone for a
        while; the message is not offered again once a next hop has decided about any recipient or has seen
        the final dot.
        """
        reason = local_answer("4.4.1", f"the route {route.name} has no next hop in relay.toml")
        for hop in route.hosts:
            pool = self._pool(hop, route.protection)
            if avoided := pool.avoided():
                reason = avoided
                continue
            result = await self._offer(pool, mail)
            if not isinstance(result, Unusable):
                return result
            reason = result.answer
        return tuple(Deferred(reason) for _ in mail.paths)

    def tidy(self) -> None:
        """Say goodbye to connections that were idle too long; call it about once a second."""
        for pool in self._pools.values():
            for session in pool.tidy():
                task = asyncio.ensure_future(session.quit())
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)

    async def close(self) -> None:
        """Say goodbye to all idle connections."""
        sessions = [session for pool in self._pools.values() for session in pool.empty()]
        await asyncio.gather(*self._farewells, *(session.quit() for session in sessions))

    async def _offer(self, pool: Pool, mail: Transaction) -> tuple[Outcome, ...] | Unusable:
        """Offer the message to one next hop, on a kept connection if there is one, else on a new one."""
        fresh = False
        while True:
            session = await pool.take(fresh=fresh)
            if isinstance(session, Unusable):
                pool.avoid(session.answer)
                return session
            kept = session.uses > 0
            try:
                result = await session.transact(mail)
            except asyncio.CancelledError:
                session.drop()
                raise
            finally:
                pool.give_back(session)
            if not isinstance(result, Unusable):
                return result
            if kept and result.hop_at_fault:
                # That the next hop closed a kept connection says nothing about the next hop.
                fresh = True
                continue
            if result.answer.code in _TO_AVOID:
                pool.avoid(result.answer)
            return result

    def _pool(self, hop: Endpoint, protection: Protection) -> Pool:
        key = (hop, protection)
        if key not in self._pools:
            self._pools[key] = Pool(
                self._connections,
                self._client.patience,
                lambda: open_session(hop, protection, self._client),
                self._monotonic,
            )
        return self._pools[key]
