"""What all conversations of one listener share: its name, its services, its limits, its patience."""

import math
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay import clock, descriptors
from relay.config.users import User
from relay.memory import Room
from relay.smtp import replies
from relay.smtp.access import Access, Limits, Occupancy
from relay.smtp.certificates import TlsFiles
from relay.smtp.overflow import Disk
from relay.smtp.signing_in import SignIns
from relay.smtp.strangers import Strangers
from relay.smtp.values import Accept, ClientFacts, Reply


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds (RFC 5321 section 4.5.3.2.7 asks for five minutes per command).

    Honest slow clients finish: data needs only ``data_rate`` octets a second on average, after a head start of
    ``data_start`` seconds. One octet a minute does not: neither as data nor as a command (which must be complete
    in ``command``), nor does an endless exchange of NOOP: ``session`` bounds the time between two messages.
    """

    command: float = 300
    block: float = 300  # silence within DATA or BDAT
    data_start: float = 600
    data_rate: float = 1024
    session: float = 1800
    handshake: float = 60
    farewell: float = 10  # for the last reply to leave; then the connection is cut

    def message_deadline(self, *, began: float, octets: int) -> float:
        """Return when to stop waiting for a message that began then and has come so far."""
        return began + self.data_start + octets / self.data_rate


@dataclass(slots=True)
class Door:
    """One listener, as its conversations see it.

    ``tls`` is the context that new handshakes use (it can be replaced while running), ``tls_files`` what it was made
    from; ``tls_at_once`` means implicit TLS (RFC 8314 section 3). ``postmaster`` gets what is sent to ``<Postmaster>``
    (RFC 5321 section 4.1.1.3). ``users`` by folded name may sign in at ``sign_ins``; None offers no
    AUTH. ``disk`` takes large messages as they arrive; without one they are held in memory. ``now`` is monotonic
    seconds. ``stopping`` turns true once, when no new transaction may begin.
    """

    name: str
    hostname: str
    accept: Accept
    access: Access
    occupancy: Occupancy = field(default_factory=Occupancy)
    strangers: Strangers = field(default_factory=Strangers)
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)
    tls: ssl.SSLContext | None = None
    tls_files: TlsFiles | None = None
    tls_at_once: bool = False
    users: Mapping[str, User] | None = None
    sign_ins: SignIns | None = None
    postmaster: str = ""
    disk: Disk | None = None
    now: Callable[[], float] = clock.monotonic
    stopping: bool = False

    def __post_init__(self) -> None:
        """Give Postmaster a complete address."""
        self.postmaster = self.postmaster or f"postmaster@{self.hostname}"

    def admit(self, ip: str, descriptor: int, *, stranger: bool, named: bool = True) -> Reply | None:
        """Count one more connection in, or say why it must go away; ``named`` is false where a proxy names nobody.

        ``descriptor`` is the number of its socket, -1 when that is closed already.
        """
        if descriptors.few_left(descriptor):
            return replies.TOO_MANY_CONNECTIONS
        if stranger and named and not self.strangers.may_enter(ip):
            return replies.TOO_MANY_VISITS
        return self.occupancy.enter(ip, stranger=stranger)

    def bounds(self, client: ClientFacts) -> tuple[int, Room]:
        """Return how many octets a message of this client may have, and where its memory comes from."""
        if client.trusted or client.authenticated:
            return self.limits.message_size, self.occupancy.memory
        return min(self.limits.message_size, self.limits.strangers_size), self.occupancy.strangers(client.ip)

    def renew(self, other: "Door") -> None:
        """Become like another door: from the next command, message and handshake on. Sessions that run go on.

        The count of open connections stays, with the other's bounds; so do what strangers brought, the clock, the
        patience, and whether TLS comes at once, which the socket decided.
        """
        self.hostname, self.postmaster = other.hostname, other.postmaster
        self.accept, self.access, self.limits = other.accept, other.access, other.limits
        self.tls, self.tls_files, self.users, self.disk = other.tls, other.tls_files, other.users, other.disk
        self.occupancy.bounds = other.occupancy.bounds


NEVER = math.inf  # a deadline while we, not the client, are at work
