"""The supervisor behind `letterlock run`: starts every service in processes of its own and keeps them running.

A process that dies is started again after a pause that grows from 1 s to 30 s and falls back to 1 s once it has
lived a minute. SIGTERM or SIGINT stops all: each gets SIGTERM, finishes what it began, and is ended after 30 s.
SIGHUP has relay.toml read again (R8): when it is sound, every process goes on under it without dropping a connection;
when it is not, the log says at which line, and all goes on as before.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from relay import descriptors, service_manager
from relay.clock import monotonic
from relay.config import inspect
from relay.config.model import Configuration
from relay.config.source import Source
from relay.config.values import Endpoint
from relay.dkim.keys import open_signer
from relay.errors import ConfigurationError, RefusedError
from relay.gateway import prepare
from relay.nursery import Key, Nursery
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
    """One supervised process: which it is, and its life so far."""

    key: Key
    running: bool = False
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE
    ends: int = 0  # in a row, without a minute of life between them

    def start(self, nursery: Nursery) -> None:
        nursery.start(self.key)
        self.running = True
        self.started_at = monotonic()

    def schedule(self) -> None:
        """Plan the next start after an end that nobody asked for."""
        settled = monotonic() - self.started_at >= SETTLED_AFTER
        self.ends = 1 if settled else self.ends + 1
        self.pause = FIRST_PAUSE if self.ends == 1 else min(self.pause * 2, LONGEST_PAUSE)
        self.start_at = monotonic() + self.pause
        self.running = False


class _Wishes:
    """What signals have asked for."""

    def __init__(self) -> None:
        self.stop, self.renew = threading.Event(), threading.Event()
        self._began_at_terminal = _at_terminal()

    def note(self, number: int, _frame: FrameType | None) -> None:
        # SIGHUP also says that the terminal was closed in which somebody started us: then they want us gone.
        left = self._began_at_terminal and not _at_terminal()
        (self.renew if number == signal.SIGHUP and not left else self.stop).set()


def _signal_name(number: int) -> str:
    """Return what ended a process from outside: SIGKILL is mostly the kernel's, for want of memory."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one has no name
        return f"signal {number}"


def _at_terminal() -> bool:
    """Say whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


class _Supervisor:
    """Keeps the processes of one gateway running, under the configuration that counts."""

    def __init__(self, nursery: Nursery, source: Source, configuration: Configuration, children: list[_Child]) -> None:
        self._nursery, self._source, self._children = nursery, source, children
        self._configuration = configuration

    def run(self, announce: Callable[[str], None]) -> int:
        """Hold the gateway's name and supervise until a signal; return the exit code."""
        gateway = self._configuration.gateway
        slot = Slot(self._configuration.storage.database, gateway.process_name("supervisor", 0))
        wishes = _Wishes()
        previous = {number: signal.signal(number, wishes.note) for number in _HEARD}
        try:
            with slot.kept():
                self._supervise(wishes, announce)
                service_manager.stopping()
                announce("Stopping: finishing what is under way…")
                forced = self._stop()
            announce("Stopped.")
            return forced
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            slot.close()

    def _supervise(self, wishes: _Wishes, announce: Callable[[str], None]) -> None:
        """Start everything and start again what dies, until somebody wishes to stop."""
        waiting, announced = endpoints(self._configuration), False
        self._revive()
        while not wishes.stop.wait(_TICK):
            self._revive()
            if wishes.renew.is_set():
                wishes.renew.clear()
                service_manager.reloading()
                self._renew()
                self._serving()
            waiting = [one for one in waiting if not _answers(one)]
            if not waiting and not announced:
                announced = True
                self._serving()
                announce(welcome(self._configuration))

    def _serving(self) -> None:
        service_manager.ready(f"serving {self._configuration.organisation.name}")

    def _revive(self) -> None:
        """Note who ended, and start whose time has come."""
        for key, code in self._nursery.ended():
            [child] = (child for child in self._children if child.key == key)
            child.schedule()
            _log.error(
                "process ended",
                service=key[0],
                number=key[1],
                code=code,
                **({"by": _signal_name(-code)} if code < 0 else {}),
                times=child.ends,
                pause=child.pause,
            )
        for child in self._children:
            if not child.running and monotonic() >= child.start_at:
                child.start(self._nursery)

    def _renew(self) -> None:
        """Read the file again and tell every process, or change nothing and say why."""
        inspection = inspect(self._source.path, running=self._configuration)
        problems = inspection.problems
        if inspection.configuration is not None:
            try:
                open_signer(inspection.configuration.dkim)
            except ConfigurationError as error:
                problems = error.problems
        if inspection.configuration is None or problems:
            for problem in problems:
                _log.error("configuration not taken", problem=problem)
            return
        for warning in inspection.warnings:
            _log.warning("configuration", doubt=warning)
        self._source.accept(inspection.text)
        self._configuration = inspection.configuration
        for child in self._children:
            self._nursery.signal(child.key, signal.SIGHUP)
        _log.info("configuration taken", file=str(self._source.path))

    def _stop(self) -> int:
        """End everything in order; return 1 when somebody does not end in time."""
        running = {child.key for child in self._children if child.running}
        for key in running:
            self._nursery.signal(key, signal.SIGTERM)
        deadline = monotonic() + STOP_WITHIN
        while running and (left := deadline - monotonic()) > 0:
            running -= {key for key, _code in self._nursery.ended(left)}
        return 1 if running else 0


