"""The supervisor behind `letterlock run`: starts every service in processes of its own and keeps them running.

A process that dies is started again after a pause that grows from 1 s to 30 s and falls back to 1 s once it has
lived a minute. SIGTERM or SIGINT stops all: each gets SIGTERM, finishes what it began, and is ended after 30 s.
SIGHUP has relay.toml read again (R8): when it is sound, every process goes on under it without dropping a connection;
when it is not, the log says at which line, and all goes on as before.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog

from relay import service_manager
from relay.clock import monotonic
from relay.config import inspect
from relay.config.model import Configuration
from relay.config.source import Source
from relay.config.values import Endpoint
from relay.dkim.keys import open_signer
from relay.errors import ConfigurationError, RefusedError
from relay.gateway import prepare
from relay.services import Service, find_services
from relay.store.slot import Slot
from relay.welcome import welcome

FIRST_PAUSE = 1.0  # seconds before a dead process is started again
LONGEST_PAUSE = 30.0
SETTLED_AFTER = 60.0  # seconds a process must live for its pause to fall back
STOP_WITHIN = 30.0  # seconds a process has to finish what it began
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK = 0.2  # seconds between looks at the processes

_log = structlog.get_logger()


@dataclass(slots=True)
class _Child:
    """One supervised process: what starts it, and its life so far."""

    service: str
    number: int
    command: list[str]
    source: Source
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = field(default=FIRST_PAUSE)

    def start(self) -> None:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops everybody in order.
        accepted = () if self.source.accepted is None else (self.source.accepted,)
        # It begins with SIGHUP blocked: until it listens for one, a change of the configuration must wait, not end it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self.process = subprocess.Popen(self.command, start_new_session=True, pass_fds=accepted)  # noqa: S603
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.started_at = monotonic()

    def ended(self) -> int | None:
        """Return the exit code when the process has ended, else None."""
        return self.process.poll() if self.process else None

    def schedule(self) -> None:
        """Plan the next start after an end that nobody asked for."""
        settled = monotonic() - self.started_at >= SETTLED_AFTER
        self.pause = FIRST_PAUSE if settled else min(self.pause * 2, LONGEST_PAUSE)
        self.start_at = monotonic() + self.pause
        self.process = None


class _Wishes:
    """What signals have asked for."""

    def __init__(self) -> None:
        self.stop, self.renew = threading.Event(), threading.Event()
        self._began_at_terminal = _at_terminal()

    def note(self, number: int, _frame: FrameType | None) -> None:
        # SIGHUP also says that the terminal was closed in which somebody started us: then they want us gone.
        left = self._began_at_terminal and not _at_terminal()
        (self.renew if number == signal.SIGHUP and not left else self.stop).set()


def _at_terminal() -> bool:
    """Say whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def children_of(configuration: Configuration, source: Source, services: dict[str, Service]) -> list[_Child]:
    """Return a child for every instance of every service, not yet started."""

    def command(name: str, number: int) -> list[str]:
        words = (name, source.path, number, os.getpid(), source.accepted)
        # -P: the folder that somebody starts it in is no place to take modules from.
        return [sys.executable, "-P", "-m", "relay.process", *map(str, words)]

    return [
        _Child(name, number, command(name, number), source)
        for name, service in services.items()
        for number in range(service.instances(configuration))
    ]


def run(path: Path, announce: Callable[[str], None]) -> int:
    """Start all services of the configuration at ``path`` and supervise them until a signal.

    ``announce`` gets what to tell the person at the terminal: when everything answers, and at the end. Return the exit
    code: 0 after an ordered stop, 1 when a process had to be ended by force. A wrong configuration, missing keys, a
    database of another version or a port in use raise their error before anything starts.
    """
    source = Source.shared(path)
    configuration = _begin(source)
    for endpoint in endpoints(configuration):
        # Relay processes share their port (SO_REUSEPORT): a second gateway would silently take half of the mail.
        if _answers(endpoint):
            raise RefusedError(f"Something listens on {endpoint} already: stop it, or name another port in {path}.")
    slot = Slot(configuration.storage.database, configuration.gateway.process_name("supervisor", 0))
    wishes = _Wishes()
    previous = {number: signal.signal(number, wishes.note) for number in _HEARD}
    children = children_of(configuration, source, find_services())
    try:
        for child in children:
            child.start()
        _supervise(children, source, configuration, wishes, announce)
        service_manager.stopping()
        announce("Stopping: finishing what is under way…")
        forced = _stop(children)
        announce("Stopped.")
        return forced
    finally:
        for child in children:
            if child.process and child.process.poll() is None:
                child.process.kill()
        for number, handler in previous.items():
            signal.signal(number, handler)
        slot.close()


def _supervise(
    children: list[_Child],
    source: Source,
    configuration: Configuration,
    wishes: _Wishes,
    announce: Callable[[str], None],
) -> None:
    """Keep the processes running, under the configuration that counts, until somebody wishes to stop."""
    waiting, announced = endpoints(configuration), False
    while not wishes.stop.wait(_TICK):
        _revive(children)
        if wishes.renew.is_set():
            wishes.renew.clear()
            service_manager.reloading()
            configuration = _renew(source, configuration, children)
            service_manager.ready(f"serving {configuration.organisation.name}")
        waiting = [one for one in waiting if not _answers(one)]
        if not waiting and not announced:
            announced = True
            service_manager.ready(f"serving {configuration.organisation.name}")
            announce(welcome(configuration))


def _begin(source: Source) -> Configuration:
    """Read the file for the first time and prepare what it names."""
    inspection = inspect(source.path)
    if inspection.configuration is None:
        raise ConfigurationError(inspection.problems)
    prepare(inspection.configuration)
    source.accept(inspection.text)
    return inspection.configuration


def _renew(source: Source, running: Configuration, children: list[_Child]) -> Configuration:
    """Read the file again and tell every process, or change nothing and say why; return what counts from now on."""
    inspection = inspect(source.path, running=running)
    problems = inspection.problems
    if inspection.configuration is not None:
        try:
            open_signer(inspection.configuration.dkim)
        except ConfigurationError as error:
            problems = error.problems
    if inspection.configuration is None or problems:
        for problem in problems:
            _log.error("configuration not taken", problem=problem)
        return running
    for warning in inspection.warnings:
        _log.warning("configuration", doubt=warning)
    source.accept(inspection.text)
    for child in children:
        if child.process is not None:
            child.process.send_signal(signal.SIGHUP)
    _log.info("configuration taken", file=str(source.path))
    return inspection.configuration


def endpoints(configuration: Configuration) -> list[Endpoint]:
    """Return where the services of a configuration listen."""
    found = [*(listener.address for listener in configuration.listen.values()), configuration.portal.listen]
    if configuration.demo:
        found += [configuration.demo.smtp, configuration.demo.web]
    return found


def _answers(endpoint: Endpoint) -> bool:
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=1):
            return True
    except OSError:
        return False


def _revive(children: list[_Child]) -> None:
    for child in children:
        if child.process is None:
            if monotonic() >= child.start_at:
                child.start()
        elif (code := child.ended()) is not None:
            child.schedule()
            _log.error("process ended", service=child.service, number=child.number, code=code, pause=child.pause)


def _stop(children: list[_Child]) -> int:
    running = [child.process for child in children if child.process]
    for process in running:
        process.terminate()
    deadline = monotonic() + STOP_WITHIN
    forced = 0
    for process in running:
        try:
            process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            forced = 1
    return forced
