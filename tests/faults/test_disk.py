"""Full, failing and read-only disks (R4): 452 or 451 before 250, no piece left behind, and healing without a restart."""

import errno
import json
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest

from tests.faults.shim import Shim
from tests.gateway import Gateway
from tests.letters import ANNA, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

LARGE = ("plan.bin", "application/octet-stream", bytes(300 << 10))
DATABASE, BLOBS = "letterlock.db", "/var/blobs"


def refused(gateway: Gateway, content: bytes, *codes: int) -> None:
    """Send a mail that must be put off, never accepted and never refused for good; no path and no reason leaks."""
    with pytest.raises(smtplib.SMTPDataError) as reply:
        gateway.send(ANNA, ["nobody@example.net"], content)
    assert reply.value.smtp_code in codes
    assert isinstance(reply.value.smtp_error, bytes)
    assert b"/" not in reply.value.smtp_error


def has_looked(gateway: Gateway, *, full: bool) -> None:
    """Wait until the gateway has looked at its disks again: a look is good for a moment (`relay.store.room`)."""

    def looked() -> bool:
        try:
            gateway.send(ANNA, ["somebody@example.net"], letter(to=["somebody@example.net"]))
        except smtplib.SMTPDataError:
            return full
        return not full

    gateway.until(looked)


@contextmanager
def healing(gateway: Gateway, office: PostOffice, who: str) -> Iterator[None]:
    """Whatever happens in the block: afterwards the same process takes and delivers mail, and has kept nothing back."""
    before = gateway.service_id("relay")
    yield
    gateway.send(ANNA, [who], letter(to=[who]))
    sealed = f"sealed-{who}"
    gateway.send(ANNA, [sealed], letter(to=[sealed], subject="[secure] plan", attachments=[LARGE]))
    office.wait_for(who)
    office.wait_for(sealed)
    assert gateway.service_id("relay") == before
    assert not office.of("nobody@example.net")
    assert not list((gateway.folder / "var/blobs").rglob("*.draft"))


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_no_room_in_the_middle_of_a_write(gateway: Gateway, shim: Shim, office: PostOffice, percent: int) -> None:
    """Database and blobs, when none, half or all of a write still fitted: put off with 452."""
    failed = shim.counted("failed")
    with healing(gateway, office, f"full{percent}@example.net"):
        with shim.fault(watched=DATABASE, write_errno=errno.ENOSPC, write_percent=percent):
            refused(gateway, letter(to=["nobody@example.net"]), 452)
        with shim.fault(watched=BLOBS, write_errno=errno.ENOSPC, write_percent=percent):
            secret = letter(to=["nobody@example.net"], subject="[secure] plan", attachments=[LARGE])
            refused(gateway, secret, 452)
    assert shim.counted("failed") >= failed + 2


def test_the_reserve_refuses_early(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """On a disk at its reserve new mail waits at its sender, and what is queued still leaves: there is room for that."""
    office.refusals["queued@example.net"] = "451 4.7.1 later"
    gateway.send(ANNA, ["queued@example.net"], letter(to=["queued@example.net"]))
    with shim.fault(watched=BLOBS, full=1):
        has_looked(gateway, full=True)
        refused(gateway, letter(to=["nobody@example.net"]), 452)
        health = httpx2.get(f"http://127.0.0.1:{gateway.portal}/healthz")
        assert health.status_code == 503
        assert "the disk is fuller than storage.disk_reserve allows" in json.dumps(health.json()["problems"])
        del office.refusals["queued@example.net"]
        office.wait_for("queued@example.net")
    has_looked(gateway, full=False)
    with healing(gateway, office, "room@example.net"):
        pass


def test_no_file_fits_any_more(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """Inodes that are used up are a full disk, seen before (statvfs) or met while a part is written."""
    with healing(gateway, office, "inodes@example.net"):
        with shim.fault(watched=BLOBS, no_files=1):
            has_looked(gateway, full=True)
            refused(gateway, letter(to=["nobody@example.net"]), 452)
        has_looked(gateway, full=False)
        with shim.fault(watched=BLOBS, create_errno=errno.ENOSPC):
            secret = letter(to=["nobody@example.net"], subject="[secure] plan", attachments=[LARGE])
            refused(gateway, secret, 452)
            assert shim.counted("refused_files")


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS])
def test_a_disk_that_fails_or_is_read_only(gateway: Gateway, shim: Shim, office: PostOffice, error: int) -> None:
    """EIO and EROFS put mail off; what reads goes on reading."""
    with healing(gateway, office, f"errno{error}@example.net"):
        with shim.fault(watched=DATABASE, write_errno=error):
            refused(gateway, letter(to=["nobody@example.net"]), 451)
            assert httpx2.get(f"http://127.0.0.1:{gateway.portal}/").status_code == 200
        with shim.fault(watched=BLOBS, write_errno=error, create_errno=error):
            secret = letter(to=["nobody@example.net"], subject="[secure] plan", attachments=[LARGE])
            refused(gateway, secret, 451)


def test_a_part_that_cannot_be_read_is_not_given_up(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """A large mail waits on a disk that reports EIO: its entry stays, and it leaves when the disk answers again."""
    office.refusals["unreadable@example.net"] = "451 4.7.1 later"
    large = letter(to=["unreadable@example.net"], text="word " * 200_000)
    gateway.send(ANNA, ["unreadable@example.net"], large)
    with shim.fault(watched=BLOBS, read_errno=errno.EIO):
        failed = shim.counted("failed")
        del office.refusals["unreadable@example.net"]
        gateway.until(lambda: shim.counted("failed") > failed)
        assert not office.of("unreadable@example.net")
    [arrived] = office.wait_for("unreadable@example.net")
    assert arrived.content.endswith(large)


def test_a_full_disk_under_the_log(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """Lines are lost, mail is not; afterwards the log says that lines are missing."""
    log = str(gateway.folder / "log")
    failed = shim.counted("failed")
    with shim.fault(watched=log, write_errno=errno.ENOSPC):
        for number in range(3):
            gateway.send(ANNA, [f"unlogged{number}@example.net"], letter(to=[f"unlogged{number}@example.net"]))
            office.wait_for(f"unlogged{number}@example.net")
        assert shim.counted("failed") > failed
    gateway.send(ANNA, ["logged@example.net"], letter(to=["logged@example.net"]))
    office.wait_for("logged@example.net")
    gateway.until(lambda: "lines of this log could not be written" in gateway.log())
