"""Large sealed bytes: whole and durable or not there, journalled, swept."""

import errno
import os
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from relay.clock import new_id
from relay.errors import StoreError, StoreFullError
from relay.store.writer import Store
from relay.vault import blobs as journal
from relay.vault import files as files_module
from relay.vault.blobs import BlobDraft, FileBlobs
from relay.vault.sweeping import purge, sweep_orphans

from .conftest import NOW

BLOB = bytes(range(16))
DAY = timedelta(days=1)


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


def test_blob_is_read_back_in_any_range(blobs: FileBlobs) -> None:
    """What was written is there, as a whole and in parts, fewer bytes at the end."""
    assert blobs.write(BLOB, [b"abc", b"", b"defgh"]) == 8
    assert blobs.length(BLOB) == 8
    assert blobs.read(BLOB, 0, 8) == b"abcdefgh"
    assert blobs.read(BLOB, 2, 5) == b"cde"
    assert blobs.read(BLOB, 6, 100) == b"gh"


def test_file_is_for_its_owner_only_and_named_by_its_id(blobs: FileBlobs, tmp_path: Path) -> None:
    """No user's text is ever part of a path."""
    blobs.write(BLOB, [b"x"])
    (file,) = files(tmp_path)
    assert file == tmp_path / "blobs" / "00" / BLOB.hex()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_missing_blob_says_so(blobs: FileBlobs) -> None:
    """A folder that is incomplete is a sentence."""
    for ask in (lambda: blobs.read(BLOB, 0, 1), lambda: blobs.length(BLOB)):
        with pytest.raises(StoreError, match="the blob folder is incomplete"):
            ask()
    blobs.remove(BLOB)


def _stops(error: BaseException) -> Iterator[bytes]:
    yield b"half"
    raise error


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StoreFullError),
        (OSError(errno.EDQUOT, "Quota exceeded"), StoreFullError),
        (OSError(errno.EIO, "Input/output error"), StoreError),
        (RuntimeError("the sender went away"), RuntimeError),
    ],
)
def test_unfinished_blob_leaves_nothing(
    blobs: FileBlobs, tmp_path: Path, error: BaseException, raised: type[BaseException]
) -> None:
    """Whatever stops a write half-way, no file of it stays."""
    with pytest.raises(raised):
        blobs.write(BLOB, _stops(error))
    assert files(tmp_path) == []


