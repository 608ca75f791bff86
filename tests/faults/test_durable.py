"""250 only after the disk has it (R1): the order of things, a disk that forgets, a sync that fails or is slow."""

import contextlib
import errno
import random
import smtplib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import DRILL
from tests.faults.shim import Shim
from tests.gateway import Gateway
from tests.letters import ANNA, JANE, letter
from tests.postoffice import PostOffice

pytestmark = pytest.mark.story

LARGE = ("plan.bin", "application/octet-stream", bytes(300 << 10))  # lies in a file beside the database
CUTS = 25 if DRILL else 1
SENDERS = 4


def sealed(number: int = 0) -> bytes:
    """A mail that is sealed with a large part."""
    return letter(to=[JANE], subject=f"[secure] plan {number}", attachments=[LARGE])


def _replies(lines: list[str]) -> Iterator[tuple[str, set[str], list[str]]]:
    """Yield each "250 queued" with the files that are unsynced at that moment, and what happened before it."""
    unsynced: set[str] = set()
    for position, (_, kind, what) in enumerate(line.split(" ", 2) for line in lines):
        path = what.split(" ")[-1]
        if kind == "W":
            unsynced.add(path)
        elif kind == "S":
            unsynced.discard(path)
        elif kind == "R":
            if (draft := what.split(" ")[0]) in unsynced:
                unsynced.remove(draft)
                unsynced.add(path)
            unsynced.add(path.rpartition("/")[0])  # the new name stands in its folder
        elif kind == "T" and what.startswith("250 2.0.0 Ok: queued as"):
            yield what, set(unsynced), lines[:position]


def test_nothing_is_unsynced_when_250_is_said(gateway: Gateway, shim: Shim) -> None:
    """Small, large and sealed mail: log, part and folder were synced after their last write and before the reply."""
    with shim.fault(log=1):
        for content in (letter(to=[JANE]), letter(to=[JANE], text="word " * 60_000), sealed()):
            gateway.send(ANNA, [JANE], content)
    replies = list(_replies(shim.log()))
    assert len(replies) == 3
    for said, unsynced, before in replies:
        ours = {path for path in unsynced if path.startswith(str(gateway.folder / "var")) and not path.endswith("-shm")}
        # A draft that was never named ("#…") is nothing that a row could refer to.
        assert not {path for path in ours if path.endswith("-wal") or ("/blobs" in path and "/#" not in path)}, said
        assert any(" S " in line and line.endswith("letterlock.db-wal") for line in before), said
    _, _, before = replies[-1]
    [(draft, blob)] = [line.split(" ")[-2:] for line in before if " R " in line and "/blobs/" in line][-1:]
    steps = [line.split(" ", 1)[1] for line in before]
    folder = blob.rpartition("/")[0]
    named = steps.index(f"R {draft} {blob}")
    assert steps[named - 1] == f"S {draft}"  # the draft is whole on disk before it gets its name
    assert f"S {folder}" in steps[named:]


def test_a_failing_sync_is_never_a_success(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """EIO from fsync: 451, nothing of the mail happens, no second sync makes it good; then all is well again."""
    for watched, content in (("letterlock.db", letter(to=["eio@example.net"])), ("/blobs/", sealed())):
        failed = shim.counted("failed")
        with shim.fault(watched=watched, sync_errno=errno.EIO):
            with pytest.raises(smtplib.SMTPDataError) as refused:
                gateway.send(ANNA, ["eio@example.net"], content)
            assert refused.value.smtp_code == 451
            assert shim.counted("failed") > failed
    gateway.send(ANNA, ["after-eio@example.net"], letter(to=["after-eio@example.net"]))
    office.wait_for("after-eio@example.net")
    assert not office.of("eio@example.net")
    assert not list((gateway.folder / "var/blobs").rglob("*.draft"))


def test_slow_syncs_are_shared(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """With a slow disk many mails wait for one sync together, and all arrive."""
    names = [f"slow{number}@example.net" for number in range(24)]
    before = shim.counted("syncs")
    with shim.fault(sync_microseconds=50_000), ThreadPoolExecutor(len(names)) as senders:
        list(senders.map(lambda name: gateway.send(ANNA, [name], letter(to=[name])), names))
    taken = shim.counted("syncs") - before
    for name in names:
        office.wait_for(name)
    assert taken < 2 * len(names), "each mail would have a sync for its acceptance and one for its outcome"


def test_a_disk_that_forgets_what_was_not_synced(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """The power goes in the middle of traffic and everything unsynced is gone: what was acknowledged arrives."""
    accepted: set[str] = set()
    forgotten = 0
    for cut in range(CUTS):
        stop = threading.Event()
        threads = [
            threading.Thread(target=_send_until, args=(gateway, stop, accepted, f"forgetful-{cut}-{number}"))
            for number in range(SENDERS)
        ]
        shim.set(forgetful=1)
        office.close()
        try:
            for thread in threads:
                thread.start()
            stop.wait(random.Random(cut).uniform(0.4, 0.8))  # the moment of the cut
            gateway.kill()
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
            office.open()
        shim.set(forgetful=0)
        forgotten += shim.cut()
        gateway.start()
    assert len(accepted) > CUTS
    for reader in accepted:
        office.wait_for(f"{reader}@example.net", seconds=60)
    assert forgotten, "nothing was unsynced at any of the cuts: the shim saw nothing"


def _send_until(gateway: Gateway, stop: threading.Event, accepted: set[str], name: str) -> None:
    """Send plain and sealed mail over and over; remember whose was acknowledged."""
    number = 0
    while not stop.is_set():
        number += 1
        for reader, content in (
            (f"{name}-{number}", letter(to=[JANE])),
            (f"{name}-{number}-sealed", sealed(number)),
        ):
            with contextlib.suppress(OSError, smtplib.SMTPException):
                gateway.send(ANNA, [f"{reader}@example.net"], content)
                accepted.add(reader)