def children_of(configuration: Configuration, services: Mapping[str, Service]) -> list[_Child]:
    """Return a child for every instance of every service, not yet started."""
    return [
        _Child((name, number))
        for name, service in services.items()
        for number in range(service.instances(configuration))
    ]


def run(path: Path, announce: Callable[[str], None]) -> int:
    """Start all services of the configuration at ``path`` and supervise them until a signal.

    ``announce`` gets what to tell the person at the terminal: when everything answers, and at the end. Return the exit
    code: 0 after an ordered stop, 1 when a process had to be ended by force. A wrong configuration, missing keys, a
    database of another version or a port in use raise their error before anything starts.
    """
    allowed = descriptors.take_all()
    source, services = Source.shared(path), find_services()
    nursery = Nursery(services, source)  # before anything secret is read
    try:
        configuration = _begin(source)
        if lacking := descriptors.missing(configuration, allowed):
            _log.warning("too few open files are allowed for limits.connections", allowed=allowed, lacking=lacking)
        for endpoint in endpoints(configuration):
            # Relay processes share their port (SO_REUSEPORT): a second gateway would silently take half of the mail.
            if _answers(endpoint):
                raise RefusedError(f"Something listens on {endpoint} already: stop it, or name another port in {path}.")
            if reason := refusal(endpoint):
                raise RefusedError(f"Nothing can listen on {endpoint} ({reason}): name another address in {path}.")
        supervisor = _Supervisor(nursery, source, configuration, children_of(configuration, services))
        return supervisor.run(announce)
    finally:
        nursery.close()


def _begin(source: Source) -> Configuration:
    """Read the file for the first time and prepare what it names."""
    inspection = inspect(source.path)
    if inspection.configuration is None:
        raise ConfigurationError(inspection.problems)
    prepare(inspection.configuration)
    source.accept(inspection.text)
    return inspection.configuration


def endpoints(configuration: Configuration) -> list[Endpoint]:
    """Return where the services of a configuration listen."""
    found = [*(listener.address for listener in configuration.listen.values()), configuration.portal.listen]
    if configuration.demo:
        found += [configuration.demo.smtp, configuration.demo.web]
    return found


def refusal(endpoint: Endpoint) -> str:
    """Return why this machine lets nobody listen there; empty where it does, on one of several addresses at least."""
    reason = ""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return str(error.strerror)
    for family, kind, protocol, _name, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                probe.bind(address)
        except OSError as error:
            reason = str(error.strerror)
        else:
            return ""
    return reason


def _answers(endpoint: Endpoint) -> bool:
    try:
        with socket.create_connection((endpoint.host, endpoint.port), timeout=1):
            return True
    except OSError:
        return False
