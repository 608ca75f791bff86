"""Refuse what must never be committed: package hosts, paths of one machine, index lines, generated caches."""

import re
import subprocess
import sys
from pathlib import Path

# Written in pieces, so that this file does not find itself.
_FORBIDDEN = {
    "names a package host": re.compile(
        rb"(files\.)?python" + rb"hosted\.org|pypi\.or" + rb"g/simple|registry\.npm" + rb"js|deb\.deb" + rb"ian\.org"
    ),
    "names a path of one machine": re.compile(rb"(?<![\w./-])/(wo" + rb"rk|ro" + rb"ot|home/[a-z]+)/"),
    "has an index line": re.compile(rb"^\s*--(extra-)?index" + rb"-url", re.MULTILINE),
}
_CACHES = re.compile(r"(^|/)(__pycache__|\.venv|var|\.hypothesis)/|\.pyc$|(^|/)uv\.lock$")


def main() -> int:
    """Print one line for each offence in a tracked file; return the exit code."""
    listing = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True).stdout  # noqa: S607
    offences = []
    for name in filter(None, listing.decode().split("\0")):
        path = Path(name)
        if _CACHES.search(name):
            offences.append(f"{name}: is generated")
        if path.is_file():
            content = path.read_bytes()
            offences += [f"{name}: {what}" for what, pattern in _FORBIDDEN.items() if pattern.search(content)]
    print("\n".join(offences) or "Tracked files name no package host and no path of one machine.")  # noqa: T201
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
