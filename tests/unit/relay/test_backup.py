"""Copies of keys and storage, and what is refused rather than overwritten."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay import backup
from relay.errors import KeyringError, RefusedError, StoreError
from relay.store.writer import open_store
from relay.vault import progress
from relay.vault.blobs import FileBlobs, begin, stored
from relay.vault.keyring import Keyring
from relay.vault.tombstones import bury

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
KEPT, WRITING = bytes(16), bytes([1]) * 16


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A set of keys in use: with an epoch key and the file that belongs to the machine."""
    folder = tmp_path / "keys"
    Keyring.create(folder)
    keyring = Keyring.open(folder, role="relay")
    keyring.spool_seal("label", bytes(16), b"waits", at=NOW)
    keyring.kek_for(NOW)
    progress.settle(folder, 7)
    bury(folder / "tombstones", bytes(16))
    return folder


def test_keys_are_copied_but_for_those_that_must_not_come_back(keys: Path, tmp_path: Path) -> None:
    """Epoch keys and the machine's progress stay; all others come back as they were, readable by one user."""
    copied = backup.copy_keys(keys, tmp_path / "copy")
    names = {file.relative_to(keys) for file in keys.rglob("*") if file.is_file()}
    left = {name for name in names if name.name.startswith("epoch-")} | {Path("progress")}
    assert len(left) == 2
    assert {file.relative_to(tmp_path / "copy") for file in (tmp_path / "copy").rglob("*") if file.is_file()} == (
        names - left
    )
    assert copied == len(names - left)
    backup.put_keys(tmp_path / "copy", tmp_path / "again")
    again = Keyring.open(tmp_path / "again", role="relay")
    assert set(again.keks) == set(Keyring.open(keys, role="relay").keks)
    assert {one.stat().st_mode & 0o077 for one in (tmp_path / "again").iterdir()} == {0}


def test_a_link_among_the_keys_is_not_followed(keys: Path, tmp_path: Path) -> None:
    """Called by root, a copy would hold what the gateway's user, who made the link, may not read."""
    secret = tmp_path / "shadow"
    secret.write_text("of somebody else")
    (keys / "zz").symlink_to(secret)
    with pytest.raises(RefusedError, match=f"{keys}/zz is a link, which is not copied: put the file itself there"):
        backup.copy_keys(keys, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_keys_and_tombstones_are_never_overwritten(keys: Path, tmp_path: Path) -> None:
    """A folder with keys is refused; tombstones that are there stay, whatever the copy says."""
    backup.copy_keys(keys, tmp_path / "copy")
    with pytest.raises(RefusedError, match="they are never overwritten"):
        backup.put_keys(tmp_path / "copy", keys)
    with pytest.raises(RefusedError, match="is already there and stays as it is"):
        backup.copy_keys(keys, tmp_path / "copy")
    fresh = tmp_path / "fresh"
    fresh.mkdir(0o700)
    (fresh / "tombstones").write_text("newer")
    backup.put_keys(tmp_path / "copy", fresh)
    assert (fresh / "tombstones").read_text() == "newer"
    with pytest.raises(RefusedError, match="there is no folder"):
        backup.put_keys(tmp_path / "nowhere", tmp_path / "empty")


def test_a_copy_of_the_storage_says_that_it_is_one(sqlite_url: str, tmp_path: Path) -> None:
    """It holds what was committed and the files that the copy names, and is known as a copy wherever it lies."""
    blobs = FileBlobs(tmp_path / "blobs")
    store = open_store(sqlite_url)
    store.run(lambda conn: begin(conn, [KEPT, WRITING], NOW))
    for one in (KEPT, WRITING):
        blobs.write(one, [b"sealed"])
    store.run(lambda conn: stored(conn, {KEPT: 6}, NOW))
    copied = backup.copy_storage(sqlite_url, tmp_path / "blobs", tmp_path / "copy", NOW)
    store.close()
    assert copied == 1
    assert [file.name for file in (tmp_path / "copy/blobs").glob("*/*")] == [KEPT.hex()]

    url = f"sqlite:///{tmp_path}/other/letterlock.db"
    backup.put_storage(tmp_path / "copy", url, tmp_path / "other/blobs")
    assert FileBlobs(tmp_path / "other/blobs").read(KEPT, 0, 6) == b"sealed"
    with pytest.raises(RefusedError, match="this database is a backup made 2026-11-23"):
        progress.require_newest(url, tmp_path / "keys")
    progress.require_newest(sqlite_url, tmp_path / "keys")
    for stray, words in (("other/letterlock.db", "it is never overwritten"), ("other/blobs", "parts of messages")):
        database = url if stray.endswith("db") else f"sqlite:///{tmp_path}/third.db"
        with pytest.raises(RefusedError, match=words):
            backup.put_storage(tmp_path / "copy", database, tmp_path / "other/blobs")


def test_a_copy_without_parts_is_on_disk_with_its_name(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that names the database is synced too, where no part of a message makes it so."""
    synced: list[str] = []
    monkeypatch.setattr("relay.backup.sync_folder", lambda folder: synced.append(folder.name))
    assert backup.copy_storage(sqlite_url, tmp_path / "blobs", tmp_path / "copy", NOW) == 0
    assert synced == ["copy", tmp_path.name]


def test_no_half_copy_is_left(sqlite_url: str, tmp_path: Path) -> None:
    """Where the database cannot be read, the new folder is gone again."""
    (tmp_path / "letterlock.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="damaged"):
        backup.copy_storage(sqlite_url, tmp_path / "blobs", tmp_path / "copy", NOW)
    assert not (tmp_path / "copy").exists()


def test_postgresql_has_programs_of_its_own(tmp_path: Path) -> None:
    """Neither copied nor put back: the sentence says with what."""
    url = "postgresql+psycopg://letterlock@localhost/letterlock"
    with pytest.raises(RefusedError, match="pg_dump"):
        backup.copy_storage(url, tmp_path, tmp_path / "copy", NOW)
    with pytest.raises(RefusedError, match="pg_restore"):
        backup.put_storage(tmp_path, url, tmp_path)


def test_something_else_is_no_copy(sqlite_url: str, tmp_path: Path) -> None:
    """A folder without a database is refused before anything is written."""
    with closing(sqlite3.connect(tmp_path / "letterlock.db")):
        pass
    (tmp_path / "odd").mkdir()
    with pytest.raises(RefusedError, match="is no copy"):
        backup.put_storage(tmp_path / "odd", f"sqlite:///{tmp_path}/new.db", tmp_path / "blobs")
    assert sqlite_url
    assert not (tmp_path / "new.db").exists()


def test_a_new_database_is_not_taken_for_an_old_one(sqlite_url: str, keys: Path) -> None:
    """Where `letterlock init` has made a new one, the keys forget how far the one before had come."""
    with pytest.raises(RefusedError, match="of an earlier day than the keys beside it"):
        progress.require_newest(sqlite_url, keys)
    progress.begin(sqlite_url, keys)
    progress.require_newest(sqlite_url, keys)
    assert not (keys / progress.FILE).exists()


def test_a_damaged_note_is_explained(sqlite_url: str, keys: Path) -> None:
    """It stops the start with a sentence that says what to do."""
    (keys / progress.FILE).write_text("seven\n")
    with pytest.raises(KeyringError, match="remove it, and run"):
        progress.require_newest(sqlite_url, keys)
