"""Where mail for a domain is to be taken: asked of the DNS (RFC 5321 section 5.1, RFC 7505), and kept for a while.

Nothing here raises for what the DNS says or does not say: that there is no way is a value with a status of RFC 3463.
The answers are not proven (no DNSSEC): whoever can forge them can lead mail astray, which is why a route by MX is
never counted as a proven transport.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain, groupby, zip_longest
from typing import Any, cast

import dns.asyncresolver
import dns.exception
import dns.resolver
import idna
from dns.rdtypes.ANY.MX import MX

from relay.clock import monotonic as real_monotonic
from relay.config.values import Endpoint

PATIENCE = 20.0  # seconds for one question, all servers and repetitions together
MOST_HOSTS = 10  # exchangers that are looked at: a domain with a thousand must not make us ask for each
MOST_ADDRESSES = 4  # of one exchanger
LONGEST, SHORTEST = 300.0, 10.0  # seconds for which an answer is kept, whatever its time to live
KEPT = 10_000  # domains
_KEPT_FAILURE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Host:
    """A server that takes mail for a domain: its name without a final dot, its addresses, IPv6 and IPv4 in turn."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """Who takes mail for a domain: tiers of hosts that are equally preferred, the preferred tier first."""

    tiers: tuple[tuple[Host, ...], ...]

    def in_order(self, shuffle: Callable[[list[Host]], None] = random.shuffle) -> list[Host]:
        """Return the hosts in the order in which they are to be tried: at random among equals."""
        ordered: list[Host] = []
        for tier in self.tiers:
            equals = list(tier)
            shuffle(equals)
            ordered += equals
        return ordered


@dataclass(frozen=True, slots=True)
class NoDestination:
    """Why there is no way: ``enhanced`` begins with 4 where there may be one later, with 5 where there is none."""

    enhanced: str
    text: str


Found = Destination | NoDestination


@dataclass(frozen=True, slots=True)
class _Records:
    """What was answered: data, how long it holds; or a ``problem``; ``exists`` is false for a name of nothing."""

    data: tuple[Any, ...] = ()
    seconds: float = _KEPT_FAILURE
    exists: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Exchanger:
    preference: int
    host: Host
    seconds: float
    problem: str


def of_this_machine(address: str) -> bool:
    """Tell whether an address is this machine's own. Nothing is sent: only the routing table is asked."""
    parsed = ip_address(address)
    if parsed.is_loopback:
        return True
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6  # noqa: PLR2004
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return ip_address(probe.getsockname()[0]) == parsed  # one talks to oneself from the same address
    except OSError:
        return False


