"""What stands in a file that the configuration names: in bounded size, and nothing that one would have to wait for."""

import os
import stat
from pathlib import Path


class ExposedError(ValueError):
    """A secret lies in a file that others may read or change: ``chmod 600`` is the remedy."""


def contents(path: Path, most: int, *, secret: bool = False) -> bytes:
    """Return a file's octets, at most ``most``.

    ``ValueError`` says in a clause why they are not read: what is there is a pipe or a device, or (`ExposedError`)
    others may read or change what should be ``secret``. ``OSError`` leaves as it is.
    """
    # To open a pipe waits for whoever writes into it, and with a reload the gateway would: O_NONBLOCK does not.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("is no ordinary file")
        if secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ExposedError("may be read or changed by other users of this machine")
        return file.read(most)
