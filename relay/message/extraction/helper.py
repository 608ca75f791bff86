"""One helper process as the relay sees it: started, asked, and ended when it does not answer in time."""

import os
import select
import subprocess
import sys
from typing import Any

from relay.clock import monotonic
from relay.cores import let_roam
from relay.message.extraction.frames import LENGTH, length_of, pack, unpack

PROGRAM = (sys.executable, "-I", "-m", "relay.message.extraction")
START_SECONDS = 30.0  # loading the parsers on a busy machine
_PIECE = 1 << 16
# No key, path or proxy of the relay's environment reaches the helper.
_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "RAYON_NUM_THREADS": "1"}


class HelperDiedError(Exception):
    """The helper ended, or its answer made no sense. Never leaves this package."""


class HelperLateError(Exception):
    """The helper did not answer in time. Never leaves this package."""


class Helper:
    """A running helper process; used by one thread at a time."""

    def __init__(self, program: tuple[str, ...] = PROGRAM) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module, no shell
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,  # Ctrl-C in a terminal is for the relay
        )
        let_roam(self._process.pid)
        if self._process.stdin is None or self._process.stdout is None:  # pragma: no cover  # both were asked for
            raise HelperDiedError
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def greeting(self, deadline: float) -> dict[str, Any]:
        """Return what the helper says once it is confined and ready. Raises HelperDiedError or HelperLateError."""
        return self._receive(deadline)

    def ask(self, request: dict[str, Any], data: bytes, deadline: float) -> dict[str, Any]:
        """Send one document and return the answer. ``deadline`` is a moment of `relay.clock.monotonic`."""
        self._send(pack(request), deadline)
        self._send(data, deadline)
        return self._receive(deadline)

    def end(self) -> None:
        """End the process, whatever it does, and take its exit code from the kernel."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._wait(deadline, sending=True)
            try:
                view = view[os.write(self._in, view[: 1 << 20]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise HelperDiedError from error

    def _receive(self, deadline: float) -> dict[str, Any]:
        try:
            length = length_of(self._read(LENGTH.size, deadline))
            return unpack(self._read(length, deadline))
        except ValueError as error:
            raise HelperDiedError from error

    def _read(self, length: int, deadline: float) -> bytes:
        pieces = []
        while length:
            self._wait(deadline, sending=False)
            try:
                piece = os.read(self._out, min(length, _PIECE))
            except BlockingIOError:
                continue
            if not piece:
                raise HelperDiedError
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _wait(self, deadline: float, *, sending: bool) -> None:
        left = deadline - monotonic()
        if left <= 0:
            raise HelperLateError
        poll = select.poll()  # unlike select(), not limited to 1,024 open files
        poll.register(self._in if sending else self._out, select.POLLOUT if sending else select.POLLIN)
        if not poll.poll(left * 1000):
            raise HelperLateError
