"""The reverse-path of our own mail: an address at which only a report about that very mail arrives.

A next hop that accepts a notice may find out later that nobody gets it, and says so to the reverse-path. Ours names the
queued message and carries a tag that only the relay can make (`Keyring.address_tag`), so that nobody can report about
mail that they never saw; and it is at the gateway's own domain, so that SPF speaks of the gateway and not of the sender
whose message it is about.
"""

import hmac
from dataclasses import dataclass

from relay.message.secret_address import AddressKind, SecretAddress, read_secret_address
from relay.vault.keyring import Keyring

_LABEL = "bounce"


@dataclass(frozen=True, slots=True)
class ReturnPaths:
    """Writes and recognises them. ``domain`` is ``[gateway] domain``; the keyring is the relay's."""

    keyring: Keyring
    domain: str

    def of(self, queued_id: bytes) -> str:
        """Return the reverse-path of one queued message."""
        return SecretAddress(AddressKind.BOUNCE, queued_id, self._tag(queued_id)).write(self.domain)

    def genuine(self, address: SecretAddress) -> bool:
        """Whether we wrote this bounce address; False for an address of another kind. No database is asked."""
        right = hmac.compare_digest(address.secret, self._tag(address.id))
        return right and address.kind is AddressKind.BOUNCE

    def read(self, address: str) -> bytes | None:
        """Return the queued message that a bounce address of ours names, None for any other address."""
        found = read_secret_address(address, self.domain)
        return found.id if found is not None and self.genuine(found) else None

    def _tag(self, queued_id: bytes) -> bytes:
        return self.keyring.address_tag(_LABEL, queued_id)
