"""Who takes part: rows under a MAC that only the relay can make, a key for each, and what each holder gets."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from relay.clock import new_id
from relay.store.tables.sealed import ReaderState
from relay.vault.keyring import Keyring
from relay.vault.paths import link_path
from relay.vault.people import BLIND
from relay.vault.sealing.links import link_pair, new_link_secret, new_sender_secret, sender_pair
from relay.vault.sealing.rows import Role, key_mac, participant_mac
from relay.vault.sealing.stanza import StanzaKey, StanzaType

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class PickupLink:
    """A reader's link. ``secret`` and ``path`` exist here and in the notice; they belong in no log."""

    address: str
    participant_id: bytes
    link_id: bytes
    secret: bytes = field(repr=False)
    path: str = field(repr=False)


@dataclass(slots=True)
class Participants:
    """Participants and keys as they are entered into one conversation: their rows, and the keys to seal to.

    ``links`` are the fresh ones by address, ``secrets`` each fresh S, 20 bytes, by participant id.
    """

    keyring: Keyring
    conversation_id: bytes
    now: datetime
    expires_at: datetime
    links: dict[str, PickupLink] = field(default_factory=dict)
    secrets: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    rows: Rows = field(default_factory=list)
    key_rows: Rows = field(default_factory=list)
    keys: list[StanzaKey] = field(default_factory=list)

    def add_reader(self, address: str, *, blind: bool = False) -> None:
        """Enter a reader and draw a link for them; an address that is entered already keeps its one link."""
        if address not in self.links:
            self.draw_link(address, self._add(Role.READER, address, BLIND if blind else 0))

    def add_sender(self, address: str) -> None:
        """Enter the sender and draw S, the secret of the receipt's reply address."""
        self.draw_secret(self._add(Role.SENDER, address, 0))

    def add_colleague(self, address: str) -> None:
        """Enter somebody inside who takes part without a key of their own so far."""
        self._add(Role.SENDER, address, 0)

    def draw_link(self, address: str, participant_id: bytes) -> StanzaKey:
        """Draw a link for a reader who has a row; return the key to seal to."""
        link_id, secret = new_id(), new_link_secret()
        self.links[address] = PickupLink(address, participant_id, link_id, secret, link_path(link_id, secret))
        key = StanzaKey(StanzaType.LINK, link_id, link_pair(secret, link_id).public)
        return self._add_key(participant_id, key)

    def draw_secret(self, participant_id: bytes) -> StanzaKey:
        """Draw S for a sender who has a row; return the key to seal to."""
        secret = self.secrets[participant_id] = new_sender_secret()
        public = sender_pair(secret, self.conversation_id).public
        return self._add_key(participant_id, StanzaKey(StanzaType.SENDER, new_id(), public))

    def _add(self, role: Role, address: str, flags: int) -> bytes:
        participant_id = new_id()
        version, row_key = self.keyring.row_key()
        person = {"conversation_id": self.conversation_id, "participant_id": participant_id}
        self.rows.append(
            {
                "id": participant_id,
                "conversation_id": self.conversation_id,
                "role": int(role),
                "flags": flags,
                "address": self.keyring.seal_address(address),
                "address_hash": self.keyring.address_hash(address),
                "mac": participant_mac(row_key, **person, role=role, flags=flags, address=address),
                "mac_version": version,
                "state": ReaderState.WAITING.value,
            }
        )
        return participant_id

    def _add_key(self, participant_id: bytes, key: StanzaKey) -> StanzaKey:
        version, row_key = self.keyring.row_key()
        person = {"conversation_id": self.conversation_id, "participant_id": participant_id}
        self.key_rows.append(
            {
                "id": key.key_id,
                "type": int(key.type),
                **person,
                "pk": key.public,
                "mac": key_mac(row_key, kind=key.type, **person, key_id=key.key_id, public=key.public),
                "mac_version": version,
                "created_at": self.now,
                "expires_at": self.expires_at,
                "revoked_at": None,
            }
        )
        self.keys.append(key)
        return key
