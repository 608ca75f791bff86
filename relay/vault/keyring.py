"""The keys of one installation, as one role holds them.

    keys/relay/    row-1 (MACs over rows)   address (addresses at rest)   audit (personal facts)   signing (checkpoints)
                   queue (private: portal requests)   epoch-YYYY-MM-DD (spooled mail; keep out of every backup)
    keys/shared/   kek-YYYY-MM-N (server keys by month of expiry)   index (keyed hashes)   enqueue (MAC of requests)
    keys/portal/   ticket   code   page
    keys/public/   queue.pub   signing.pub   recovery.pub (if there is a recovery key)
    keys/tombstones

The portal reads shared, portal and public: it can open what a link opens and hand requests to the relay, but make
no row and read no spooled mail and no address. The command line holds what the relay holds.
"""

import hmac
import secrets
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.errors import KeyringError
from relay.message.addresses import canonical_address
from relay.vault import first_keys
from relay.vault.keks import Epochs, Keks, active_version
from relay.vault.keyfiles import read_key, read_public, require_private_folder
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.kek import FileKek
from relay.vault.sealing.primitives import kdf, lab
from relay.vault.sealing.recovery import RecoveryPublicKey
from relay.vault.sealing.spool import SpoolReader, SpoolWriter, open_spooled, seal_spooled, spooled_key_id

Role = Literal["relay", "portal", "cli"]
TAG_LENGTH = 20  # of a secret in an address
HASH_LENGTH = 16  # of keyed hashes: 128 bits, so that two addresses never share one
_NONCE = 12
_INDEX = lab("index")
_FOLDERS = {"relay": ("relay", "shared"), "portal": ("portal", "shared"), "cli": ("relay", "shared")}


