"""May somebody be added? The rules that judged the message judge it again, for the new address.

Who adds a reader sends them the message. It is sealed anyway; but where the rules would refuse it, or hold it for a
person to look at, a line in a mail is no way around them.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from policies.model import Action
from relay.conversation.answered import FLOOR
from relay.judging import Judge
from relay.message.reading import read
from relay.store.tables import Sealed
from relay.vault.blobs import BlobStore
from relay.vault.capability import Capability
from relay.vault.stored import open_stored, read_stored

_SEALED = Sealed.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Permission:
    """Asks the rules. Blocking: the message is opened in memory, and read as at the front door."""

    blobs: BlobStore
    judge: Judge

    def may_have(self, conn: Connection, capability: Capability, message_id: bytes, address: str) -> bool:
        """Say whether the rules let an address have a message, sealed; False for one that the capability does not open.

        SealingError when it fails a check, StoreError.
        """
        key = capability.messages.get(message_id)
        row = conn.execute(select(_SEALED).where(_SEALED.c.id == message_id)).one_or_none()
        if key is None or row is None:
            return False
        opened = open_stored(conn, self.blobs, row, key)
        original = next((one for one in opened.manifest.parts if one.kind == "original"), None)
        if original is None:
            return False
        content = b"".join(read_stored(self.blobs, opened, original.id))
        # Sealed whatever the rules say: where nobody's link should go, to a mailing list, that matters.
        [verdict] = self.judge.judge(capability.holder.address, [address], read(content), floor=FLOOR).verdicts
        return verdict.action not in {Action.HOLD, Action.REFUSE}
