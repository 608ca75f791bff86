"""Run as `python -m tests.drill.warm`: imports Letterlock once and forks a real process of it for each line it reads.

A start of Python and of all imports takes a second, a fork a hundredth of that. What is forked serves as it would under
the supervisor, with its own sockets, threads and files, but for two things: a helper for attachments starts when the
first attachment comes, and the fail point is armed by `arm`, not by the environment.

In: {"service": "relay", "configuration": PATH, "number": 0, "fail_at": "NAME:NTH", "log": PATH}; "hurry": N makes the
patience of the store so many times shorter.
Out: {"started": PID}, in the order of the lines, and {"ended": PID, "code": CODE} (-9 for a kill).
"""

import gc
import json
import os
import select
import sys
import traceback
from pathlib import Path
from typing import Any

from relay import fail_points
from relay.config.source import Source
from relay.gateway import prepare
from relay.logs import configure
from relay.message.extraction import Extractor
from relay.services import find_services
from relay.store import line
from tests.drill import sweeping


def _begin_lazily(self: Extractor) -> None:
    self._open = True
    for _ in range(self._count):
        self._slots.put(None)


def _live(order: dict[str, Any]) -> int:
    """Be one process of Letterlock; return its exit code."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    fail_points.arm(order["fail_at"])
    line.LOOK_SECONDS /= order.get("hurry", 1)
    if order["service"] == "sweep":
        return sweeping.main(Path(order["configuration"]), order["now"])
    Extractor.start = _begin_lazily  # type: ignore[method-assign]
    configure()
    source = Source(Path(order["configuration"]))
    configuration = source.load()
    if order["service"] == "relay":
        prepare(configuration)  # as the supervisor does: a whole gateway starts after a whole gateway died
    find_services()[order["service"]].serve(configuration, source, order["number"])
    return 0


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = _live(order)
        except BaseException:  # noqa: BLE001  # the log of the installation has it; this is no place to go on from
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    return pid


def main() -> None:
    """Serve until standard input ends; then end what still runs."""
    find_services()
    gc.collect()
    gc.freeze()  # what is there now is shared with every life, as long as nobody touches it
    living: dict[int, int] = {}  # pidfd -> pid
    lines = b""
    while True:
        ready, _, _ = select.select([0, *living], [], [])
        for descriptor in ready:
            if descriptor:
                pid = living.pop(descriptor)
                _, status = os.waitpid(pid, 0)
                os.close(descriptor)
                _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})
                continue
            read = os.read(0, 1 << 16)
            if not read:
                for pid in living.values():
                    os.kill(pid, 9)
                return
            *whole, lines = (lines + read).split(b"\n")
            for order in whole:
                pid = _fork(json.loads(order))
                living[os.pidfd_open(pid)] = pid
                _say({"started": pid})


def _say(what: dict[str, int]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
