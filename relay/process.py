"""One supervised process: `python -m relay.process SERVICE CONFIGURATION NUMBER SUPERVISOR DESCRIPTOR`.

DESCRIPTOR is the file descriptor of the configuration that the supervisor accepted (relay/config/source.py).
"""

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

import structlog

from relay.config.source import Source
from relay.errors import LetterlockError
from relay.logs import configure
from relay.services import find_services

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_log = structlog.get_logger()


def main(arguments: list[str]) -> int:
    """Run one service until it is told to stop; return the exit code."""
    name, path, number, supervisor, descriptor = arguments
    # An orphan would go on holding ports and leases: the kernel ends us with the supervisor.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _leave_no_core()
    if os.getppid() != int(supervisor):
        return 1
    configure()
    structlog.contextvars.bind_contextvars(service=name, number=int(number))
    try:
        source = Source(Path(path), int(descriptor))
        find_services()[name].serve(source.load(), source, int(number))
    except LetterlockError as error:
        _log.error("service stopped", reason=str(error))  # the sentence is the whole report
        return error.exit_code
    return 0


def _leave_no_core() -> None:
    """Keep keys and mail out of core dumps, and other processes of the same user out of our memory (R31)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
