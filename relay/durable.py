"""What a file system needs to be told: so that names outlive a power cut, and that what root made is the gateway's."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync(2) of a file does not); OSError leaves."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(file: Path) -> None:
    """Make durable what others have written to a file; OSError leaves."""
    _sync(file)


def give_to_owner_of(like: Path, made: int) -> None:
    """Give what root has just made (a descriptor) to the owner of ``like``; for others nothing is done.

    An administrator calls a command as root, and the gateway runs as the owner of the folder: a key that it could not
    read would stop it. That user may be in an attacker's hands, and must not be given what was there before and was
    moved or linked here: open with O_NOFOLLOW; a file that holds something, or has a second name, stays root's. OSError
    leaves.
    """
    if os.geteuid() != 0:
        return
    owner, status = like.stat(), os.fstat(made)
    if stat.S_ISREG(status.st_mode) and (status.st_size or status.st_nlink > 1):
        return
    if status.st_uid != owner.st_uid:
        os.fchown(made, owner.st_uid, owner.st_gid)


def open_shared(file: Path) -> int:
    """Open a small file that processes share, to read and write; where it is missing it is made, for its owner alone.

    It is no link, and the owner's of its folder where root makes it. OSError leaves.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        give_to_owner_of(file.parent, descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def make_folder(folder: Path, like: Path | None = None) -> None:
    """Make a folder for its owner alone, and those above it; nothing happens where it is there. OSError leaves.

    What root makes belongs to the owner of ``like``, or of the folder above it.
    """
    missing = [one for one in (*reversed(folder.parents), folder) if not one.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in missing:
        with _opened(one, os.O_DIRECTORY | os.O_NOFOLLOW) as descriptor:
            give_to_owner_of(like or one.parent, descriptor)


def _sync(path: Path, flags: int = 0) -> None:
    with _opened(path, flags) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
