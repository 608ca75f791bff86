"""What a file system needs to be told so that a name, or a file that others wrote, outlives a power cut."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync(2) of a file does not); OSError leaves."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(file: Path) -> None:
    """Make durable what others have written to a file; OSError leaves."""
    _sync(file)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
