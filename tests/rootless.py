"""Root for a private Postfix or a mount where the tests run as an ordinary user: a user namespace gives it.

There the user is root over files of his own and of the range of ids that /etc/subuid lends him; `tools/need.sh` says
what to do on a machine that does not allow it. Files that such ids own go the same way.
"""

import os
import subprocess
from pathlib import Path

AS_ROOT = () if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--map-auto", "--")
"""What stands before a command that root calls."""


def give(folder: Path, user: str) -> None:
    """Let a folder belong to a user of this machine; subprocess.CalledProcessError where that is not allowed."""
    subprocess.run([*AS_ROOT, "chown", user, folder], check=True, capture_output=True)


def remove(folder: Path) -> None:
    """Remove a folder in which lent ids own something, which nobody else can."""
    subprocess.run([*AS_ROOT, "rm", "-rf", folder], check=False, capture_output=True)
