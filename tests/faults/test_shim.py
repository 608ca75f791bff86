"""The shim itself: a disk that forgets nothing, or a fault that never strikes, would let every other test pass."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.shim import Shim

_STEPS = """
import os, sys, time
folder = sys.argv[1]
def put(name, text, sync):
    fd = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, text)
    if sync:
        os.fsync(fd)
    os.close(fd)
put("known", b"later", True)
put("known", b"LA", False)
put("nameless", b"synced, but its folder is not", True)
put("draft", b"", True)
fd = os.open(folder, os.O_RDONLY)
os.fsync(fd)
os.rename(f"{folder}/draft", f"{folder}/renamed")
unnamed = os.open(folder, os.O_WRONLY | os.O_TMPFILE, 0o600)
os.write(unnamed, b"never synced")
os.link(f"/proc/self/fd/{unnamed}", f"{folder}/named", src_dir_fd=unnamed, follow_symlinks=True)
os.fsync(fd)
os.rename(f"{folder}/renamed", f"{folder}/again")
put("lost", b"", False)
"""


@pytest.fixture
def shim(tmp_path: Path) -> Iterator[Shim]:
    """Faults for processes that write to a folder of their own."""
    (tmp_path / "root").mkdir()
    one = Shim(tmp_path, tmp_path / "root")
    yield one
    one.close()


def run(shim: Shim, program: str, folder: Path) -> str:
    """Run a small program under the shim and return what it printed."""
    environment = {**os.environ, **shim.environment}
    return subprocess.run(
        [sys.executable, "-c", program, folder], env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_what_was_not_synced_is_forgotten(shim: Shim, tmp_path: Path) -> None:
    """Octets without a sync of their file, and names without one of their folder, are gone after a cut."""
    root = tmp_path / "root"
    shim.set(forgetful=1)
    run(shim, _STEPS, root)
    assert shim.cut()
    assert {path.name: path.read_bytes() for path in root.iterdir()} == {
        "known": b"later",
        "nameless": b"synced, but its folder is not",
        "renamed": b"",
        "named": b"",
    }


def test_a_part_of_a_write_happens(shim: Shim, tmp_path: Path) -> None:
    """At 50 % half of the octets are written; the next write fails, the one after it begins anew."""
    program = """
import os, sys
fd = os.open(f"{sys.argv[1]}/file", os.O_WRONLY | os.O_CREAT, 0o600)
for _ in range(3):
    try:
        print(os.write(fd, bytes(10)))
    except OSError as error:
        print(error.errno)
"""
    shim.set(watched="/file", write_errno=errno.ENOSPC, write_percent=50)
    assert run(shim, program, tmp_path).split() == ["5", str(errno.ENOSPC), "5"]


def test_the_clock_goes_wrong(shim: Shim, tmp_path: Path) -> None:
    """Wall time is what the order says; monotonic time is not touched."""
    program = "import time; print(int(time.time()), int(time.monotonic()))"
    right, steady = map(int, run(shim, program, tmp_path).split())
    shim.set(clock_seconds=-86_400)
    wrong, after = map(int, run(shim, program, tmp_path).split())
    assert right - 86_400 <= wrong < right
    assert steady <= after < steady + 3600
