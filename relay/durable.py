"""What a file system needs to be told: so that names outlive a power cut, and that what root made is the gateway's."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync(2) of a file does not); OSError leaves."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(file: Path) -> None:
    """Make durable what others have written to a file; OSError leaves."""
    _sync(file)


def give_to_owner_of(like: Path, made: int | Path) -> None:
    """Give what root has just made (a descriptor, or a path) to the owner of ``like``; for others nothing is done.

    An administrator calls a command as root, and the gateway runs as the owner of the folder: a key that it could not
    read would stop it. OSError leaves.
    """
    if os.geteuid() != 0:
        return
    status = like.stat()
    if status.st_uid != os.stat(made).st_uid:  # noqa: PTH116  # of a descriptor, too
        os.chown(made, status.st_uid, status.st_gid)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
