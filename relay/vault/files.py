"""Files as the blob store needs them: durable, for their owner only, some without a name until they are whole."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relay.durable import give_to_owner_of
from relay.errors import StoreError, StoreFullError
from relay.fail_points import reached

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_O_TMPFILE = os.O_TMPFILE
_CANNOT = (errno.EOPNOTSUPP, errno.EISDIR)  # this file system; this kernel


class UnnamedFile:
    """Octets on their way into ``folder``: whoever dies before they have a name, or gives up, leaves nothing behind.

    Linux makes such files with O_TMPFILE and names them with linkat(2). Where the file system cannot, the file has the
    name of a draft from the beginning: it goes when it is closed, and after a crash when the blob folder is walked.
    Safe to use from several threads.

    ``spare`` returns the path to use where unnamed files cannot be made; its folder is there then. OSError leaves every
    method that touches the disk; after `close` they raise StoreError.
    """

    def __init__(self, folder: Path, spare: Callable[[], Path]) -> None:
        self._spare: Path | None = None
        self._lock = threading.Lock()  # a descriptor must not be closed, and given to another file, while one writes
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            descriptor = os.open(folder, flags | _O_TMPFILE, 0o600)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._spare = spare()
            descriptor = os.open(self._spare, flags | os.O_CREAT | os.O_EXCL, 0o600)
        self._descriptor: int | None = descriptor
        give_to_owner_of(folder, descriptor)
        self.length = 0
        reached("blob: draft begun")

    def append(self, octets: bytes) -> None:
        """Write octets at the end."""
        rest = memoryview(octets)
        with self._lock:
            while rest:
                written = os.pwrite(self._open(), rest, self.length)
                self.length += written
                rest = rest[written:]
        reached("blob: piece written")

    def read(self, start: int, stop: int) -> bytes:
        """Return the octets ``start`` to ``stop`` (exclusive), fewer at the end."""
        with self._lock:
            return os.pread(self._open(), stop - start, start)

    def name(self, path: Path) -> None:
        """Make the file durable and give it its name; the caller syncs the folder. No file may be there."""
        with self._lock:
            descriptor = self._open()
            os.fsync(descriptor)
            reached("blob: synced")
            if self._spare is not None:
                self._spare.rename(path)
                self._spare = None
            else:
                # Given a descriptor, which does not count here, Python calls linkat(2): it follows the link in /proc.
                os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        reached("blob: named")

    def close(self) -> None:
        """Let go of the file; without a name it is gone. Calling it twice does no harm."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is None:
                return
            os.close(descriptor)
            if self._spare is not None:
                with suppress(OSError):  # the walk over the blob folder finds it
                    self._spare.unlink()

    def _open(self) -> int:
        if self._descriptor is None:
            raise StoreError("what was being received was given up meanwhile")
        return self._descriptor


@contextmanager
def opened(file: Path) -> Iterator[int]:
    """Lend a descriptor to read from."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_at_once(descriptor: int, start: int, stop: int) -> bytes:
    """Return the octets ``start`` to ``stop`` where the system has all of them in memory, else nothing: never waits."""
    buffer = bytearray(stop - start)
    try:
        read = os.preadv(descriptor, [buffer], start, os.RWF_NOWAIT)
    except OSError:  # not there (EAGAIN), or a file system that cannot tell: whoever waits for it hears of any fault
        return b""
    return bytes(buffer) if read == len(buffer) else b""


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the system says into a sentence: StoreFullError where there is no room, else StoreError."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError("a stored part is not where it should be: the blob folder is incomplete") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFullError("no room is left on the disk under the blob store") from error
        raise StoreError(f"the blob store cannot do this: {error.strerror}") from error
