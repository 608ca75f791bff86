"""What a person at a terminal sees of `letterlock run`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway import Gateway, wait_for_port

pytestmark = pytest.mark.story


def test_a_terminal_shows_lines_for_people_and_the_end(installed: Gateway) -> None:
    """No process writes JSON to a terminal, and Ctrl-C is answered before and after what is under way ends."""
    ours, theirs = os.openpty()
    command = [Path(sys.executable).parent / "letterlock", "run"]
    process = subprocess.Popen(command, cwd=installed.folder, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        wait_for_port(installed.smtp, process)
        wait_for_port(installed.portal, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    finally:
        process.kill()
        shown = _everything(ours)
    lines = shown.splitlines()
    assert not [line for line in lines if line.startswith("{")]
    assert "Stopping: finishing what is under way…" in lines
    assert lines[-1] == "Stopped."


def _everything(terminal: int) -> str:
    found = b""
    try:
        while chunk := os.read(terminal, 65536):
            found += chunk
    except OSError:  # EIO: nobody holds the other end any more
        pass
    os.close(terminal)
    return found.decode()
