"""Who may send through a listener, and how much one client and all clients together may use.

There is no open relay (RFC 5321 section 7.9): mail is taken from the listener's trusted networks, from accounts that
signed in and from its tenants of Microsoft 365. Everybody else may write to a few addresses of the gateway's own.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from weakref import WeakValueDictionary

from relay.config.values import too_wide
from relay.memory import RECEPTION, Room
from relay.smtp import replies
from relay.smtp.own_addresses import OwnAddresses
from relay.smtp.tenants import Tenant
from relay.smtp.values import ClientFacts, Reply
from relay.store.throttle import network_of

Network = IPv4Network | IPv6Network
Within = Callable[[str], bool]

_CLIENTS = 1024  # whose addresses are remembered as worked out: most clients come again


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session and one message may use. Sizes in octets.

    ``commands`` bounds commands that bring no message nearer (NOOP, RSET, VRFY, HELP, EHLO, ...) between two
    messages; ``errors`` is the number of errors that ends a session. ``strangers_size`` is for clients whom nobody
    vouches for: reports have room in it, with the mail that they return.
    """

    message_size: int = 50 << 20
    strangers_size: int = 10 << 20
    recipients: int = 1000
    errors: int = 20
    commands: int = 100


def client_address(peer: object) -> tuple[str, int]:
    """Return canonical address text and port from a socket's peer name; an IPv4-mapped IPv6 address becomes IPv4.

    Raises ValueError when the socket has no address (it is gone already).
    """
    if not isinstance(peer, tuple) or len(peer) < 2:  # noqa: PLR2004  # (host, port) or (host, port, flow, scope)
        raise ValueError("the connection has no address")
    return _canonical(str(peer[0])), int(peer[1])


@lru_cache(maxsize=_CLIENTS)
def client_network(ip: str) -> str:
    """Return the network that stands for one client in counters and logs: an IPv4 /24, an IPv6 /64."""
    return str(ip_network((ip, 64 if ":" in ip else 24), strict=False))


@lru_cache(maxsize=_CLIENTS)
def crowd_of(ip: str) -> str:
    """Return the network that counts as one among strangers: an IPv4 /24, an IPv6 /48. Nobody has many of those."""
    return str(ip_network((ip, 48 if ":" in ip else 24), strict=False))


class Occupancy:
    """Counts connections and octets of messages in memory, over all listeners of one process.

    A client is one IPv4 address or one IPv6 /64. ``memory`` bounds the octets of small messages that are being received
    or judged at one time, and of pieces of large ones. Strangers, who may send reports and mail for postmaster, get a
    part of both: however many there are, staff's mail goes on. One network of them (`crowd_of`) gets a part of that
    part, so that the others' reports go on too.
    """

    def __init__(self, *, connections: int = 500, per_client: int = 100, memory: int = RECEPTION) -> None:
        self.bounds = connections, per_client  # may change while clients are in
        self.memory = Room(memory)
        self._strangers = Room(memory // 4, self.memory)
        self._crowds: WeakValueDictionary[str, Room] = WeakValueDictionary()
        self._clients: Counter[str] = Counter()
        self._crowded: Counter[str] = Counter()
        self._total = 0

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._total

    def strangers(self, ip: str) -> Room:
        """Return what the network of a stranger at this address may use of the memory: a quarter of all strangers'."""
        crowd = crowd_of(ip)
        share = self._crowds.get(crowd)
        if share is None:
            share = self._crowds[crowd] = Room(self._strangers.size // 4, self._strangers)
        return share

    def enter(self, ip: str, *, stranger: bool = False) -> Reply | None:
        """Count one more connection of this client, or say why it must go away (then it is not counted).

        ``stranger``: it comes from no trusted network. A quarter of the connections is not for those, and no network
        of theirs gets more than a sixteenth. Say so again in `leave`, unless it was vouched for in between.
        """
        client, crowd = _client_of(ip), crowd_of(ip)
        connections, per_client = self.bounds
        if self._total >= connections - (connections // 4 if stranger else 0):
            return replies.TOO_MANY_CONNECTIONS
        if self._clients[client] >= per_client:
            return replies.TOO_MANY_OF_YOURS
        if stranger:
            if self._crowded[crowd] >= max(1, connections // 16):
                return replies.TOO_MANY_OF_YOURS
            self._crowded[crowd] += 1
        self._clients[client] += 1
        self._total += 1
        return None

    def vouch(self, ip: str) -> None:
        """Count a stranger that had entered among the others from now on: somebody has said who it is."""
        _take_one(self._crowded, crowd_of(ip))

    def leave(self, ip: str, *, stranger: bool = False) -> None:
        """Count off one connection that had entered."""
        self._total -= 1
        _take_one(self._clients, _client_of(ip))
        if stranger:
            self.vouch(ip)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may send through one listener: the ``trusted`` networks, the ``tenants``, and who has signed in.

    ``own`` are the gateway's own addresses: anybody may write to some of them. Connections from ``proxies`` begin with
    a PROXY header that says who is there. Raises ValueError when a network is so wide a piece of the public internet
    that trusting it is an open relay.
    """

    trusted: tuple[Network, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    proxies: tuple[Network, ...] = ()
    own: OwnAddresses | None = None
    _in_trusted: Within = field(init=False, repr=False, compare=False)
    _in_proxies: Within = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse to be an open relay."""
        for network in self.trusted:
            if too_wide(network):
                raise ValueError(f"{network} is too wide a part of the public internet to be trusted to send")
        object.__setattr__(self, "_in_trusted", _within(self.trusted))
        object.__setattr__(self, "_in_proxies", _within(self.proxies))

    def trusts(self, ip: str) -> bool:
        """Say whether a client at this address may send without signing in."""
        return self._in_trusted(ip)

    def is_proxy(self, ip: str) -> bool:
        """Say whether connections from this address are passed on for somebody else, by a PROXY header."""
        return self._in_proxies(ip)

    def vouches(self, client: ClientFacts) -> bool:
        """Say whether a client of no trusted network has shown that it may be one of ours: signed in, or a tenant."""
        return bool(client.authenticated) or any(tenant.may_be(client, "") for tenant in self.tenants)

    def tenant_of(self, client: ClientFacts, reverse_path: str) -> Tenant | None:
        """Return the tenant whose transaction this may be; its message must prove it (`Tenant.wrote`)."""
        if not client.certificate:
            return None
        return next((one for one in self.tenants if one.may_be(client, reverse_path)), None)

    def refusal(self, client: ClientFacts, recipient: str) -> Reply | None:
        """Say why this client may not send to a recipient through us, or None when it may."""
        staff = client.trusted or bool(client.authenticated)
        if self.own is not None and self.own.has(recipient):
            return self.own.refusal(recipient, staff=staff)
        return None if staff else replies.RELAYING_DENIED


_client_of = lru_cache(maxsize=_CLIENTS)(network_of)


def _take_one(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


@lru_cache(maxsize=_CLIENTS)
def _canonical(address: str) -> str:
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(parsed)


def _within(networks: tuple[Network, ...]) -> Within:
    """Return the question whether an address is in one of the networks, which remembers its answers."""

    @lru_cache(maxsize=_CLIENTS)
    def within(ip: str) -> bool:
        address = ip_address(ip)
        return any(address in network for network in networks)

    return within
