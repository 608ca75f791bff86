"""Where services begin: a process that has imported everything, opened nothing and read no secret, and forks.

The supervisor reads the configuration, keys and certificates to say at once what is wrong with them. What it read
stays in its memory, and the portal must not have all of it (R29): so it lets this process fork the services, which it
began before it read anything. A service is there within milliseconds, not after seconds of imports, and shares the
memory of its code with the others.
"""

import gc
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from relay.config.source import Source
from relay.errors import LetterlockError
from relay.process import serve
from relay.services import Service

_FORK = get_context("fork")

Key = tuple[str, int]
"""A service's name and the number of its instance."""


class Nursery:
    """The supervisor's hold on that process. Make it before anything secret is read, in a process without threads."""

    def __init__(self, services: Mapping[str, Service], source: Source) -> None:
        """Fork it. ``source`` is where the services will read their configuration."""
        self._pipe, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=_nurse, args=(theirs, self._pipe, services, source), name="nursery")
        self._process.start()
        theirs.close()

    def start(self, key: Key) -> None:
        """Begin a service."""
        self._tell((key, None))

    def signal(self, key: Key, number: signal.Signals) -> None:
        """Send a service a signal; nothing happens when it has ended."""
        self._tell((key, number))

    def ended(self, seconds: float = 0) -> Iterator[tuple[Key, int]]:
        """Yield who has ended since the last call, with the exit code; a signal's number is negative.

        Waits at most ``seconds`` for the first. LetterlockError when somebody ended the nursery itself: its services
        end with it, and clean ones cannot be made any more.
        """
        self._bury_orphans()
        try:
            while self._pipe.poll(seconds):
                yield self._pipe.recv()
                seconds = 0
        except (EOFError, ConnectionError) as error:
            raise self._gone() from error

    def close(self) -> None:
        """End it, and by force whoever still lives in it. Never fails."""
        self._pipe.close()
        self._process.join()

    def _bury_orphans(self) -> None:
        """Let go of processes that ended and were left to the supervisor, as they are to process 1 of a container.

        There the helper of a relay that died stays behind as a zombie: enough of them, and nothing can be started.
        """
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid == self._process.pid:
                    return  # the one child of our own
                os.waitpid(ended.si_pid, os.WNOHANG)

    def _tell(self, message: tuple[Key, int | None]) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise self._gone() from error

    @staticmethod
    def _gone() -> LetterlockError:
        return LetterlockError("the process that starts the services was ended from outside: start Letterlock again")


def _nurse(pipe: Connection, supervisors: Connection, services: Mapping[str, Service], source: Source) -> None:
    """Fork on request and tell who ended, until the supervisor closes the pipe or dies."""
    supervisors.close()
    os.setsid()  # Ctrl-C reaches the supervisor alone
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever signals the whole unit means the services
    gc.collect()
    gc.freeze()  # what is there now is shared: a collection that touches it would copy it into each service
    living: dict[Key, ForkProcess] = {}
    try:
        while True:
            ready = wait([pipe, *(process.sentinel for process in living.values())])
            for key, process in list(living.items()):
                if process.sentinel in ready:
                    process.join()
                    del living[key]
                    pipe.send((key, process.exitcode))
            if pipe in ready:
                key, number = pipe.recv()
                if number is None:
                    living[key] = _fork(pipe, services[key[0]], key[1], source)
                elif key in living:
                    os.kill(living[key].pid or 0, number)
    except (EOFError, ConnectionError):
        for process in living.values():
            process.kill()


def _fork(pipe: Connection, service: Service, number: int, source: Source) -> ForkProcess:
    name = f"{service.name} {number}"
    process = _FORK.Process(target=serve, args=(pipe, os.getpid(), service, number, source), name=name)
    # It begins with SIGHUP blocked: until it listens for one, a change of the configuration must wait, not end it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGTERM})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process
