"""The supervisor behind `letterlock run`: starts every service in processes of its own and keeps them running.

A process that dies is started again after a pause that grows from 1 s to 30 s and falls back to 1 s once it has
lived a minute. SIGTERM or SIGINT stops all: each gets SIGTERM, finishes what it began, and is ended after 30 s.
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

from relay.clock import monotonic
from relay.config import load
from relay.config.model import Configuration
from relay.config.values import Endpoint
from relay.errors import RefusedError
from relay.gateway import prepare
from relay.services import Service, find_services
from relay.welcome import welcome

FIRST_PAUSE = 1.0  # seconds before a dead process is started again
LONGEST_PAUSE = 30.0
SETTLED_AFTER = 60.0  # seconds a process must live for its pause to fall back
STOP_WITHIN = 30.0  # seconds a process has to finish what it began
_TICK = 0.2  # seconds between looks at the processes

_log = structlog.get_logger()


@dataclass(slots=True)
class _Child:
    """One supervised process: what starts it, and its life so far."""

    service: str
    number: int
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = field(default=FIRST_PAUSE)

    def start(self) -> None:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops everybody in order.
        self.process = subprocess.Popen(self.command, start_new_session=True)  # noqa: S603  # our own module
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


def children_of(configuration: Configuration, path: Path, services: dict[str, Service]) -> list[_Child]:
    """Return a child for every instance of every service, not yet started."""
    return [
        _Child(
            name,
            number,
            [sys.executable, "-m", "relay.process", name, str(path), str(number), str(os.getpid())],
        )
        for name, service in services.items()
        for number in range(service.instances(configuration))
    ]


def run(path: Path, announce: Callable[[str], None]) -> int:
    """Start all services of the configuration at ``path`` and supervise them until a signal.

    ``announce`` gets what to tell the person at the terminal: when everything answers, and at the end. Return the exit
    code: 0 after an ordered stop, 1 when a process had to be ended by force. A wrong configuration, missing keys, a
    database of another version or a port in use raise their error before anything starts.
    """
    configuration = load(path)
    prepare(configuration)
    for endpoint in (waiting := endpoints(configuration)):
        # Relay processes share their port (SO_REUSEPORT): a second gateway would silently take half of the mail.
        if _answers(endpoint):
            raise RefusedError(f"Something listens on {endpoint} already: stop it, or name another port in {path}.")
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    announced = False
    children = children_of(configuration, path, find_services())
    try:
        for child in children:
            child.start()
        while not stopping.wait(_TICK):
            _revive(children)
            waiting = [one for one in waiting if not _answers(one)]
            if not waiting and not announced:
                announced = True
                announce(welcome(configuration))
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
