"""Who takes part in a new conversation: rows under a MAC, a key for each, and what each holder gets."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from relay.clock import new_id
from relay.store.tables.sealed import ReaderState
from relay.vault.keyring import Keyring
from relay.vault.paths import link_path
from relay.vault.sealing.links import link_pair, new_link_secret, new_sender_secret, sender_pair
from relay.vault.sealing.rows import Role, key_mac, participant_mac
from relay.vault.sealing.stanza import StanzaKey, StanzaType


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
    """The participants of one new conversation, as they are entered: rows, and the keys to seal to."""

    keyring: Keyring
    conversation_id: bytes
    now: datetime
    expires_at: datetime
    links: dict[str, PickupLink] = field(default_factory=dict)
    sender_id: bytes | None = None
    sender_secret: bytes = field(default=b"", repr=False)
    rows: list[dict[str, Any]] = field(default_factory=list)
    key_rows: list[dict[str, Any]] = field(default_factory=list)
    keys: list[StanzaKey] = field(default_factory=list)

    def add_reader(self, address: str) -> None:
        """Enter a reader and draw a link for them; an address that is entered already keeps its one link."""
        if address in self.links:
            return
        link_id, secret = new_id(), new_link_secret()
        key = StanzaKey(StanzaType.LINK, link_id, link_pair(secret, link_id).public)
        participant_id = self._add(Role.READER, address, key)
        self.links[address] = PickupLink(address, participant_id, link_id, secret, link_path(link_id, secret))

    def add_sender(self, address: str) -> None:
        """Enter the sender and draw S, the secret of the receipt's reply address."""
        self.sender_secret = new_sender_secret()
        public = sender_pair(self.sender_secret, self.conversation_id).public
        self.sender_id = self._add(Role.SENDER, address, StanzaKey(StanzaType.SENDER, new_id(), public))

    def _add(self, role: Role, address: str, key: StanzaKey) -> bytes:
        participant_id = new_id()
        version, row_key = self.keyring.row_key()
        person = {"conversation_id": self.conversation_id, "participant_id": participant_id}
        self.rows.append(
            {
                "id": participant_id,
                "conversation_id": self.conversation_id,
                "role": int(role),
                "flags": 0,
                "address": self.keyring.seal_address(address),
                "address_hash": self.keyring.address_hash(address),
                "mac": participant_mac(row_key, **person, role=role, flags=0, address=address),
                "mac_version": version,
                "state": ReaderState.WAITING.value,
                "notified_at": None,
                "opened_at": None,
                "read_at": None,
            }
        )
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
        return participant_id