def test_unsynced_folder_or_file_is_no_success(blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing fsync fails the write: it is never tried again as if nothing had happened."""
    calls: list[int] = []

    def fails(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StoreError):
        blobs.write(BLOB, [b"x"])
    assert len(calls) == 1


def test_file_and_folder_are_synced_in_order(blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the content, then the name: each is on disk before write returns."""
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    blobs.write(new_id(), [b"x"])
    monkeypatch.setattr(os, "fsync", note)
    blobs.write(BLOB, [b"x"])
    assert synced[0] == "blobs"
    assert synced[1].endswith(" (deleted)")  # as the kernel calls a file that has no name
    assert synced[2] == "00"


def test_a_folder_that_somebody_else_made_is_synced_too(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who made it may have died before it synced the name, or not have come so far: each process does it once."""
    (tmp_path / "blobs" / "00").mkdir(parents=True)
    synced: list[str] = []
    monkeypatch.setattr("relay.vault.blobs.sync_folder", lambda folder: synced.append(folder.name))
    blobs.write(BLOB, [b"x"])
    assert synced == ["blobs", "00"]
    blobs.write(BLOB[:1] + new_id()[1:], [b"x"])
    assert synced == ["blobs", "00", "00"]


def test_doomed_blobs_lose_their_file_and_then_their_row(blobs: FileBlobs, store: Store, tmp_path: Path) -> None:
    """The row goes last, so that no file is ever forgotten."""
    ids = [new_id() for _ in range(3)]
    store.run(partial(journal.begin, blob_ids=ids, now=NOW))
    lengths = {one: blobs.write(one, [b"x"]) for one in ids}
    store.run(partial(journal.stored, lengths=lengths, now=NOW))
    store.run(partial(journal.doom, blob_ids=ids[:2], now=NOW))
    assert purge(store, blobs) == 2
    assert purge(store, blobs) == 0
    assert [file.name for file in files(tmp_path)] == [ids[2].hex()]
    with store.read() as connection:
        assert journal.unknown(connection, ids) == ids[:2]


def test_stored_twice_is_refused(store: Store) -> None:
    """A blob is referred to once; what is not being written cannot become stored."""
    store.run(partial(journal.begin, blob_ids=[BLOB], now=NOW))
    store.run(partial(journal.stored, lengths={BLOB: 1}, now=NOW))
    with pytest.raises(StoreError):
        store.run(partial(journal.stored, lengths={BLOB: 1}, now=NOW))


def test_orphans_are_swept_after_a_day(blobs: FileBlobs, store: Store, tmp_path: Path) -> None:
    """What a crash left half-way goes after a day; what is being written now and what is in use stays."""
    crashed, writing, used, restored = (new_id() for _ in range(4))
    store.run(partial(journal.begin, blob_ids=[crashed], now=NOW - 2 * DAY))
    store.run(partial(journal.begin, blob_ids=[writing, used], now=NOW))
    for one in (crashed, writing, used, restored):
        blobs.write(one, [b"x"])
    store.run(partial(journal.stored, lengths={used: 1}, now=NOW))
    (draft,) = (file for file in files(tmp_path) if file.name == crashed.hex())
    draft.rename(draft.with_name(f"{draft.name}.01234567.draft"))
    age_files(tmp_path, {restored, used})
    assert sweep_orphans(store, blobs, NOW - 4 * DAY, NOW - 2 * DAY) == 0
    assert sweep_orphans(store, blobs, NOW - DAY, NOW) == 2
    assert {file.name for file in files(tmp_path)} == {writing.hex(), used.hex()}


def test_what_is_committed_while_orphans_are_swept_stays(
    blobs: FileBlobs, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a jump of the clock a blob may look abandoned whose message is accepted at that moment: it is kept."""
    store.run(partial(journal.begin, blob_ids=[BLOB], now=NOW - 2 * DAY))
    length = blobs.write(BLOB, [b"x"])
    find = journal.abandoned

    def abandoned(connection: Connection, before: datetime, limit: int) -> list[bytes]:
        found = find(connection, before, limit)
        if found:
            store.run(partial(journal.stored, lengths={BLOB: length}, now=NOW))
        return found

    monkeypatch.setattr(journal, "abandoned", abandoned)
    assert sweep_orphans(store, blobs, NOW - DAY, NOW) == 0
    assert blobs.read(BLOB, 0, 1) == b"x"


def test_a_new_database_removes_no_file_on_its_first_day(blobs: FileBlobs, store: Store, tmp_path: Path) -> None:
    """An empty database in the place of a lost one knows of no blob; they stay until somebody can restore it."""
    blobs.write(BLOB, [b"x"])
    age_files(tmp_path, {BLOB})
    for hours in (0, 23):
        assert sweep_orphans(store, blobs, NOW - DAY, NOW + hours * DAY / 24) == 0
    assert len(files(tmp_path)) == 1
    assert sweep_orphans(store, blobs, NOW, NOW + DAY) == 1


def age_files(folder: Path, ids: set[bytes]) -> None:
    """Let files look two days old."""
    for file in files(folder):
        moment = (NOW - 2 * DAY if bytes.fromhex(file.name.partition(".")[0]) in ids else NOW).timestamp()
        os.utime(file, (moment, moment))


def test_foreign_files_are_left_alone(blobs: FileBlobs, store: Store, tmp_path: Path) -> None:
    """What is not named like a blob is not ours to remove."""
    blobs.write(BLOB, [b"x"])
    (tmp_path / "blobs" / "00" / "README").write_text("hello")
    (tmp_path / "blobs" / "lost+found").mkdir()
    for file in files(tmp_path):
        os.utime(file, (0, 0))
    assert sweep_orphans(store, blobs, NOW - 4 * DAY, NOW - 2 * DAY) == 0
    assert sweep_orphans(store, blobs, NOW - DAY, NOW) == 1
    assert [file.name for file in files(tmp_path)] == ["README"]


@pytest.fixture(params=["unnamed", "named"])
def draft(request: pytest.FixtureRequest, blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobDraft]:
    """A draft, also where unnamed files cannot be made: without the flag the kernel answers as one that lacks it."""
    if request.param == "named":
        monkeypatch.setattr(files_module, "_O_TMPFILE", 0)
    one = blobs.draft()
    yield one
    one.drop()


def test_draft_that_is_kept_is_a_blob(draft: BlobDraft, blobs: FileBlobs, tmp_path: Path) -> None:
    """It can be read while it is written; kept, it is a file like any other, for its owner only."""
    draft.append(b"abc")
    draft.append(b"defgh")
    assert (draft.length, draft.read(2, 5), draft.read(6, 100)) == (8, b"cde", b"gh")
    draft.keep(BLOB)
    draft.drop()
    assert blobs.read(BLOB, 0, 8) == b"abcdefgh"
    (file,) = files(tmp_path)
    assert (file, file.stat().st_mode & 0o777) == (tmp_path / "blobs" / "00" / BLOB.hex(), 0o600)


def test_draft_that_is_dropped_leaves_nothing(draft: BlobDraft, tmp_path: Path) -> None:
    """What nobody kept is gone, and whoever still writes is told."""
    draft.append(b"abc")
    draft.drop()
    draft.drop()
    assert files(tmp_path) == []
    for late in (lambda: draft.append(b"x"), lambda: draft.read(0, 1), lambda: draft.keep(BLOB)):
        with pytest.raises(StoreError, match="given up"):
            late()
    assert files(tmp_path) == []


def test_killed_process_leaves_no_draft(tmp_path: Path) -> None:
    """An unnamed file goes with its process: nothing has to be swept."""
    pid = os.fork()
    if not pid:
        FileBlobs(tmp_path / "blobs").draft().append(b"abc")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert files(tmp_path) == []


def test_draft_that_cannot_be_synced_is_not_kept(
    draft: BlobDraft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing fsync leaves no blob, only what is dropped."""

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    draft.append(b"abc")
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StoreError, match="Input/output error"):
        draft.keep(BLOB)
    draft.drop()
    assert files(tmp_path) == []
