"""Addresses at the gateway's own domain that carry a secret: who writes to one shows that our mail reached them.

    r.<reader>.<S>@domain    an answer to one reader of a conversation
    c.<message>.<S or tag>@domain    a command about a message, or the answer to a question about it
    b.<message or reader>.<tag>@domain    where reports about one of our own mails go, or about those to one reader

Identifier (16 octets) and secret (20 octets) stand in base32 (RFC 4648 section 6) without padding, in lower case, and
are read in any case, because some mail systems change it. That makes 61 octets of the 64 that a local part may have
(RFC 5321 section 4.5.3.1.1), and no "+", which some systems take for a sub-address.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from relay import base32

ID_LENGTH = 16  # octets
SECRET_LENGTH = 20  # octets
_LOCAL = re.compile(r"([rcb])\.([a-z2-7]{26})\.([a-z2-7]{32})", re.ASCII)


class AddressKind(StrEnum):
    """What an address is for."""

    READER = "r"
    CONTROL = "c"
    BOUNCE = "b"


@dataclass(frozen=True, slots=True)
class SecretAddress:
    """One such address. ``secret`` is S of the sealed format or a tag of the keyring: it belongs in no log."""

    kind: AddressKind
    id: bytes
    secret: bytes = field(repr=False)

    def write(self, domain: str) -> str:
        """Return the address; ValueError when identifier or secret have not their lengths."""
        if len(self.id) != ID_LENGTH or len(self.secret) != SECRET_LENGTH:
            raise ValueError("an identifier has 16 octets, a secret 20")
        return f"{self.kind.value}.{base32.encode(self.id)}.{base32.encode(self.secret)}@{domain}"


def read_secret_address(address: str, domain: str) -> SecretAddress | None:
    """Return what an address at ``domain`` says, None for any other address. Nothing is proved by that yet."""
    local, _, at = address.rpartition("@")
    if at.lower() != domain.lower():
        return None
    match = _LOCAL.fullmatch(local.lower())
    if match is None:
        return None
    try:
        found = SecretAddress(AddressKind(match[1]), base32.decode(match[2]), base32.decode(match[3]))
    except ValueError:
        return None
    # Bits beyond the last octet are not ours: one address has one spelling.
    return found if found.write(domain).partition("@")[0] == local.lower() else None
