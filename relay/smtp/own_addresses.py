"""The gateway's own domain at the front door: which of its addresses anybody may write to, and which only staff.

b.…                   anybody, if we wrote the address: reports about our mail come from everywhere
postmaster, abuse     anybody (RFC 5321 section 4.5.1, RFC 2142 section 4)
r.…, c.…              staff, if the form is right: whether the secret is, is seen when the message is there
anything else         nobody
"""

from collections.abc import Callable
from dataclasses import dataclass

from relay.message.secret_address import AddressKind, SecretAddress, read_secret_address
from relay.smtp import replies
from relay.smtp.values import Reply

ROLES = frozenset({"postmaster", "abuse"})


def is_role(address: str) -> bool:
    """Whether an address is one that every domain has for people with a question or a complaint."""
    return address.rpartition("@")[0].lower() in ROLES


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """The addresses at ``domain``. ``genuine`` proves a bounce address and asks no database."""

    domain: str
    genuine: Callable[[SecretAddress], bool]

    def has(self, address: str) -> bool:
        """Whether an address is at this domain."""
        return address.rpartition("@")[2].lower() == self.domain

    def refusal(self, address: str, *, staff: bool) -> Reply | None:
        """Say why a client may not write to an address at this domain, None when it may."""
        if is_role(address):
            return None
        found = read_secret_address(address, self.domain)
        if found is None:
            return replies.NO_SUCH_ADDRESS
        if found.kind is AddressKind.BOUNCE:
            return None if self.genuine(found) else replies.NO_SUCH_ADDRESS
        return None if staff else replies.STAFF_ONLY
