"""The pool of helper processes that the relay asks for the text of attachments."""

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policies.model import Text
from relay.clock import monotonic
from relay.message.extraction.helper import PROGRAM, START_SECONDS, Helper, HelperDiedError, HelperLateError
from relay.message.extraction.sniffing import is_media
from relay.message.parts import Part

LATE = "could not be read in the time that is allowed"
DIED = "made its reader stop"
UNCONFINED = "was not opened, because this machine refuses to confine its reader"
CLOSED = "was not opened, because its reader is not running"


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was found in one attachment.

    ``texts`` with their place in words, ``members`` are names and sizes in octets of files inside it. ``problem``
    completes "this attachment ...", empty when all of it was read; ``encrypted``: (part of) it is encrypted.
    """

    texts: tuple[Text, ...] = ()
    problem: str = ""
    encrypted: bool = False
    members: tuple[tuple[str, int], ...] = ()


class Extractor:
    """Thread-safe. ``helpers`` processes work side by side; a caller waits for a free one within its own time.

    Where neither namespaces nor Landlock bar the network, nothing is opened and every document is a problem, unless
    ``require_confinement`` is switched off. ``refused`` tells after `start` what the machine would not grant.
    """

    def __init__(
        self, helpers: int = 2, *, require_confinement: bool = True, program: tuple[str, ...] = PROGRAM
    ) -> None:
        self._count = helpers
        self._require = require_confinement
        self._program = program
        self._forbidden = False
        self._slots: queue.LifoQueue[Helper | None] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._running: set[Helper] = set()
        self._open = False
        self.refused: tuple[str, ...] = ()

    def start(self) -> None:
        """Start the helpers and wait until the first one greeted; later ones start when they are needed."""
        self._open = True
        for _ in range(self._count):
            self._slots.put(None)
        slot = self._slots.get()
        try:
            slot = self._ready(slot)
        except (HelperDiedError, HelperLateError):
            slot = None
        self._slots.put(slot)

    def close(self) -> None:
        """End every helper; whoever still waits for one gets a problem."""
        with self._lock:
            self._open = False
            running, self._running = self._running, set()
        for helper in running:
            helper.end()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the helpers that run now."""
        with self._lock:
            return tuple(helper.pid for helper in self._running)

    def extract(self, parts: Sequence[Part], seconds: float) -> tuple[Extracted, ...]:
        """Read the attachments one after the other within ``seconds`` for all of them. Never raises."""
        deadline = monotonic() + seconds
        return tuple(Extracted() if is_media(part.data) else self._one(part, deadline) for part in parts)

    def _one(self, part: Part, deadline: float) -> Extracted:
        try:
            helper = self._slots.get(timeout=max(0.0, deadline - monotonic()))
        except queue.Empty:
            return Extracted(problem=LATE if self._open else CLOSED)
        try:
            helper = self._ready(helper)
            if helper is None:
                return Extracted(problem=UNCONFINED if self._forbidden else CLOSED)
            if monotonic() >= deadline:
                return Extracted(problem=LATE)  # starting took too long; the helper serves the next one
            result, last = self._ask(helper, part, deadline)
        except HelperLateError:
            self._end(helper)
            helper = None
            return Extracted(problem=LATE)
        except (HelperDiedError, ValueError, TypeError, KeyError, OSError):
            self._end(helper)
            helper = None
            return Extracted(problem=DIED)
        else:
            if last:
                self._end(helper)
                helper = None
            return result
        finally:
            self._slots.put(helper)

    def _ask(self, helper: Helper, part: Part, deadline: float) -> tuple[Extracted, bool]:
        seconds = max(1.0, deadline - monotonic())
        request = {"name": part.name, "type": part.type, "size": len(part.data), "seconds": seconds}
        answer = helper.ask(request, part.data, deadline)
        return _extracted(answer), bool(answer.get("last"))

    def _ready(self, helper: Helper | None) -> Helper | None:
        """Return a helper that greeted: the given one, or a new one. None where it may not work here."""
        if helper is not None:
            return helper
        with self._lock:
            if not self._open or self._forbidden:
                return None
            helper = Helper(self._program)
            self._running.add(helper)
        try:
            greeting = helper.greeting(monotonic() + START_SECONDS)
        except (HelperDiedError, HelperLateError):
            self._end(helper)
            raise
        self.refused = tuple(str(clause) for clause in greeting.get("refused", ()))
        self._forbidden = self._require and greeting.get("barred") is not True
        if self._forbidden:
            self._end(helper)
            return None
        return helper

    def _end(self, helper: Helper | None) -> None:
        """End a helper; the slot that it leaves is empty until somebody needs it."""
        if helper is not None:
            with self._lock:
                self._running.discard(helper)
            helper.end()


def _extracted(answer: dict[str, Any]) -> Extracted:
    """Check the shape of an answer: a helper that was taken over may say anything. Raises ValueError and its kin."""
    return Extracted(
        texts=tuple(Text(_words(where), _words(text)) for where, text in answer["texts"]),
        problem=_words(answer["problem"])[:300],
        encrypted=answer["encrypted"] is True,
        members=tuple((_words(name)[:300], int(size)) for name, size in answer["members"]),
    )


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value
