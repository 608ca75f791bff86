"""The organisation's recovery key: made once, the private half kept off-line, for the day the server is gone.

It opens a message where it is stored (``recover_original``), or in an exported bundle (``recover``).

It proves no origin: everybody who has the public half can seal to it. So a recovered message is compared with the
signed audit record of its sealing, or reported as of unproven origin. And it revives mail from every backup until
that backup is gone: say so to whoever keeps it.
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, select

from relay.durable import sync_folder
from relay.errors import KeyringError, NotFoundError, RefusedError
from relay.store.tables import Part, Sealed
from relay.store.tables import Stanza as StanzaTable
from relay.store.tables.sealed import SealedState
from relay.vault.blobs import BlobStore
from relay.vault.keyfiles import write_public
from relay.vault.sealing.bundle import decode_bundle, open_bundle
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.manifest import Manifest, PartRole
from relay.vault.sealing.message import manifest_digest, open_manifest, open_recovery
from relay.vault.sealing.parts import open_part
from relay.vault.sealing.recovery import RecoveryPrivateKey, new_recovery_seed
from relay.vault.sealing.stanza import Stanza, StanzaType

_MAGIC = "LETTERLOCK-RECOVERY-1"
_SEALED: Table = cast("Any", Sealed).__table__
_STANZA: Table = cast("Any", StanzaTable).__table__
_PART: Table = cast("Any", Part).__table__
_OTHER_KEY = "this message was not sealed for this recovery key"


@dataclass(frozen=True, slots=True)
class Recovered:
    """A message opened with the recovery key.

    ``header_digest`` and ``manifest_digest`` are what the audit record of sealing holds (facts ``header`` and
    ``manifest``): equal and under a signed checkpoint, the origin is proven.
    """

    header: CoreHeader
    manifest: Manifest
    parts: tuple[bytes, ...]
    header_digest: bytes
    manifest_digest: bytes


@dataclass(frozen=True, slots=True)
class Original:
    """The message itself, as it was sealed, without Bcc; the digests as in ``Recovered``."""

    data: bytes = field(repr=False)
    header_digest: bytes
    manifest_digest: bytes


def create_recovery(folder: Path, private_file: Path) -> bytes:
    """Make a recovery key pair: the private half into ``private_file``, the public half into the keyring ``folder``.

    Returns the key id; both are durable then. RefusedError when one of the two files is already there: nothing is
    overwritten. KeyringError when the disk does not take them.
    """
    public_file = folder / "public" / "recovery.pub"
    if public_file.exists():
        raise RefusedError(
            f"there is a recovery key already ({public_file}): messages sealed so far need its private half"
        )
    seed = new_recovery_seed()
    private = RecoveryPrivateKey.from_seed(seed)
    line = f"{_MAGIC} {private.public.key_id.hex()} {base64.b64encode(seed).decode('ascii')}\n"
    try:
        descriptor = os.open(private_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise RefusedError(f"{private_file} is already there: name a new file for the private half") from None
    except OSError as error:
        raise KeyringError(f"{private_file}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(line)
            file.flush()
            os.fsync(descriptor)
        sync_folder(private_file.parent)  # from the next line on mail is sealed to it
    except OSError as error:
        private_file.unlink(missing_ok=True)
        raise KeyringError(f"{private_file}: {error.strerror}") from error
    write_public(public_file, private.public.encode())
    return private.public.key_id


def read_recovery(private_file: Path) -> RecoveryPrivateKey:
    """Load the private half; KeyringError when the file is no recovery key."""
    try:
        words = private_file.read_text("ascii").split()
        if len(words) != 3 or words[0] != _MAGIC:  # noqa: PLR2004 (the three words of the line above)
            raise KeyringError(f"{private_file} is no recovery key of Letterlock")
        private = RecoveryPrivateKey.from_seed(base64.b64decode(words[2], validate=True))
    except (OSError, UnicodeDecodeError, binascii.Error, SealingError) as error:
        raise KeyringError(f"{private_file} cannot be read as a recovery key") from error
    if private.public.key_id.hex() != words[1]:
        raise KeyringError(f"{private_file} is damaged: its two halves do not belong together")
    return private


def recover(bundle: bytes, private: RecoveryPrivateKey) -> Recovered:
    """Open an exported bundle with nothing but the recovery key; SealingError when it cannot be trusted or opened."""
    decoded = decode_bundle(bundle)
    own = [
        stanza
        for stanza in decoded.stanzas
        if stanza.type == StanzaType.RECOVERY and stanza.key_id == private.public.key_id
    ]
    if not own:
        raise RefusedError(_OTHER_KEY)
    message = open_recovery(decoded.header, own[0], private)
    manifest, parts = open_bundle(decoded, message)
    digest = hashlib.sha256(decoded.header).digest()
    return Recovered(message.header, manifest, parts, digest, manifest_digest(decoded.blobs[0]))


def recover_original(
    connection: Connection, blobs: BlobStore, message_id: bytes, private: RecoveryPrivateKey
) -> Original:
    """Open the original of a stored message with the recovery key alone: no link, no server key.

    A message that is past its time is opened as long as its rows are there, as in a restored backup. The whole message
    is in memory. NotFoundError when nothing was sealed under this id; RefusedError when it has expired here or was
    sealed for another recovery key or none; SealingError when what is stored was changed; StoreError when a part is
    not where it should be.
    """
    row = connection.execute(select(_SEALED).where(_SEALED.c.id == message_id)).one_or_none()
    if row is None:
        raise NotFoundError("nothing is sealed under this id: only messages that were sealed are kept")
    if row.state != SealedState.LIVE.value:
        raise RefusedError(
            f"this message expired on {row.expires_at:%Y-%m-%d} and its keys were destroyed: only a backup of the"
            " storage from before that day still has it"
        )
    ours = (_STANZA.c.message_id == message_id, _STANZA.c.key_id == private.public.key_id)
    kept = connection.execute(select(_STANZA).where(*ours)).one_or_none()
    if kept is None:
        raise RefusedError(_OTHER_KEY)
    if CoreHeader.decode(row.header).message_id != message_id:
        raise SealingError(Layer.HEADER, "the row differs from its header")
    message = open_recovery(row.header, Stanza(kept.type, kept.key_id, kept.message_id, kept.ct), private)
    stored = {part.id: part for part in connection.execute(select(_PART).where(_PART.c.message_id == message_id)).all()}
    if row.manifest_part not in stored:
        raise SealingError(Layer.MANIFEST, "it is missing")
    sealed_manifest = _blob(blobs, stored.pop(row.manifest_part))
    manifest = open_manifest(message, row.manifest_part, sealed_manifest)
    manifest.check_parts(stored)
    for entry in manifest.parts:
        if entry.kind is PartRole.ORIGINAL:
            data = open_part(message, entry.id, _blob(blobs, stored[entry.id]), entry.size)
            return Original(data, message.header.digest, manifest_digest(sealed_manifest))
    raise SealingError(Layer.MANIFEST, "it lists no original")


def _blob(blobs: BlobStore, part: Row[Any]) -> bytes:
    """Return a sealed part, from its row or its file."""
    if part.content is not None:
        return bytes(part.content)
    if part.blob_id is None:
        raise SealingError(Layer.PART, "its content is missing")
    return blobs.read(part.blob_id, 0, part.length)
