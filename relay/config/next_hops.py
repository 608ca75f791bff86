"""The part of relay.toml that says where mail goes, and how patient the relay is with whoever takes it there."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from relay.config.amounts import DAY, HOUR, MINUTE
from relay.config.values import (
    Address,
    Domain,
    Duration,
    Label,
    Many,
    OptionalDuration,
    OptionalFile,
    OptionalServer,
    Strictly,
)


class Route(Strictly):
    """Next hops for one kind of recipients."""

    hosts: Many[Address] = ()
    """Next hops, tried in this order; none where mx = true."""
    mx: bool = False
    """true: without hosts of ours, straight to the mail servers that the DNS names for each recipient's domain."""
    tls: Literal["none", "opportunistic", "required"] = "opportunistic"
    """none (loopback only), opportunistic (TLS where it is offered) or required (verified, or not sent)."""


class Routes(Strictly):
    """Next hops for staff and for the outside world."""

    inside: Route
    """For recipients in organisation.domains."""
    outside: Route
    """For everybody else, notices included."""
    replies: Route | None = None
    """For readers' answers to staff: where mail from outside normally arrives; without it, as inside."""

    @property
    def for_replies(self) -> Route:
        """The way that readers' answers take."""
        return self.replies or self.inside


class Partner(Strictly):
    """Another organisation that mail reaches over a proven transport: required TLS, a certificate agreed on."""

    name: Label
    """How the queue calls its route: lower-case letters, digits and "-"."""
    domains: Many[Domain] = Field(min_length=1)
    """The partner's mail domains; sub-domains are named one by one."""
    hosts: Many[Address] = Field(min_length=1)
    """The partner's mail servers, tried in this order."""
    certificate: Domain | Literal[""] = ""
    """DNS name that their certificate must hold; empty means the name of each host."""
    authorities: OptionalFile = None
    """PEM file of the authorities that may have signed it; without one, those of this machine."""


class Delivery(Strictly):
    """Patience with next hops (RFC 5321 section 4.5.4.1)."""

    retry: Many[Duration] = Field(default=(MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR), min_length=1)
    """Pauses between attempts; the last one repeats."""
    give_up_after: Duration = Field(default=5 * DAY, ge=MINUTE, le=30 * DAY)
    """After this time the sender gets a report that the message could not be delivered."""
    warn_after: OptionalDuration = Field(default=4 * HOUR, ge=timedelta(seconds=1))
    """After this time the sender is told once that the message is late (RFC 3461 DELAY), or never."""
    connections_per_host: int = Field(default=10, ge=1, le=1000)
    """Most connections at a time to one next hop, for each relay process."""
    resolver: OptionalServer = None
    """DNS server that routes with mx = true ask, such as "127.0.0.1:53"; empty means those of this machine."""
