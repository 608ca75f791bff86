"""Fail points: a process dies at the named place, at the right time, and never without being asked to."""

import os
import signal
import subprocess
import sys

import pytest

from relay import fail_points

_PROGRAM = """
import asyncio
from relay.fail_points import reached, reached_on_wire

for number in range(3):
    reached("store: before commit")
    print("committed", flush=True)
    asyncio.run(reached_on_wire("reception: 250 sent"))
"""


def _run(where: str | None) -> tuple[int, int]:
    """Return the exit code of a process under this value of the variable, and how often it committed."""
    environment = {name: value for name, value in os.environ.items() if name != fail_points.VARIABLE}
    if where is not None:
        environment[fail_points.VARIABLE] = where
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, env=environment, check=False)
    return done.returncode, done.stdout.count(b"committed")


@pytest.mark.parametrize(
    ("where", "end"),
    [
        ("store: before commit", (-signal.SIGKILL, 0)),
        ("store: before commit:3", (-signal.SIGKILL, 2)),
        ("store: before commit:4", (0, 3)),
        ("reception: 250 sent:2", (-signal.SIGKILL, 2)),
        ("no such place", (0, 3)),
        ("", (0, 3)),
        (None, (0, 3)),
    ],
)
def test_a_process_dies_where_it_is_told(where: str | None, end: tuple[int, int]) -> None:
    """The name may be followed by the number of the time; without one it is the first."""
    assert _run(where) == end


def test_a_process_stands_still_where_it_is_told() -> None:
    """With ``stop`` before the name it is not killed: it goes on when somebody continues it."""
    environment = {**os.environ, fail_points.VARIABLE: "stop store: before commit:2"}
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, env=environment) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1000) == b"committed\n"
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == b"committed\ncommitted\n"
        assert process.wait(10) == 0


def test_without_the_variable_nothing_can_be_armed() -> None:
    """A process that was not started for a drill cannot become one."""
    with pytest.raises(RuntimeError, match="LETTERLOCK_FAIL_AT must be in the environment"):
        fail_points.arm("store: before commit")
