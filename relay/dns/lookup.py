"""Questions to the DNS. That nobody answers is a value too: a check goes on with its next question."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, cast

import dns.exception
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from relay.config.values import Endpoint

PATIENCE = 5.0  # seconds for one question, all servers and repetitions together


@dataclass(frozen=True, slots=True)
class Answer:
    """The records under a name, as text; none where there are none. ``problem`` says why nobody answered."""

    records: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One MX record (RFC 5321 section 5.1). ``host`` has no final dot and is empty in a null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Exchangers:
    """The MX records of a domain, the preferred first."""

    records: tuple[Exchanger, ...] = ()
    problem: str = ""


class Lookup:
    """Asks the resolvers of this machine, or one ``server`` alone (an address, not a name): ValueError otherwise."""

    def __init__(self, server: Endpoint | None = None) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=server is None)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.resolver.Resolver(configure=False)  # asks nobody, and says so
        self._resolver.lifetime = PATIENCE
        if server is not None:
            self._resolver.nameservers = [str(ip_address(server.host))]
            self._resolver.port = server.port

    def texts(self, name: str) -> Answer:
        """Return the TXT records of a name, each with its strings joined (RFC 7208 section 3.3, RFC 6376 3.6.2.2)."""
        return self._ask(name, "TXT", lambda data: b"".join(cast(TXT, data).strings).decode("utf-8", "replace"))

    def addresses(self, host: str) -> Answer:
        """Return the A and AAAA records of a host; a problem only where neither question brought one."""
        both = [self._ask(host, kind, str) for kind in ("A", "AAAA")]
        found = tuple(record for answer in both for record in answer.records)
        return Answer(found, "" if found else next((answer.problem for answer in both if answer.problem), ""))

    def alias(self, host: str) -> Answer:
        """Return where a name is only an alias for, without a final dot."""
        return self._ask(host, "CNAME", lambda data: str(data).rstrip("."))

    def exchangers(self, domain: str) -> Exchangers:
        """Return the MX records of a domain."""
        found: list[Exchanger] = []

        def take(data: Any) -> str:
            record = cast(MX, data)
            found.append(Exchanger(record.preference, str(record.exchange).rstrip(".").lower()))
            return ""

        answer = self._ask(domain, "MX", take)
        return Exchangers(tuple(sorted(found, key=lambda one: (one.preference, one.host))), answer.problem)

    def _ask(self, name: str, kind: str, write: Callable[[Any], str]) -> Answer:
        if not self._resolver.nameservers:
            return Answer(problem="this machine names no DNS server in /etc/resolv.conf")
        try:
            found = self._resolver.resolve(f"{name}.", kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Answer()
        except dns.resolver.NoNameservers:
            return Answer(problem="the DNS servers refuse to answer or fail")
        except dns.exception.Timeout:
            return Answer(problem=f"no answer within {PATIENCE:.0f} seconds")
        except (dns.exception.DNSException, OSError) as error:
            return Answer(problem=f"no usable answer ({type(error).__name__})")
        return Answer(tuple(write(data) for data in found))
