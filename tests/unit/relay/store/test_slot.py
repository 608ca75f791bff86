"""Names that one process at a time works under."""

import multiprocessing
import os
import signal

import pytest

from relay.errors import StoreError
from relay.store.slot import Slot


def hold(url: str, taken: "multiprocessing.connection.Connection") -> None:
    """Take a name and keep it until somebody kills this process."""
    slot = Slot(url, "relay-0")
    taken.send("taken")
    signal.pause()
    slot.close()


def test_a_name_has_one_holder(database_url: str) -> None:
    """The second process is refused with what to do; another name is free."""
    first = Slot(database_url, "relay-0")
    with pytest.raises(StoreError, match=r"another process works as relay-0 .*gateway\] machine"):
        Slot(database_url, "relay-0", patience=0)
    Slot(database_url, "relay-1", patience=0).close()
    first.close()
    Slot(database_url, "relay-0", patience=0).close()


def test_a_killed_holder_frees_its_name(database_url: str) -> None:
    """A holder that was killed leaves nothing behind that keeps the next process out."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(database_url, theirs))
    process.start()
    assert ours.poll(30)
    with pytest.raises(StoreError):
        Slot(database_url, "relay-0", patience=0)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    Slot(database_url, "relay-0").close()
