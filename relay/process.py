"""One supervised process: what it does between its fork (`relay.nursery`) and its service."""

import ctypes
import os
import resource
import signal
import sys
from multiprocessing.connection import Connection

import structlog

from relay.config.source import Source
from relay.errors import DEFECT, LetterlockError
from relay.logs import catch_strays, configure, fault
from relay.services import Service

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME = 1, 4, 15
_M_ARENA_MAX = -8
_log = structlog.get_logger()


def serve(nursery: Connection, parent: int, service: Service, number: int, source: Source) -> None:
    """Run one service until it is told to stop, then exit with 0, or with the code of what stopped it: 70 for a defect.

    To be called in a child that process ``parent`` just forked with SIGTERM and SIGHUP blocked. ``nursery`` is the
    parent's pipe, which a child must not keep open.
    """
    nursery.close()
    os.setsid()
    # An orphan would go on holding ports and leases: the kernel ends us with the supervisor.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _leave_no_core()
    _share_one_heap()
    if os.getppid() != parent:
        sys.exit(1)
    for known in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(known, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # What ps and top show. Not by /proc/self/comm: in a process that may not be dumped, that is root's.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NAME, f"{service.name} {number}".encode())
    configure()
    catch_strays()
    structlog.contextvars.bind_contextvars(service=service.name, number=number)
    try:
        service.serve(source.load(), source, number)
    except LetterlockError as error:
        _log.error("service stopped", reason=str(error))  # the sentence is the whole report
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001  # the edge of the process
        # One line, as of everything: Python's own traceback would hold the exception's text, which may be anybody's.
        _log.exception("service failed by a defect: please report this line", fault=fault(error)[0])
        sys.exit(DEFECT)


def _leave_no_core() -> None:
    """Keep keys and mail out of core dumps, and other processes of the same user out of our memory (R31)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0)


def _share_one_heap() -> None:
    """Let all threads take memory from one heap: what one has freed another uses, and a peak of large mail ends.

    By itself glibc gives each thread a heap of its own, and keeps what large mail has torn to pieces in all of them.
    Threads that run Python wait for each other anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have one heap
        mallopt(_M_ARENA_MAX, 1)
