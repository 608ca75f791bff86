"""What a person at a terminal sees of `letterlock run`."""

import os
import pty
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
    command: list[str | Path] = [Path(sys.executable).parent / "letterlock", "run"]
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


def test_a_closed_terminal_stops_it_in_order(installed: Gateway) -> None:
    """Whoever closes the window in which the gateway was started wants it gone; elsewhere SIGHUP asks for a reload."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(installed.folder)
        os.environ.pop("PYTHONUNBUFFERED", None)  # few have it, and it hides what stays in a buffer
        os.execv(Path(sys.executable).parent / "letterlock", ["letterlock", "run"])  # noqa: S606  # a terminal of its own
    shown = b""
    while b"Ctrl-C" not in shown:
        shown += os.read(terminal, 65536)
    os.kill(child, signal.SIGHUP)
    while shown.count(b"configuration renewed") < 2:  # the relay and the portal
        shown += os.read(terminal, 65536)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_files_in_the_folder_of_the_start_are_no_modules(installed: Gateway) -> None:
    """An administrator's own portal.py beside relay.toml is neither run nor in the way of ours."""
    mark = installed.folder / "was-run"
    for name in ("portal.py", "email.py"):
        (installed.folder / name).write_text(f"open({str(mark)!r}, 'w').close()", encoding="utf-8")
    command: list[str | Path] = [Path(sys.executable).parent / "letterlock", "run"]
    process = subprocess.Popen(command, cwd=installed.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(installed.smtp, process)
        wait_for_port(installed.portal, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    finally:
        process.kill()
    assert not mark.exists()


def _everything(terminal: int) -> str:
    found = b""
    try:
        while chunk := os.read(terminal, 65536):
            found += chunk
    except OSError:  # EIO: nobody holds the other end any more
        pass
    os.close(terminal)
    return found.decode()
