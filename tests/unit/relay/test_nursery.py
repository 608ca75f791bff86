"""The process that services are forked from."""

import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from relay.config.model import Configuration
from relay.config.source import Source
from relay.errors import DEFECT, LetterlockError, StoreError
from relay.nursery import Nursery
from relay.services import Service

KEY = ("clerk", 3)


def _served(tell: Path, ending: str) -> Service:
    """A service that writes down what it is, and then ends as ``ending`` says."""

    def serve(_configuration: Configuration, _source: Source, number: int) -> None:
        name = Path("/proc/self/comm").read_text().strip()
        blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        (tell / "new").write_text(f"{number} {os.getpid()} {name} {blocked}")
        (tell / "new").rename(tell / "told")
        if ending == "waits":
            signal.pause()
        if ending == "fails":
            raise StoreError("nothing is there")
        if ending == "breaks":
            raise ValueError("Dear Jane")

    return Service("clerk", lambda _configuration: 1, serve)


def _served_to_anybody(tell: Path) -> Service:
    """The same, where the test's folders are root's and the service is not."""
    service = _served(tell, "ends")

    def serve(configuration: Configuration, source: Source, number: int) -> None:
        os.seteuid(os.getuid())
        service.serve(configuration, source, number)

    return Service("clerk", service.instances, serve)


class _Anything(Source):
    """A source without a configuration: these services read none."""

    def load(self) -> Configuration:
        return None  # type: ignore[return-value]


@pytest.fixture(params=["waits", "ends", "fails"])
def nursery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Nursery]:
    """A nursery with one kind of service."""
    made = Nursery({"clerk": _served(tmp_path, request.param)}, _Anything(tmp_path / "relay.toml"))
    yield made
    made.close()


def _told(folder: Path) -> str:
    """Wait until the service has written, and return it."""
    deadline = time.monotonic() + 20
    while not (folder / "told").exists():
        assert time.monotonic() < deadline, "the service did not begin"
        time.sleep(0.02)  # between looks at another process
    return (folder / "told").read_text()


@pytest.mark.parametrize("nursery", ["ends"], indirect=True)
def test_a_service_knows_its_name_and_hears_no_change_before_it_listens(nursery: Nursery, tmp_path: Path) -> None:
    """Its process is called after it, and SIGHUP waits until it can be understood."""
    nursery.start(KEY)
    assert list(nursery.ended(20)) == [(KEY, 0)]
    number, _pid, *name, blocked = _told(tmp_path).split(maxsplit=4)
    assert (number, name) == ("3", ["clerk", "3"])
    assert str(signal.SIGHUP) in blocked or repr(signal.SIGHUP) in blocked


@pytest.mark.parametrize("nursery", ["waits"], indirect=True)
def test_a_signal_reaches_its_service_alone(nursery: Nursery, tmp_path: Path) -> None:
    """SIGTERM ends the service; the nursery goes on and can begin it again."""
    for _ in range(2):
        nursery.start(KEY)
        _told(tmp_path)
        nursery.signal(KEY, signal.SIGTERM)
        assert list(nursery.ended(20)) == [(KEY, -signal.SIGTERM)]
        nursery.signal(KEY, signal.SIGTERM)  # nobody is there: nothing happens
        (tmp_path / "told").unlink()


@pytest.mark.parametrize("nursery", ["fails"], indirect=True)
def test_an_error_of_ours_is_an_exit_code(nursery: Nursery) -> None:
    """What stopped a service is known by its code; the sentence stands in the log."""
    nursery.start(KEY)
    assert list(nursery.ended(20)) == [(KEY, StoreError.exit_code)]


def test_a_defect_is_one_line_of_the_log_without_its_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What a service breaks of is known by kind, place and number; Python's traceback would hold what it read."""
    nursery = Nursery({"clerk": _served(tmp_path, "breaks")}, _Anything(tmp_path / "relay.toml"))
    nursery.start(KEY)
    assert list(nursery.ended(20)) == [(KEY, DEFECT)]
    nursery.close()
    [line] = map(json.loads, capfd.readouterr().err.splitlines())
    assert "Jane" not in json.dumps(line)
    assert line["exception"].startswith("ValueError at test_nursery.py:")
    assert (line["service"], line["number"], len(line["fault"])) == ("clerk", 3, 8)


@pytest.mark.parametrize("nursery", ["waits"], indirect=True)
def test_services_end_with_the_nursery(nursery: Nursery, tmp_path: Path) -> None:
    """Somebody kills it: its services go too, and the supervisor is told in a sentence."""
    nursery.start(KEY)
    pid = int(_told(tmp_path).split()[1])
    [parent] = re.findall(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    os.kill(int(parent), signal.SIGKILL)
    with pytest.raises(LetterlockError, match="start Letterlock again"):
        list(nursery.ended(20))
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the service outlived the nursery"
        time.sleep(0.02)  # between looks at another process


def test_a_service_begins_as_any_user(tmp_path: Path) -> None:
    """A gateway runs as a user of its own, to whom much below /proc is closed: of itself, too."""
    own = os.geteuid()
    import_module("multiprocessing.popen_fork")  # where root's Python lies, that user may not look
    os.seteuid(own or pwd.getpwnam("nobody").pw_uid)
    try:
        nursery = Nursery({"clerk": _served_to_anybody(tmp_path)}, _Anything(tmp_path / "relay.toml"))
    finally:
        os.seteuid(own)
    nursery.start(KEY)
    assert _told(tmp_path).split()[2:4] == ["clerk", "3"]
    nursery.close()


_PROCESS_ONE = """
import ctypes, os, time
from pathlib import Path
from relay.config.source import Source
from relay.nursery import Nursery
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come to us, as to process 1 of a container
nursery = Nursery({}, Source(Path("relay.toml")))
gone, ours = os.pipe()
if os.fork() == 0:
    os.fork()
    os._exit(0)
os.close(ours)
os.read(gone, 1)  # the orphan is ending, too
deadline = time.monotonic() + 20
children = Path(f"/proc/self/task/{os.getpid()}/children")
while len(children.read_text().split()) > 1 and time.monotonic() < deadline:
    list(nursery.ended())
print(len(children.read_text().split()))
nursery.close()
"""


def test_orphans_are_buried_and_the_nursery_is_not(tmp_path: Path) -> None:
    """What is left to process 1 of a container goes; the process that it began itself stays its own to wait for."""
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS_ONE], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)
