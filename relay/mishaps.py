"""Messages that this gateway dies of while it reads them: after three times they are not read any more (R9).

Documents are read by a confined helper, whose death is a finding. What kills the relay process itself (a defect of a
library, no memory) would do so again at each attempt of the client. So who reads or judges a message notes its
fingerprint in a page that outlives the process. A process that is started in place of a dead one finds what that one
was reading; three such mishaps within a day, or three errors of our own, and the message is taken as one that could
not be inspected. Fingerprints are keyed hashes and say nothing to others.

Others that are read in the same moments are suspected with it: few, because the note stands for milliseconds. What is
written beside it is never trusted for more than that, and needs no sync: a power cut is nobody's mishap.
"""

import fcntl
import json
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from relay import clock
from relay.durable import make_folder, open_shared
from relay.errors import LetterlockError
from relay.message.parts import Reading
from relay.message.reading import read

T = TypeVar("T")

STRIKES = 3
WITHIN = timedelta(days=1)
UNREAD = Reading(problems=("was not read, because this gateway failed each time that it tried",))
_HEAD = 4096  # octets of a message that its fingerprint is made of, with its length
_FINGERPRINT = 16
_SECONDS = WITHIN.total_seconds()
_PLACES = 64  # threads of one process that read at the same time; whoever finds no place goes without
_MOST = 1000  # messages that are remembered
_RUNNING, _TALLY, _CHANGES = ".reading", "mishaps.json", "mishaps.changes"
_COUNT = 8  # octets of the number of changes

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Watch:
    """One message under watch. ``poison``: it was fatal too often."""

    fingerprint: bytes
    poison: bool
    _mishaps: "Mishaps" = field(repr=False)

    def read(self, content: bytes) -> Reading:
        """Read the message, unless that was fatal too often: then it is one that could not be inspected."""
        return UNREAD if self.poison else self.over(partial(read, content))

    def over(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns. If this process dies of it, or it fails by a defect of ours, that counts."""
        return self._mishaps.during(self, work)


class Mishaps:
    """The mishaps of one machine, and what one process is reading. Thread-safe.

    ``folder`` is where the processes of the machine keep their notes, ``process`` the name of this one, which no other
    one bears; ``fingerprint`` a keyed hash of 16 octets.
    """

    def __init__(
        self,
        folder: Path,
        process: str,
        fingerprint: Callable[[bytes], bytes],
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        """Take over what a predecessor of the same name left. Where nothing can be noted, it goes without notes."""
        self._tally = folder / _TALLY
        self._fingerprint = fingerprint
        self._now = now
        self._lock = threading.Lock()
        self._seen = b""
        self._poison: frozenset[bytes] = frozenset()
        try:
            make_folder(folder)
            self._page = _page(folder / f"{process.replace(os.sep, '_')}{_RUNNING}", _PLACES * _FINGERPRINT)
            self._changes = _page(folder / _CHANGES, _COUNT)
        except OSError as error:  # a full disk must not keep the queue from being sent
            _log.warning("what is being read cannot be noted", reason=error.strerror)
            self._page = mmap.mmap(-1, _PLACES * _FINGERPRINT)
            self._changes = mmap.mmap(-1, _COUNT)
        left = {self._page[at : at + _FINGERPRINT] for at in _starts()} - {bytes(_FINGERPRINT)}
        for at in _starts():
            self._page[at : at + _FINGERPRINT] = bytes(_FINGERPRINT)
        if left:
            _log.error("the process before this one died while it was reading", messages=len(left))
            self._strike(left)
        self._free = list(_starts())

    def watch(self, content: bytes) -> Watch:
        """Return the watch over a message; costs some microseconds."""
        key = self._fingerprint(len(content).to_bytes(8, "big") + content[:_HEAD])
        self._refresh()
        if poison := key in self._poison:
            _log.error("a message that was fatal is not read again", size=len(content))
        return Watch(key, poison, self)

    def during(self, watch: Watch, work: Callable[[], T]) -> T:
        """Do ``work`` while the message stands among those that are being read."""
        at = self._free.pop() if self._free else None
        if at is not None:
            self._page[at : at + _FINGERPRINT] = watch.fingerprint
        try:
            return work()
        except LetterlockError:
            raise  # the store's trouble, or a plan that was overtaken: no fault of the message
        except Exception:
            self._strike([watch.fingerprint])
            raise
        finally:
            if at is not None:
                self._page[at : at + _FINGERPRINT] = bytes(_FINGERPRINT)
                self._free.append(at)

    def _refresh(self) -> None:
        """Read the tally again when it has changed: the processes count its changes in memory that they share."""
        if (seen := self._changes[:]) != self._seen:
            self._poison = frozenset(
                bytes.fromhex(key) for key, at in _remembered(self._tally, self._now()).items() if len(at) >= STRIKES
            )
            self._seen = seen

    def _strike(self, fingerprints: Iterable[bytes]) -> None:
        with suppress(OSError), self._lock, _alone(self._tally.with_suffix(".lock")):
            now = self._now()
            tally = dict(_remembered(self._tally, now))
            for one in fingerprints:
                tally[one.hex()] = [*tally.pop(one.hex(), ()), now.timestamp()]
            draft = self._tally.with_suffix(".draft")
            with os.fdopen(open_shared(draft), "r+", encoding="ascii") as file:
                file.truncate()
                json.dump(dict(list(tally.items())[-_MOST:]), file)
            draft.replace(self._tally)
            self._changes[:] = (int.from_bytes(self._changes[:]) + 1).to_bytes(_COUNT)


def nobody_died(folder: Path) -> None:
    """Forget what was being read: for the start of a whole gateway, whose end was a stop, a kill or a power cut."""
    for left in folder.glob(f"*{_RUNNING}"):
        # Emptied, not removed: should another gateway be running here after all, its page is still this file.
        with suppress(OSError), left.open("r+b") as page:
            page.write(bytes(_PLACES * _FINGERPRINT))


def _starts() -> range:
    return range(0, _PLACES * _FINGERPRINT, _FINGERPRINT)


def _page(file: Path, octets: int) -> mmap.mmap:
    descriptor = open_shared(file)
    try:
        # Written out, not only made longer: on a full disk a page without its room would kill who touches it.
        os.posix_fallocate(descriptor, 0, octets)
        return mmap.mmap(descriptor, octets)
    finally:
        os.close(descriptor)


def _remembered(file: Path, now: datetime) -> Mapping[str, Sequence[float]]:
    """Return what is remembered and not too old; nothing where the file makes no sense."""
    try:
        tally = json.loads(file.read_bytes())
        recent = {
            bytes.fromhex(key).hex(): [at for at in map(float, moments) if abs(now.timestamp() - at) < _SECONDS]
            for key, moments in tally.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {key: moments for key, moments in recent.items() if moments}


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other processes away from the tally for the block."""
    with os.fdopen(open_shared(file), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
