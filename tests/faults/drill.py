"""Faults that take minutes, for `make drill`: a gateway that dies of a message, a second one, a disk that is full."""

import os
import signal
import smtplib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection

from relay.errors import StoreFullError
from relay.store.duties import META
from relay.store.schema import migrate
from relay.store.writer import open_store
from relay.vault.blobs import FileBlobs
from tests.faults.test_poison import helper_of, is_judging, with_table
from tests.gateway import Gateway, free_port, running
from tests.letters import ANNA
from tests.postoffice import PostOffice
from tests.rootless import AS_ROOT

pytestmark = pytest.mark.story


@pytest.fixture
def own(tmp_path: Path, office: PostOffice) -> Gateway:
    """A gateway of a test's own, installed and not running."""
    return Gateway.install(tmp_path, office.port)


def test_what_kills_the_relay_is_sealed_the_fourth_time(own: Gateway, office: PostOffice) -> None:
    """Three times the process dies while it judges a message; the fourth time nobody looks into it."""
    poison = with_table("fatal@example.net")
    with running(own), ThreadPoolExecutor(1) as sender:
        for _ in range(3):
            own.send(ANNA, ["harmless@example.net"], with_table("harmless@example.net"))  # and there is a helper
            helper, relay = helper_of(own), own.service_id("relay")
            os.kill(helper, signal.SIGSTOP)
            sent = sender.submit(own.send, ANNA, ["fatal@example.net"], poison)
            own.until(lambda: is_judging(own))
            os.kill(relay, signal.SIGKILL)
            os.kill(helper, signal.SIGKILL)
            with pytest.raises((smtplib.SMTPException, OSError)):
                sent.result(60)
            own.until(lambda: _greets(own), seconds=60)
        own.send(ANNA, ["fatal@example.net"], poison)
        [notice] = office.wait_for("fatal@example.net")
        assert "/p/" in notice.text
        assert b"table.xlsx" not in notice.content
        assert "the process before this one died while it was reading" in own.log()


def _greets(gateway: Gateway) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=5) as client:
            return client.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def test_a_second_gateway_on_the_same_storage_is_refused(own: Gateway) -> None:
    """On the same ports or on others: it says so and ends, and the first one goes on."""
    program = Path(sys.executable).parent / "letterlock"
    with running(own):
        same = subprocess.run([program, "run"], cwd=own.folder, capture_output=True, text=True, timeout=60, check=False)
        assert same.returncode == 1
        assert "Something listens on" in same.stderr
        text = (own.folder / "relay.toml").read_text()
        for port in (own.smtp, own.portal):
            text = text.replace(f":{port}", f":{free_port()}")
        (own.folder / "other.toml").write_text(text)
        command: list[str | Path] = [program, "-c", "other.toml", "run"]
        other = subprocess.run(command, cwd=own.folder, capture_output=True, text=True, timeout=60, check=False)
        assert other.returncode == 1
        assert "nother process works as supervisor-0" in other.stderr
        assert _greets(own)


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """Database and blobs on a disk without room: StoreFullError, nothing left behind, and it heals when room is made."""
    program = "import pathlib, sys, tests.faults.drill as drill; drill.fill(pathlib.Path(sys.argv[1]))"
    command: list[str | Path] = [*AS_ROOT, "unshare", "--mount", sys.executable, "-c", program, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def fill(small_disk: Path) -> None:
    """Fill a file system of 8 MiB and 64 files, which this process mounts for itself alone."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=64", "none", small_disk], check=True)
    url = f"sqlite:///{small_disk}/letterlock.db"
    migrate(url)
    store, blobs = open_store(url), FileBlobs(small_disk / "blobs")
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left on device"):
        filler.write_bytes(bytes(9 << 20))
    names = sorted(small_disk.rglob("*"))

    def put(conn: Connection) -> None:
        conn.execute(META.insert(), [{"name": "big", "value": "x" * 500_000}])

    with pytest.raises(StoreFullError):
        store.run(put)
    with pytest.raises(StoreFullError):
        blobs.write(bytes(16), [bytes(1 << 20)])
    assert [path for path in sorted(small_disk.rglob("*")) if path.is_file()] == [one for one in names if one.is_file()]

    filler.unlink()
    store.run(put)
    assert blobs.write(bytes(16), [bytes(1 << 20)]) == 1 << 20
    files = [small_disk / f"inode{number}" for number in range(os.statvfs(small_disk).f_favail)]
    for path in files:
        path.touch()
    with pytest.raises(StoreFullError):
        blobs.write(b"\xff" * 16, [b"x"])
    for path in files:
        path.unlink()
    blobs.write(b"\xff" * 16, [b"x"])
    store.close()
