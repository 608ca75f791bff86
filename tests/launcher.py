"""Starts the command line of this project as real processes, quickly: they are forked from one that has imported it.

An interpreter that imports eight hundred modules takes more than a second of a core, and the stories start hundreds.
Everything else is as in `letterlock …`: a process of its own, its folder, its streams, its signals, its exit code.
The program as it is installed is started by the stories of the README, the terminal and the reload.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path


class Launched:
    """A running command; the methods do what those of `subprocess.Popen` do."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait at most ``timeout`` seconds for its end and return the exit code; else subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("letterlock", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def launch(
    arguments: Sequence[str], folder: Path, output: Path, errors: Path, environment: Mapping[str, str] | None = None
) -> Launched:
    """Start ``letterlock`` with ``arguments`` in ``folder``; both streams are appended to files."""
    process = _warm().Process(target=_command, args=(arguments, folder, output, errors, dict(environment or {})))
    process.start()
    return Launched(process)


@cache
def _warm() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.warm"])
    return context


def _command(
    arguments: Sequence[str], folder: Path, output: Path, errors: Path, environment: Mapping[str, str]
) -> None:
    from relay.cli import main  # noqa: PLC0415  # it is there already in the process that this runs in

    os.chdir(folder)
    os.environ.update(environment)
    for stream, file in ((1, output), (2, errors)):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    main(list(arguments), prog_name="letterlock")
