"""Who stands behind an address that holds a secret, so that the real address can be written in its place."""

from dataclasses import dataclass

from sqlalchemy import exists, or_, select

from relay.message.secret_address import AddressKind, SecretAddress
from relay.notices.letterhead import LOCAL_PART
from relay.store.tables import Hold, QueuedMessage
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.opener import SealingError
from relay.vault.people import person

_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_HOLD = Hold.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class RealAddresses:
    """Looks addresses up. ``domain`` is the gateway's."""

    store: Store
    keyring: Keyring
    domain: str

    def __call__(self, address: SecretAddress) -> str | None:
        """Return a reader's own address, or ours for notices; None for what is not (or no more) known. Blocking."""
        with self.store.read() as conn:
            if address.kind is AddressKind.READER:
                try:
                    found = person(conn, self.keyring, address.id)
                except SealingError:
                    return None
                return found.address if found is not None else None
            known = or_(exists().where(_MESSAGE.c.id == address.id), exists().where(_HOLD.c.id == address.id))
            return f"{LOCAL_PART}@{self.domain}" if conn.execute(select(known)).scalar() else None
