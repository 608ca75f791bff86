"""One key, one file: written once, whole, for its owner's eyes only.

A key file is one line: ``LETTERLOCK-KEY-1 <name> <id, 32 hex> <secret, base64> <check, 8 hex>``. The name is the
file's own, so that a file put in another's place is noticed; the check tells damage (it protects nothing else).
"""

import base64
import binascii
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from relay.durable import give_to_owner_of, sync_folder
from relay.errors import KeyringError
from relay.fail_points import reached

SUFFIX = ".key"
_CONDEMNED = ".condemned"
_MAGIC = "LETTERLOCK-KEY-1"
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key as its file has it. ``id`` is 16 random bytes, ``secret`` usually 32."""

    name: str
    id: bytes
    secret: bytes = field(repr=False)


def new_key(name: str, secret: bytes | None = None) -> KeyFile:
    """Draw a key of 32 bytes (or take ``secret``) and an identifier for it; nothing is written."""
    return KeyFile(name, secrets.token_bytes(16), secrets.token_bytes(32) if secret is None else secret)


def write_key(folder: Path, key: KeyFile) -> bool:
    """Write ``key`` into ``folder``, durably and as a whole; False when a key of that name is already there.

    Of several processes that create the same key exactly one wins; the others read the winner's.
    """
    line = " ".join([_MAGIC, key.name, key.id.hex(), base64.b64encode(key.secret).decode("ascii")])
    return write_new(folder / (key.name + SUFFIX), f"{line} {_check(line)}\n".encode("ascii"))


def read_key(folder: Path, name: str) -> KeyFile | None:
    """Return the key ``name`` of ``folder``, None when it is not there; KeyringError when it must not be used."""
    file = folder / (name + SUFFIX)
    data = read_private(file)
    if data is None:
        return None
    line, _, check = data.decode("ascii", "replace").strip().rpartition(" ")
    words = line.split(" ")
    if words[0] != _MAGIC and words[0].startswith("LETTERLOCK-KEY-"):
        raise KeyringError(f"{file} is of a newer version of Letterlock: install that version")
    if len(words) != 4 or words[0] != _MAGIC or check != _check(line):  # noqa: PLR2004 (the four words above)
        raise KeyringError(f"{file} is damaged: restore it from the backup of the keys")
    if words[1] != name:
        raise KeyringError(f"{file} holds the key {words[1]!r}: somebody renamed or copied it")
    try:
        return KeyFile(name, bytes.fromhex(words[2]), base64.b64decode(words[3], validate=True))
    except (ValueError, binascii.Error) as error:
        raise KeyringError(f"{file} is damaged: restore it from the backup of the keys") from error


def key_names(folder: Path, prefix: str) -> list[str]:
    """Return the names of all keys in ``folder`` that begin with ``prefix``, sorted."""
    with _explained(folder):
        return sorted(
            entry.name.removesuffix(SUFFIX)
            for entry in os.scandir(folder)
            if entry.name.startswith(prefix) and entry.name.endswith(SUFFIX)
        )


def destroy_key(folder: Path, name: str) -> bool:
    """Overwrite and remove a key; False when it is gone already. What the disk itself kept is out of our reach."""
    file = folder / (name + SUFFIX)
    with _explained(file):
        try:
            file.rename(folder / f".{file.name}{_CONDEMNED}")
        except FileNotFoundError:
            return False
        # Durable before the first octet goes: half a key under its own name would be taken for a damaged one.
        sync_folder(folder)
    reached("key: condemned")
    finish_destroying(folder)
    return True


def finish_destroying(folder: Path) -> None:
    """Overwrite and remove the keys of ``folder`` whose destruction has begun, here or in a process that died at it."""
    with _explained(folder):
        for file in sorted(folder.glob(f".*{SUFFIX}{_CONDEMNED}")):
            try:
                descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # another process finished it
            try:
                os.write(descriptor, bytes(os.fstat(descriptor).st_size))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            reached("key: overwritten")
            file.unlink(missing_ok=True)
            sync_folder(folder)


def read_private(file: Path) -> bytes | None:
    """Return what ``file`` holds, None when it is not there.

    KeyringError when it is not an ordinary file, belongs to somebody else, or others may read it.
    """
    with _explained(file):
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            _require_private(file, os.fstat(descriptor))
            return os.read(descriptor, _LONGEST)
        finally:
            os.close(descriptor)


def write_public(file: Path, data: bytes) -> bool:
    """Write a public key as one line of base64; False when there is one already."""
    return write_new(file, base64.b64encode(data) + b"\n", 0o644)


def read_public(file: Path) -> bytes | None:
    """Return a public key, None when there is none; KeyringError when it makes no sense."""
    try:
        return base64.b64decode(file.read_bytes().strip(), validate=True)
    except FileNotFoundError:
        return None
    except (OSError, binascii.Error) as error:
        raise KeyringError(f"{file} cannot be read as a public key") from error


def write_new(file: Path, data: bytes, mode: int = 0o600) -> bool:
    """Create ``file`` with ``data``, durably and never half; False when there is a file already."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    with _explained(file):
        _write_draft(draft, data, mode, like=file.parent)
        reached("key: draft synced")
        try:
            os.link(draft, file)  # unlike a rename, this fails when another process was first
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        reached("key: named")
        sync_folder(file.parent)
    return True


def replace(file: Path, data: bytes, like: Path | None = None) -> None:
    """Write ``file`` anew, durably; readers see the old content or the new, never a mixture.

    What root writes belongs to the owner of the old file, else of ``like``, else of the folder.
    """
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    with _explained(file):
        _write_draft(draft, data, 0o600, like=file if file.exists() else like or file.parent)
        draft.rename(file)
        sync_folder(file.parent)


def require_private_folder(folder: Path) -> None:
    """Raise KeyringError unless ``folder`` is there and only its owner may look into it."""
    with _explained(folder):
        status = folder.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise KeyringError(f"{folder} is not a folder")
    if status.st_mode & 0o077:
        raise KeyringError(f"others may look into {folder}: run `chmod 700 {folder}`")


def _require_private(file: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyringError(f"{file} is not an ordinary file")
    if status.st_mode & 0o077:
        raise KeyringError(f"others may read {file} (mode {stat.S_IMODE(status.st_mode):04o}): run `chmod 600 {file}`")
    if os.geteuid() not in (0, status.st_uid):
        raise KeyringError(f"{file} belongs to another user: run `chown` so that it is ours")


def _write_draft(draft: Path, data: bytes, mode: int, *, like: Path) -> None:
    """Write all of it or nothing: where the disk takes no more, what it took is gone again."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            give_to_owner_of(like, descriptor)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _check(line: str) -> str:
    return hashlib.sha256(line.encode("ascii", "replace")).hexdigest()[:8]


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyringError(f"{file}: {error.strerror}") from error
