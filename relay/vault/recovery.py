"""The organisation's recovery key: made once, the private half kept off-line, for the day the server is gone.

It proves no origin: everybody who has the public half can seal to it. So a recovered message is compared with the
signed audit record of its sealing, or reported as of unproven origin. And it revives mail from every backup until
that backup is gone: say so to whoever keeps it.
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from relay.errors import KeyringError, RefusedError
from relay.vault.keyring import write_public
from relay.vault.sealing.bundle import decode_bundle, open_bundle
from relay.vault.sealing.errors import SealingError
from relay.vault.sealing.header import CoreHeader
from relay.vault.sealing.manifest import Manifest
from relay.vault.sealing.message import manifest_digest, open_recovery
from relay.vault.sealing.recovery import RecoveryPrivateKey, new_recovery_seed
from relay.vault.sealing.stanza import StanzaType

_MAGIC = "LETTERLOCK-RECOVERY-1"


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


def create_recovery(folder: Path, private_file: Path) -> bytes:
    """Make a recovery key pair: the private half into ``private_file``, the public half into the keyring ``folder``.

    Returns the key id. RefusedError when one of the two files is already there: nothing is overwritten.
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
    with os.fdopen(descriptor, "w") as file:
        file.write(line)
        file.flush()
        os.fsync(descriptor)
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
        raise RefusedError("this message was not sealed for this recovery key")
    message = open_recovery(decoded.header, own[0], private)
    manifest, parts = open_bundle(decoded, message)
    digest = hashlib.sha256(decoded.header).digest()
    return Recovered(message.header, manifest, parts, digest, manifest_digest(decoded.blobs[0]))
