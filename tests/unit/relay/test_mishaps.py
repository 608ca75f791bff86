"""Messages that the gateway dies of while it reads them."""

import hashlib
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.errors import StoreError
from relay.mishaps import STRIKES, UNREAD, Mishaps, nobody_died

# The forked process does nothing but die.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

LETTER = b"Subject: hello\r\n\r\nDear Ann\r\n"


def mishaps(folder: Path, process: str = "relay-0", now: datetime | None = None) -> Mishaps:
    moment = now or datetime.now(UTC)
    return Mishaps(folder, process, lambda octets: hashlib.sha256(octets).digest()[:16], lambda: moment)


def die(folder: Path) -> None:
    """Let a process of its own read two messages, and be killed over the second."""
    pid = os.fork()
    if pid == 0:
        one = mishaps(folder)
        one.watch(b"harmless").over(lambda: None)
        one.watch(b"poison").over(lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def fail(one: Mishaps, content: bytes, error: Exception) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error)):
        one.watch(content).over(work)


def test_what_a_process_died_of_three_times_is_not_read_again(tmp_path: Path) -> None:
    """Each process that takes a dead one's place counts what that one was reading, and only that."""
    for _ in range(STRIKES):
        assert not mishaps(tmp_path).watch(b"poison").poison
        die(tmp_path)
    after = mishaps(tmp_path)
    assert after.watch(b"poison").poison
    assert after.watch(b"poison").read(b"poison") is UNREAD
    assert not after.watch(b"harmless").poison


def test_errors_of_our_own_count_the_stores_trouble_does_not(tmp_path: Path) -> None:
    """A defect that a message uncovers three times is the same as a death; a full or locked store says nothing."""
    one, other = mishaps(tmp_path), mishaps(tmp_path, "relay-1")
    for _ in range(STRIKES):
        fail(one, LETTER, StoreError("locked"))
    assert not one.watch(LETTER).poison
    for _ in range(STRIKES):
        assert not other.watch(LETTER).poison
        fail(one, LETTER, MemoryError())
    assert one.watch(LETTER).poison
    assert other.watch(LETTER).poison  # what one process knows the others know at once


def test_an_ordinary_message_leaves_no_trace(tmp_path: Path) -> None:
    """What was read to the end is noted nowhere, and nothing of a message but a keyed hash ever is."""
    one = mishaps(tmp_path)
    assert one.watch(LETTER).read(LETTER).subject == "hello"
    assert not any((tmp_path / "relay-0.reading").read_bytes())
    assert not (tmp_path / "mishaps.json").exists()
    fail(one, LETTER, RuntimeError())
    assert set(json.loads((tmp_path / "mishaps.json").read_text())) == {
        hashlib.sha256(len(LETTER).to_bytes(8, "big") + LETTER).digest()[:16].hex()
    }


def test_a_day_later_it_may_try_again(tmp_path: Path) -> None:
    """After an upgrade, or with more memory, the message may be harmless."""
    for _ in range(STRIKES):
        fail(mishaps(tmp_path), LETTER, RuntimeError())
    assert mishaps(tmp_path).watch(LETTER).poison
    assert not mishaps(tmp_path, now=datetime.now(UTC) + timedelta(days=1, minutes=1)).watch(LETTER).poison


def test_the_end_of_a_whole_gateway_is_nobodys_fault(tmp_path: Path) -> None:
    """After a power cut or a kill of everything, what was being read is not suspected."""
    for _ in range(STRIKES):
        die(tmp_path)
        nobody_died(tmp_path)
    assert not mishaps(tmp_path).watch(b"poison").poison


@pytest.mark.parametrize("tally", [b"", b"{", b"[]", b'{"zz": [1]}', b'{"00": "x"}', b'{"00": 1}'])
def test_a_tally_without_sense_is_none(tmp_path: Path, tally: bytes) -> None:
    """A half-written or damaged tally stops nobody, and is written anew."""
    (tmp_path / "mishaps.json").write_bytes(tally)
    one = mishaps(tmp_path)
    assert not one.watch(LETTER).poison
    for _ in range(STRIKES):
        fail(one, LETTER, RuntimeError())
    assert one.watch(LETTER).poison


def test_without_a_place_to_note_mail_goes_on(tmp_path: Path) -> None:
    """A folder that cannot be made costs the notes, not the queue."""
    (tmp_path / "file").touch()
    one = mishaps(tmp_path / "file" / "reading")
    assert one.watch(LETTER).read(LETTER).subject == "hello"
    fail(one, LETTER, RuntimeError())
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208
