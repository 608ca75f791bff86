"""Where mail leaves: a route's next hops in order of preference, and how each connection is protected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from relay.config.values import Endpoint

REPLIES = "replies"  # the route of readers' answers to staff
PARTNER = "partner:"  # in front of a partner's name


class TlsMode(StrEnum):
    """What protects a connection to a next hop.

    OPPORTUNISTIC takes STARTTLS wherever it is offered, without asking whose certificate it is (RFC 7435),
    and goes on in clear only where it is *not offered*: a failed handshake is a failed connection, never a
    reason to fall back. REQUIRED verifies certificate and host name. NONE is for loopback.
    """

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Protection:
    """What protects the connections of a route.

    With REQUIRED, ``certificate`` is the DNS name that the next hop's certificate must hold (empty: its host name), and
    ``authorities`` a PEM file of who may have signed it (None: the system's authorities).
    """

    tls: TlsMode
    certificate: str = ""
    authorities: Path | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One way out: ``hosts`` are tried in order, all with the same protection. ``name`` is stored with each entry.

    With ``mx`` there are no ``hosts``: mail goes where the DNS says for the domain of each recipient.
    """

    name: str
    hosts: tuple[Endpoint, ...]
    tls: TlsMode
    certificate: str = ""
    authorities: Path | None = None
    mx: bool = False

    @property
    def protection(self) -> Protection:
        """Return what protects each connection."""
        return Protection(self.tls, self.certificate, self.authorities)


class Routes:
    """The routes of relay.toml, and which of them an address takes.

    ``partners`` maps the domains of partners to the names of their routes.
    """

    def __init__(
        self, routes: Iterable[Route], *, inside_domains: Iterable[str], partners: Mapping[str, str] | None = None
    ) -> None:
        self.by_name: Mapping[str, Route] = {route.name: route for route in routes}
        self.inside_domains = frozenset(inside_domains)
        self.partners: Mapping[str, str] = partners or {}

    def __getitem__(self, name: str) -> Route:
        # What waits for a route that is gone from relay.toml must not leave another way: it was promised this one.
        return self.by_name.get(name) or Route(name, (), TlsMode.REQUIRED)

    def names(self) -> tuple[str, ...]:
        """Return the names of all routes."""
        return tuple(self.by_name)

    def name_for(self, address: str) -> str:
        """Return the route of an address: ``inside`` for the organisation's domains, a partner's, else ``outside``."""
        domain = domain_of(address)
        return "inside" if domain in self.inside_domains else self.partners.get(domain, "outside")

    def proven(self, address: str) -> bool:
        """Say whether mail to this address reaches its organisation over a transport that was proven: a partner's."""
        domain = domain_of(address)
        return domain in self.partners and domain not in self.inside_domains


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case, empty when it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""
