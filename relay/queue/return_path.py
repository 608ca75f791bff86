"""The reverse-path of our own mail: an address at which only reports about that mail arrive.

A next hop that accepts a notice may find out later that nobody gets it, and says so to the reverse-path. Ours names the
queued message and carries a tag that only the relay can make (`Keyring.address_tag`), so that nobody can report about
mail that they never saw; and it is at the gateway's own domain, so that SPF speaks of the gateway and not of the sender
whose message it is about.

Mail to a reader names the reader instead. Greylists remember client, reverse-path and recipient (RFC 6647 section 2.3):
where the notice was made to wait, the code that follows it would be again, with every reverse-path that is new, and
longer than a code is valid.
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

    def of(self, identifier: bytes) -> str:
        """Return the reverse-path of one queued message, or of all mail to one reader (the participant's id)."""
        return SecretAddress(AddressKind.BOUNCE, identifier, self._tag(identifier)).write(self.domain)

    def genuine(self, address: SecretAddress) -> bool:
        """Whether we wrote this bounce address; False for an address of another kind. No database is asked."""
        right = hmac.compare_digest(address.secret, self._tag(address.id))
        return right and address.kind is AddressKind.BOUNCE

    def read(self, address: str) -> bytes | None:
        """Return the queued message or the reader that a bounce address of ours names, None for any other address."""
        found = read_secret_address(address, self.domain)
        return found.id if found is not None and self.genuine(found) else None

    def _tag(self, identifier: bytes) -> bytes:
        return self.keyring.address_tag(_LABEL, identifier)