class Directory:
    """Finds destinations, for one event loop; what it learns it keeps for a few minutes at most.

    ``own_name`` is the name of this gateway in SMTP: hosts of that name, with its addresses, or with an address that
    ``ours`` recognises, are ourselves. ``server`` is asked instead of the resolvers of this machine.
    """

    def __init__(
        self,
        own_name: str,
        *,
        server: Endpoint | None = None,
        ours: Callable[[str], bool] = of_this_machine,
        patience: float = PATIENCE,
        monotonic: Callable[[], float] = real_monotonic,
    ) -> None:
        self._own_name = own_name.lower()
        self._server = server
        self._ours = ours
        self._patience = patience
        self._monotonic = monotonic
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._known: dict[str, tuple[Found, float]] = {}
        self._own: tuple[_Exchanger, float] | None = None
        self._asking: dict[str, asyncio.Task[Found]] = {}

    async def find(self, domain: str) -> Found:
        """Return where mail for a domain (or an address literal in brackets) is to be taken. Never raises."""
        known = self._known.get(domain)
        if known is not None and self._monotonic() < known[1]:
            return known[0]
        asking = self._asking.get(domain)
        if asking is None:
            asking = self._asking[domain] = asyncio.create_task(self._learn(domain))
            asking.add_done_callback(lambda _: self._asking.pop(domain, None))
        return await asyncio.shield(asking)  # others wait for it too

    async def _learn(self, domain: str) -> Found:
        found, seconds = await self._find(domain)
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known.pop(domain, None)
        self._known[domain] = (found, self._monotonic() + min(max(seconds, SHORTEST), LONGEST))
        return found

    async def _find(self, domain: str) -> tuple[Found, float]:
        if domain.startswith("["):
            return self._literal(domain), LONGEST
        try:
            name = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            return NoDestination("5.1.2", f"{domain} is no domain name"), LONGEST
        records = await self._ask(name, "MX")
        if records.problem:
            return NoDestination("4.4.3", f"the mail servers of {domain} are not known: {records.problem}"), 0
        if not records.exists:
            return NoDestination("5.1.2", f"the domain {domain} does not exist"), records.seconds
        named = _by_preference(records.data)
        if records.data and not named:
            return NoDestination("5.1.10", f"the domain {domain} takes no mail (null MX)"), records.seconds
        # RFC 5321 section 5.1: a domain without MX is its own exchanger.
        candidates = (named or [(0, name)])[:MOST_HOSTS]
        own, *exchangers = await asyncio.gather(self._ourselves(), *(self._exchanger(*one) for one in candidates))
        seconds = min(records.seconds, *(one.seconds for one in exchangers))
        return self._chosen(domain, exchangers, frozenset(own.host.addresses), implicit=not named), seconds

    def _chosen(self, domain: str, exchangers: Sequence[_Exchanger], own: frozenset[str], *, implicit: bool) -> Found:
        """Leave out ourselves with all that are preferred no more than we are, and whom nobody can reach."""
        worst = min((one.preference for one in exchangers if self._is_self(one.host, own)), default=None)
        better = [one for one in exchangers if worst is None or one.preference < worst]
        reachable = [one for one in better if one.host.addresses]
        if reachable:
            tiers = groupby(reachable, key=lambda one: one.preference)
            return Destination(tuple(tuple(one.host for one in tier) for _, tier in tiers))
        if problem := next((one.problem for one in better if one.problem), ""):
            return NoDestination("4.4.3", f"the addresses of the mail servers of {domain} are not known: {problem}")
        if worst is not None:
            return NoDestination("5.4.6", f"mail for {domain} leads back to this gateway, which has no mailbox for it")
        if implicit:
            return NoDestination("5.1.2", f"the domain {domain} has neither a mail server nor an address")
        return NoDestination("5.4.4", f"no mail server of {domain} has an address")

    def _literal(self, domain: str) -> Found:
        try:
            address = str(ip_address(domain[1:-1].removeprefix("IPv6:").removeprefix("ipv6:")))
        except ValueError:
            return NoDestination("5.1.2", f"{domain} is no address")
        if not _fit(address):
            return NoDestination("5.1.2", f"{domain} is no address of a mail server")
        if self._ours(address):
            return NoDestination("5.4.6", f"{domain} is this gateway, which has no mailbox for it")
        return Destination(((Host(domain, (address,)),),))

    def _is_self(self, host: Host, own: frozenset[str]) -> bool:
        return host.name == self._own_name or any(one in own or self._ours(one) for one in host.addresses)

    async def _ourselves(self) -> _Exchanger:
        """Return our own name with its addresses: behind a translating router no interface of ours has them."""
        if self._own is None or self._monotonic() >= self._own[1]:
            found = await self._exchanger(0, self._own_name)
            self._own = found, self._monotonic() + (SHORTEST if found.problem else LONGEST)
        return self._own[0]

    async def _exchanger(self, preference: int, name: str) -> _Exchanger:
        six, four = await asyncio.gather(self._ask(name, "AAAA"), self._ask(name, "A"))
        # In turn, so that a machine without IPv6 does not spend all its tries on it.
        in_turn = chain.from_iterable(zip_longest(*(map(_plain, one.data) for one in (six, four))))
        addresses = tuple(dict.fromkeys(one for one in in_turn if one is not None and _fit(one)))[:MOST_ADDRESSES]
        problem = "" if addresses else six.problem or four.problem
        return _Exchanger(preference, Host(name, addresses), min(six.seconds, four.seconds), problem)

    async def _ask(self, name: str, kind: str) -> _Records:
        try:
            answer = await self._asked().resolve(f"{name}.", kind, search=False)
        except dns.resolver.NXDOMAIN:
            return _Records(exists=False)
        except dns.resolver.NoAnswer:
            return _Records(seconds=LONGEST)
        except (dns.exception.DNSException, OSError, ValueError) as error:
            self._resolver = None  # the machine's resolvers may have been configured anew
            return _Records(problem=_problem(error))
        return _Records(tuple(answer), answer.chaining_result.minimum_ttl)

    def _asked(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:  # not at the start: a machine may come up before its resolver is configured
            resolver = dns.asyncresolver.Resolver(configure=self._server is None)
            resolver.lifetime = self._patience
            if self._server is not None:
                resolver.nameservers = [self._server.host]
                resolver.port = self._server.port
            self._resolver = resolver
        return self._resolver


def _problem(error: Exception) -> str:
    match error:
        case dns.resolver.NoNameservers():
            return "the DNS servers refuse to answer or fail"
        case dns.exception.Timeout():
            return "the DNS servers do not answer"
        case _:
            return f"no usable answer of the DNS ({type(error).__name__})"


def _by_preference(records: Sequence[Any]) -> list[tuple[int, str]]:
    """Return preferences and names; the root, which is no host (RFC 7505), is left out."""
    found = [(one.preference, one.exchange.to_text(omit_final_dot=True).lower()) for one in cast(Sequence[MX], records)]
    return sorted((preference, name) for preference, name in found if name not in {"", ".", "@"})


def _plain(record: Any) -> str:
    address: IPv4Address | IPv6Address = ip_address(record.address)
    return str(getattr(address, "ipv4_mapped", None) or address)


def _fit(address: str) -> bool:
    parsed = ip_address(address)
    return not (parsed.is_multicast or parsed.is_unspecified)
