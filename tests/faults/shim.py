"""Faults for real processes: builds shim.c, tells it what to do while a gateway runs, reads what it saw.

`Shim(folder, root)` makes one; a process started with `environment` obeys `set`. Numbers of errors are those of
`errno`. What every field does stands beside it in `_FIELDS`, in the order of the page in shim.c.
"""

import mmap
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

_FIELDS = {
    "sync_errno": "fsync and fdatasync of a watched file fail so",
    "sync_microseconds": "every sync takes so much longer",
    "write_errno": "writes to a watched file fail so",
    "write_percent": "so much of the first failing write happens; at 100 the next one fails",
    "read_errno": "reads at a place of a watched file fail so",
    "create_errno": "no new file or folder with a watched path, for this reason",
    "clock_seconds": "the wall clock is so far from the truth",
    "hurry": "SQLite's waiting for a lock is so many times shorter",
    "full": "the disk of a watched folder says that no octet is left",
    "no_files": "the disk of a watched folder says that no further file fits",
    "log": "keep the log",
    "forgetful": "keep what `cut` needs",
}
_COUNTERS = 16  # where they begin: four fields are in reserve
_COUNTED = ("syncs", "failed", "accepts", "refused_files")
_WATCHED, _ROOT = 32 * 8, 32 * 8 + 256
_SIZE = _ROOT + 512
_RECORD = struct.Struct("=6q")  # kind, inode, offset, size before, octets, octets of names


@cache
def _library() -> Path:
    """Build the shim, once for each test process."""
    folder = Path(tempfile.mkdtemp(prefix="letterlock-shim-"))
    source, built = Path(__file__).with_name("shim.c"), folder / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", built, source, "-ldl"], check=True)
    return built


class Shim:
    """One page of orders, for every process that was started with `environment`."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Keep page and logs in ``folder``; under ``root`` lies what `cut` may undo."""
        self._file = folder / "faults"
        self._file.write_bytes(bytes(_SIZE))
        with self._file.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)
        octets = os.fsencode(root)
        self._page[_ROOT : _ROOT + len(octets)] = octets

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be started with."""
        return {"LD_PRELOAD": str(_library()), "LETTERLOCK_FAULTS": str(self._file)}

    def set(self, *, watched: str | None = None, **orders: int) -> None:
        """Change some orders (see ``_FIELDS``); ``watched`` is a piece of the paths that faults touch, "" for all."""
        if watched is not None:
            self._page[_WATCHED : _WATCHED + 256] = watched.encode().ljust(256, b"\0")
        for name, value in orders.items():
            struct.pack_into("=q", self._page, 8 * list(_FIELDS).index(name), value)

    @contextmanager
    def fault(self, *, watched: str = "", **orders: int) -> Iterator[None]:
        """Give orders for the block, and take them back at its end."""
        self.set(watched=watched, **orders)
        try:
            yield
        finally:
            self.set(watched=None, **dict.fromkeys(orders, 0))

    def end_faults(self) -> None:
        """Take every order back."""
        self.set(watched="", **dict.fromkeys(_FIELDS, 0))

    def counted(self, what: str) -> int:
        """How often something happened: ``syncs``, ``failed`` (faults that struck), ``accepts``, ``refused_files``."""
        return int(struct.unpack_from("=q", self._page, 8 * (_COUNTERS + _COUNTED.index(what)))[0])

    def log(self) -> list[str]:
        """What happened while ``log`` was on: "PID KIND WHAT". W written, S synced, R renamed, T said to a socket."""
        return Path(f"{self._file}.log").read_text().splitlines()

    def cut(self) -> int:
        """Undo what no sync had made certain, as if the power had gone; return how many changes were forgotten.

        For a gateway whose processes are all dead. Only what happened since ``forgetful`` was set is known.
        """
        file = Path(f"{self._file}.undo")
        lost = _uncertain(file.read_bytes())
        for change in reversed(lost):
            change.undo()
        file.write_bytes(b"")
        return len(lost)

    def close(self) -> None:
        """Let go of the page."""
        self._page.close()


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of a file (W), a new file (C), or a name that is new (L) or changed (R), with what was there before."""

    kind: str
    inode: int
    offset: int
    size: int
    path: Path
    old_path: str
    octets: bytes

    def undo(self) -> None:
        with suppress(FileNotFoundError):
            if self.kind == "R":
                self.path.rename(self.old_path)
            elif self.kind in "CL":
                self.path.rmdir() if self.path.is_dir() else self.path.unlink()
            elif self.path.stat().st_ino == self.inode:
                with self.path.open("r+b") as file:
                    file.seek(self.offset)
                    file.write(self.octets)
                    file.truncate(self.size)


def _uncertain(log: bytes) -> list[_Change]:
    """Return the changes of a log, in their order, that no sync of their file or folder follows."""
    changes: list[_Change] = []
    named: dict[int, Path] = {}  # files that were written before they had a name
    position = 0
    while position < len(log):
        kind, inode, offset, size, length, names = _RECORD.unpack_from(log, position)
        position += _RECORD.size
        path, _, old = log[position : position + names].removesuffix(b"\0").partition(b"\0")
        octets = log[position + names : position + names + length]
        position += names + length
        one = _Change(chr(kind), inode, offset, size, Path(os.fsdecode(path)), os.fsdecode(old), octets)
        if one.kind == "L":
            named[inode] = one.path
        if one.kind == "S":
            changes = [known for known in changes if known.kind != "W" or known.inode != inode]
        elif one.kind == "D":
            changes = [known for known in changes if known.kind == "W" or known.path.parent != one.path]
        else:
            changes.append(one)
    return [replace(one, path=named.get(one.inode, one.path)) if one.kind == "W" else one for one in changes]
