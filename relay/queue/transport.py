"""Sending one message to one route: next hops in order, connections kept, one outcome per recipient."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace

from relay.clock import monotonic as real_monotonic
from relay.dns.destination import Directory
from relay.queue.exchangers import Exchangers, Hop, MailHost
from relay.queue.opening import Client, Contexts, open_session
from relay.queue.outages import Outages
from relay.queue.outcomes import Deferred, Failed, Outcome, local_answer
from relay.queue.patience import Patience
from relay.queue.pool import Pool
from relay.queue.routes import Protection, Route, domain_of
from relay.queue.session import CLOSING, NOT_SIGNED_IN, Unusable
from relay.queue.transaction import Path, Transaction, divided

_TO_AVOID = (CLOSING, NOT_SIGNED_IN)  # said to one message, meant for all


class Transport:
    """The SMTP client. One a process, on one event loop.

    ``ehlo_name`` is our own name in EHLO (ASCII). ``connections`` bounds the open connections to one next
    hop. ``verifying`` is the TLS context of routes with required TLS; None takes the system's authorities.
    ``exchangers`` finds the next hops of routes by MX; without it the resolvers of this machine are asked.
    """

    def __init__(
        self,
        *,
        ehlo_name: str,
        connections: int = 10,
        patience: Patience | None = None,
        verifying: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = real_monotonic,
        exchangers: Exchangers | None = None,
    ) -> None:
        self._client = Client(ehlo_name, patience or Patience(), Contexts(verifying))
        self._connections = connections
        self._monotonic = monotonic
        self._exchangers = exchangers or Exchangers(Directory(ehlo_name))
        self._pools: dict[tuple[Hop, Protection], Pool] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._outages = Outages(monotonic)

    def renew(self, *, ehlo_name: str, connections: int, patience: Patience, exchangers: Exchangers) -> None:
        """Take another name, bound, patience and finder of next hops; connections that are open stay as they are."""
        self._exchangers = exchangers
        self._client = replace(self._client, ehlo_name=ehlo_name, patience=patience)
        self._connections = connections
        for pool in self._pools.values():
            pool.resize(connections, patience)

    async def send(self, route: Route, mail: Transaction) -> tuple[Outcome, ...]:
        """Send a message; return one outcome per path of the transaction, in order. Never raises.

        A next hop that cannot be used is passed over for the next one, and left alone for a while, then tried by one
        message at a time until it answers; the message is not offered again once a next hop has decided about any
        recipient or has seen the final dot. An address that needs SMTPUTF8 is offered apart from those that do not; on
        a route by MX, so is each domain.
        """
        if len(mail.paths) == 1:
            return await self._send(route, mail)

        def kind(path: Path) -> tuple[str, bool]:
            return domain_of(path.address) if route.mx else "", path.address.isascii()

        parts = divided(mail, kind)
        if len(parts) == 1:
            return await self._send(route, mail)
        outcomes: dict[int, Outcome] = {}
        for part, places in parts:
            outcomes.update(zip(places, await self._send(route, part), strict=True))
        return tuple(outcomes[place] for place in range(len(mail.paths)))

    async def _send(self, route: Route, mail: Transaction) -> tuple[Outcome, ...]:
        """Send to recipients who share their next hops."""
        hops: Sequence[Hop] = route.hosts
        if route.mx:
            found = await self._exchangers.hops(domain_of(mail.paths[0].address))
            if isinstance(found, Deferred | Failed):
                return (found,) * len(mail.paths)
            hops = found
        refusals: list[Unusable] = []
        pools = [(hop, self._pool(hop, route.protection)) for hop in hops]
        for hop, pool in sorted(pools, key=lambda one: one[1].doubtful) if len(pools) > 1 else pools:
            avoided = pool.avoided()
            result = Unusable(avoided) if avoided else await self._offer(pool, mail)
            if not avoided:
                self._note(hop, pool)
            if not isinstance(result, Unusable):
                return result
            refusals.append(result)
        if refusals and all(one.lasting for one in refusals):
            return (Failed(refusals[-1].answer),) * len(mail.paths)
        passing = [one.answer for one in refusals if not one.lasting]
        nowhere = local_answer("4.4.1", f"the route {route.name} has no next hop in relay.toml")
        return (Deferred(passing[-1] if passing else nowhere),) * len(mail.paths)

    def ask_again(self) -> None:
        """Ask at the next message every next hop that is left alone: a person says that one is back."""
        for pool in self._pools.values():
            pool.ask_again()

    def tidy(self) -> None:
        """Say goodbye to connections that were idle too long; call it about once a second."""
        for key, pool in tuple(self._pools.items()):
            for session in pool.tidy():
                task = asyncio.ensure_future(session.quit())
                self._farewells.add(task)
                task.add_done_callback(self._farewells.discard)
            if pool.forgettable:  # on a route by MX there are as many as there are mail servers in the world
                del self._pools[key]

    async def close(self) -> None:
        """Say goodbye to all idle connections."""
        sessions = [session for pool in self._pools.values() for session in pool.empty()]
        await asyncio.gather(*self._farewells, *(session.quit() for session in sessions))

    def _note(self, hop: Hop, pool: Pool) -> None:
        """Have the log say when an outage of a next hop begins, and when it is over."""
        if fault := pool.avoided():
            self._outages.begun(hop, fault)
        elif not pool.doubtful:
            self._outages.over(hop)

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
                pool.doubt() if session.silent else pool.trust()
                return result
            if kept and result.hop_at_fault:
                # That the next hop closed a kept connection says nothing about the next hop; that it is silent does.
                if session.silent:
                    pool.doubt()
                fresh = True
                continue
            if result.answer.code in _TO_AVOID:
                pool.avoid(result.answer)
            elif session.silent:
                pool.doubt()
            elif not result.hop_at_fault:
                pool.trust()
            return result

    def _pool(self, hop: Hop, protection: Protection) -> Pool:
        if isinstance(hop, MailHost):  # known by its name, reached by its address
            protection = replace(protection, certificate=hop.name)
        key = (hop, protection)
        if key not in self._pools:
            self._pools[key] = Pool(
                self._connections,
                self._client.patience,
                lambda: open_session(hop, protection, self._client),
                self._monotonic,
            )
        return self._pools[key]
