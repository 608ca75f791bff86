"""Structured logs on stderr without personal data: JSON for machines, a plain line for a terminal.

Redaction comes first: an event is a fixed text, facts are keyword arguments, and facts whose name or look gives
away a person or a secret are masked before anything is written (R45 in docs/threats.md). The same holds for
libraries that use ``logging``: their records pass the same processors, and only from WARNING.

What nobody caught, in a task, a thread or a destructor, would write its text past all that: it is brought here too.

A log whose disk is full, or whose reader is gone, loses lines and nothing else: no mail fails for it.
"""

import hashlib
import io
import logging
import math
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from functools import lru_cache
from json import JSONEncoder
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "[masked]"

# Facts that are never written: by their whole name, or by one word of it (recipient_address, link_secret).
_PRIVATE_NAMES = frozenset({"body", "content", "display_name", "from", "message_id", "name", "text", "to", "user"})
_PRIVATE_WORDS = frozenset(
    {
        "address",
        "addresses",
        "code",
        "codes",
        "cookie",
        "email",
        "link",
        "mailbox",
        "password",
        "recipient",
        "recipients",
        "secret",
        "sender",
        "subject",
        "token",
        "username",
    }
)
_SMTP_CODES = range(-64, 1000)  # a reply code or an exit code; a one-time code is a text of eight digits
_ADDRESS = re.compile(r"""[^\s<>()\[\],;:"'=]+@[^\s<>()\[\],;:"'@]+""")
_PICKUP = re.compile(r"(/p/[a-z2-7]{1,40})/[^\s?#\"']+", re.IGNORECASE)
_ONCE_IN = 60.0  # seconds
_REMEMBERED = 100  # different warnings
_BEHIND = re.compile(r"\n|\(| <")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONGEST = 2000  # characters of one value
_FRAMES = 12  # of one exception, the innermost

_JSON = JSONEncoder(default=repr)  # one for all lines


def configure(*, stream: TextIO | None = None, json: bool | None = None) -> None:
    """Send the logs of this process to ``stream`` (stderr); ``json`` None means: unless it is a terminal."""
    out = stream or unbuffered(sys.stderr)
    as_json = not out.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        tell_exception,
        redact,
    ]
    last: list[Processor] = [_render_json] if as_json else [_Line()]
    structlog.configure(
        processors=[Repeats(), *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=Lines(out),
        cache_logger_on_first_use=False,
    )
    logging.raiseExceptions = False  # a library's line that cannot be written is lost as quietly
    handler = logging.StreamHandler(out)
    handler.addFilter(_heading)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def catch_strays() -> None:
    """Log what nobody catches in this process, instead of Python's traceback with the exception's text."""

    def in_thread(stray: threading.ExceptHookArgs) -> None:
        if not isinstance(stray.exc_value, SystemExit | None):
            _tell_stray("a thread ended by a defect", stray.exc_value, thread=stray.thread.name if stray.thread else "")

    threading.excepthook = in_thread
    sys.excepthook = lambda _kind, error, _traceback: _tell_stray("ended by a defect", error)
    sys.unraisablehook = lambda stray: _tell_stray("an exception that nobody could be told", stray.exc_value)


def _tell_stray(event: str, error: BaseException | None, **facts: str) -> None:
    structlog.get_logger().error(event, **facts, exc_info=error, **({"fault": fault(error)[0]} if error else {}))


def fault(error: BaseException) -> tuple[str, str]:
    """Return the number of an unexpected error, the same wherever the same line fails, and its kind and place."""
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    places = "".join(f" at {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames)
    place = type(error).__name__ + places
    return hashlib.sha256(place.encode()).hexdigest()[:8], place


def _heading(record: logging.LogRecord) -> bool:
    """Keep the heading of asyncio's records: behind it stand arguments, exceptions' texts and clients' addresses."""
    if record.name == "asyncio":
        record.msg, record.args = _BEHIND.split(record.getMessage(), maxsplit=1)[0], ()
    return True


class Lines:
    """The end of the log: one line at a time. Thread-safe; never raises, and says later how many lines were lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._lost = 0

    def __call__(self, *_arguments: Any) -> "Lines":
        """Return the logger that structlog asks for."""
        return self

    def msg(self, line: str) -> None:
        """Write one line, or lose it."""
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # ValueError: the stream was closed
                self._lost += 1
                return
            if self._lost:
                lost, self._lost = self._lost, 0
                structlog.get_logger().warning("lines of this log could not be written", lines=lost)

    debug = info = warning = error = critical = msg


def unbuffered(stream: TextIO) -> TextIO:
    """Return a stream to the same file that keeps nothing back: what could not be written must not come twice."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return stream
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


class Repeats:
    """Lets the same warning with the same reason through once a minute, with how many were kept back.

    What is tried again each second while the database is away would bury what the log is read for. Thread-safe enough:
    two threads at once may both get through.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Return the event, or drop it."""
        if method != "warning" or "reason" not in event:
            return event
        facts = repr(sorted((name, value) for name, value in event.items() if name not in {"event", "entries"}))
        key, now = (str(event["event"]), facts), self._seconds()
        at, kept_back = self._told.get(key, (-math.inf, 0))
        if now - at < _ONCE_IN:
            self._told[key] = at, kept_back + 1
            raise structlog.DropEvent
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told[key] = now, 0
        if kept_back:
            event["repeated"] = kept_back
        return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask what is private by its name, and what looks private in every other value."""
    return {key: MASK if _private(key, value) else _clean(value) for key, value in event.items()}


def _private(key: str, value: Any) -> bool:
    words = _private_words(key)
    return bool(words) and not (words == {"code"} and isinstance(value, int) and value in _SMTP_CODES)


@lru_cache(maxsize=512)  # facts have few names
def _private_words(key: str) -> frozenset[str]:
    lowered = key.lower()
    return _PRIVATE_WORDS.intersection(lowered.split("_")) | _PRIVATE_NAMES.intersection([lowered])


def _clean(value: Any) -> Any:
    match value:
        case str():  # first, because most are
            pass
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"{len(value)} octets"
        case dict():
            return {str(key): MASK if _private(str(key), inner) else _clean(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(inner) for inner in value]
    text = str(value)
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "…"
    if "@" in text:
        text = _ADDRESS.sub(MASK, text)
    return _PICKUP.sub(r"\1/" + MASK, text) if "/" in text else text


def tell_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its kinds and places: its messages may hold addresses, parameters or content."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = " from ".join(_told(one) for one in _chain(error))
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {places}" if places else type(error).__name__


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _JSON.encode(event)


class _Line:
    """Renders an event as ``14:02:07 warning  delivery deferred  route=outside``, on one line, without controls."""

    def __call__(self, _logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
        moment = str(event.pop("timestamp", ""))[11:19]
        level = event.pop("level", "")
        said = event.pop("event", "")
        facts = "".join(f"  {key}={value}" for key, value in event.items())
        return "".join(map(_visible, f"{moment} {level:<8}{said}{facts}"))


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else _ESCAPES.get(sign) or f"\\u{ord(sign):04x}"
