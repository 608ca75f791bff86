"""Where mail leaves: a route's next hops in order of preference, and how each connection is protected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from relay.config.values import Endpoint


REPLIES = "replies"  # the route of readers' answers to staff


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
class Route:
    """One way out: ``hosts`` are tried in order, all with the same ``tls``. ``name`` is stored with each entry."""

    name: str
    hosts: tuple[Endpoint, ...]
    tls: TlsMode


class Routes:
    """The routes of relay.toml, and which of them an address takes."""

    def __init__(self, routes: Iterable[Route], *, inside_domains: Iterable[str]) -> None:
        self.by_name: Mapping[str, Route] = {route.name: route for route in routes}
        self.inside_domains = frozenset(inside_domains)

    def __getitem__(self, name: str) -> Route:
        return self.by_name[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of all routes."""
        return tuple(self.by_name)

    def followed_by(self, newer: "Routes") -> "Routes":
        """Return the newer routes, with those of ours beside them that they do not name: mail may wait for them."""
        left = (route for name, route in self.by_name.items() if name not in newer.by_name)
        return Routes((*newer.by_name.values(), *left), inside_domains=newer.inside_domains)

    def name_for(self, address: str) -> str:
        """Return the route of an address: ``inside`` for the organisation's own domains, else ``outside``."""
        return "inside" if domain_of(address) in self.inside_domains else "outside"


def domain_of(address: str) -> str:
    """Return the domain of an address in lower case, empty when it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""