class Keyring:
    """The keys that one role holds. A key of another role raises KeyringError when it is asked for."""

    def __init__(self, folder: Path, role: Role) -> None:
        self.folder = folder
        self.role = role
        self._held = _FOLDERS[role]
        for name in self._held:
            require_private_folder(folder / name)
        self._secrets: dict[str, bytes] = {}
        for name, place in first_keys.PLACES.items():
            if place in self._held:
                key = read_key(folder / place, name)
                if key is None:
                    raise KeyringError(
                        f"the key {folder / place / name}.key is missing: restore the keys from their backup"
                    )
                self._secrets[name] = key.secret
        self.keks = Keks(folder / "shared", folder / "tombstones")
        self._epochs = Epochs(folder / "relay")
        self._tag_keys: dict[str, bytes] = {}
        # A message needs the hash of each of its addresses several times, the next one often the same.
        self._address_hash = lru_cache(maxsize=1024)(lambda one: self.text_hash("address", canonical_address(one)))
        self._address = AESGCM(self._secrets["address"]) if "address" in self._secrets else None

    def __repr__(self) -> str:
        return f"Keyring({str(self.folder)!r}, role={self.role!r})"

    @staticmethod
    def create(folder: Path) -> None:
        """Make the keys of a new installation in ``folder``, all or none; KeyringError when there are keys already."""
        first_keys.create(folder)

    @classmethod
    def open(cls, folder: Path, *, role: Role) -> "Keyring":
        """Load what ``role`` holds. KeyringError names the file that is missing, damaged or readable by others."""
        if not folder.is_dir():
            raise KeyringError(
                f"there are no keys in {folder}: restore them from their backup; "
                "for a new installation `letterlock init` makes them"
            )
        return cls(folder, role)

    # --- keyed hashes and addresses ---

    def address_hash(self, address: str) -> bytes:
        """Return the keyed hash, 16 bytes, under which an address is found; spelling variants hash alike."""
        return self._address_hash(address)

    def text_hash(self, label: str, text: str | bytes) -> bytes:
        """Return a keyed hash of 16 bytes; hashes under different labels have nothing in common."""
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        message = _INDEX + label.encode("ascii") + b"\x00" + data
        return _mac(self._secret("index"), message)[:HASH_LENGTH]

    def seal_address(self, address: str) -> bytes:
        """Return an address as the database keeps it: ``nonce 12 | AES-256-GCM``, different every time."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._address_cipher().encrypt(nonce, address.encode("utf-8"), lab("address"))

    def open_address(self, sealed: bytes) -> str:
        """Return the address behind ``seal_address``; SealingError (row) when it was changed."""
        try:
            plain = self._address_cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], lab("address"))
        except (InvalidTag, ValueError):
            raise SealingError(Layer.ROW, "this address was changed or is of another installation") from None
        return plain.decode("utf-8")

    def address_tag(self, label: str, item_id: bytes) -> bytes:
        """Return 20 bytes that only the relay can make for this item: the secret part of an address that we write."""
        key = self._tag_keys.get(label)
        if key is None:
            key = self._tag_keys[label] = kdf(self._secret("address"), b"", lab("tag") + label.encode("ascii"))
        return _mac(key, item_id)[:TAG_LENGTH]

    # --- spooled mail (relay) ---

    def spool_seal(self, label: str, item_id: bytes, data: bytes, *, at: datetime) -> bytes:
        """Seal something small that waits in the queue under the epoch key of ``at``; its id is in front."""
        epoch = self._epoch_keys().of_day(at)
        return seal_spooled(epoch.secret, epoch.id, label, item_id, data)

    def spool_open(self, label: str, item_id: bytes, sealed: bytes) -> bytes:
        """Undo ``spool_seal``; SealingError (spool) for anything else, or when the epoch key was destroyed."""
        return open_spooled(self._epoch_secret(spooled_key_id(sealed)), label, item_id, sealed)

    def spool_writer(self, label: str, item_id: bytes, *, at: datetime) -> SpoolWriter:
        """Return a writer for something large; what it hands out begins with the epoch key's id."""
        epoch = self._epoch_keys().of_day(at)
        return SpoolWriter(epoch.secret, epoch.id, label, item_id)

    def spool_reader(self, label: str, item_id: bytes, epoch_id: bytes, stored_length: int) -> SpoolReader:
        """Return a reader for what ``spool_writer`` wrote; errors as ``spool_open``."""
        return SpoolReader(self._epoch_secret(epoch_id), label, item_id, stored_length)

    def opens_epoch(self, epoch_id: bytes) -> bool:
        """Tell whether what was spooled under this epoch key can still be opened."""
        return self._epoch_keys().of_id(epoch_id) is not None

    def destroy_unused_epochs(self, in_use: frozenset[bytes], now: datetime) -> int:
        """Destroy epoch keys older than every one in ``in_use``; return how many."""
        return self._epoch_keys().destroy_unused(in_use, now)

    # --- sealed messages ---

    def kek_for(self, expires_at: datetime) -> FileKek:
        """Return the KEK of the month in which a message expires; made if it was missing."""
        return self.keks.sealing_for(expires_at)

    def row_key(self, version: int | None = None) -> tuple[int, bytes]:
        """Return version and secret of the active row key, or of ``version``; KeyringError when there is none."""
        number = self._active_row if version is None else version
        name = f"row-{number}"
        if name not in self._secrets:
            self._require("relay", name)
            key = read_key(self.folder / "relay", name)
            if key is None:
                raise KeyringError(f"the row key {name} is missing: restore it from the backup of the keys")
            self._secrets[name] = key.secret
        return number, self._secrets[name]

    @cached_property
    def _active_row(self) -> int:
        self._require("relay", "row")
        return active_version(self.folder / "relay", "row")

    @cached_property
    def recovery(self) -> RecoveryPublicKey | None:
        """Return the organisation's recovery public key, None when it has none."""
        data = read_public(self.folder / "public" / "recovery.pub")
        return None if data is None else RecoveryPublicKey.decode(data)

    # --- portal and relay ---

    @property
    def enqueue_key(self) -> bytes:
        """Return the key that authenticates the portal's requests."""
        return self._secret("enqueue")

    @property
    def queue_private(self) -> bytes:
        """Return the relay's private key for the portal's requests."""
        return self._secret("queue")

    @cached_property
    def queue_public(self) -> bytes:
        """Return the public key for requests to the relay."""
        return self._public("queue.pub")

    @property
    def ticket_key(self) -> bytes:
        """Return the portal's key for tickets."""
        return self._secret("ticket")

    @property
    def code_key(self) -> bytes:
        """Return the portal's key over one-time codes."""
        return self._secret("code")

    def page_key(self, label: str) -> bytes:
        """Return a key of 32 bytes for one purpose of the portal's pages, such as form tokens."""
        return kdf(self._secret("page"), b"", lab("page") + label.encode("ascii"))

    # --- audit ---

    @property
    def audit_key(self) -> bytes:
        """Return the key that wraps the keys of personal facts."""
        return self._secret("audit")

    @cached_property
    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs checkpoints."""
        return Ed25519PrivateKey.from_private_bytes(self._secret("signing"))

    @cached_property
    def signing_public(self) -> Ed25519PublicKey:
        """Return the key that verifies checkpoints."""
        return Ed25519PublicKey.from_public_bytes(self._public("signing.pub"))

    def _secret(self, name: str) -> bytes:
        if name not in self._secrets:
            self._require(first_keys.PLACES[name], name)
        return self._secrets[name]

    def _require(self, place: str, name: str) -> None:
        if place not in self._held:
            raise KeyringError(f"the {self.role} does not hold the key {name!r}")

    def _address_cipher(self) -> AESGCM:
        if self._address is None:
            raise KeyringError(f"the {self.role} does not hold the key 'address'")
        return self._address

    def _epoch_keys(self) -> Epochs:
        self._require("relay", "epoch")
        return self._epochs

    def _epoch_secret(self, epoch_id: bytes) -> bytes:
        key = self._epoch_keys().of_id(epoch_id)
        if key is None:
            raise SealingError(Layer.SPOOL, "its epoch key was destroyed: everything of that day had left")
        return key.secret

    def _public(self, name: str) -> bytes:
        data = read_public(self.folder / "public" / name)
        if data is None:
            raise KeyringError(f"{self.folder / 'public' / name} is missing: restore the keys from their backup")
        return data


def _mac(key: bytes, data: bytes) -> bytes:
    # Not hmac.digest: that lets go of the interpreter, and what takes a microsecond then waits for another thread.
    return hmac.new(key, data, "sha256").digest()
