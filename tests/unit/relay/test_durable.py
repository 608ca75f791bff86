"""An administrator works as root beside a gateway that has a user of its own, which may be in an attacker's hands."""

import os
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner

from relay import backup
from relay.cli import main
from relay.durable import give_to_owner_of
from relay.errors import StoreError
from relay.mishaps import Mishaps
from relay.store.gate import Gate
from relay.store.slot import Slot
from relay.vault.blobs import FileBlobs
from relay.vault.first_keys import create

BLOB = bytes(range(16))


@pytest.fixture
def gateway() -> int:
    """The gateway's user: another where the tests run as root, who alone can give files away."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()


@pytest.fixture
def home(tmp_path: Path, gateway: int) -> Path:
    """A folder that belongs to the gateway."""
    folder = tmp_path / "home"
    folder.mkdir()
    os.chown(folder, gateway, -1)
    return folder


def test_what_init_and_restore_make_as_root_is_the_gateways(
    home: Path, gateway: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, database, blobs and their folders, new or from a backup, belong to the owner of the folder they are in."""
    monkeypatch.chdir(home)
    for arguments in (
        ["init", "--demo"],
        ["backup", "keys", str(tmp_path / "keys")],
        ["backup", "storage", str(tmp_path / "storage")],
    ):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
    FileBlobs(tmp_path / "storage/blobs").write(BLOB, [b"sealed"])
    assert _owners(home / "var") == {gateway}
    assert _owners(tmp_path / "keys") == _owners(tmp_path / "storage") == {os.geteuid()}, "a backup is who made it"

    (home / "var").rename(tmp_path / "before")
    (home / "var").mkdir()
    os.chown(home / "var", gateway, -1)
    backup.put_keys(tmp_path / "keys", home / "var/keys")
    backup.put_storage(tmp_path / "storage", f"sqlite:///{home}/var/letterlock.db", home / "var/blobs")
    assert {file.name for file in (home / "var").iterdir()} == {"keys", "letterlock.db", "blobs"}
    assert _owners(home / "var") == {gateway}


def test_parts_that_root_seals_can_be_read_and_removed_by_the_gateway(home: Path, gateway: int) -> None:
    """A large message that "letterlock held release" seals as root, and the folder it is in, are the gateway's."""
    FileBlobs(home / "blobs").write(BLOB, [b"sealed"])
    assert len(list(home.rglob("*"))) == 3
    assert _owners(home) == {gateway}


def test_notes_of_a_gateway_that_root_once_started_can_be_written_on(home: Path, gateway: int) -> None:
    """What was being read, and what was fatal, is noted by the gateway's user after that, too."""
    notes = home / "reading"
    watch = Mishaps(notes, "relay-0", lambda head: head[:16].ljust(16)).watch(b"message")
    with pytest.raises(ZeroDivisionError):
        watch.over(lambda: 1 // 0)
    assert {file.name for file in notes.iterdir()} == {
        "relay-0.reading",
        "mishaps.changes",
        "mishaps.lock",
        "mishaps.json",
    }
    assert _owners(home) == {gateway}


def test_new_keys_are_those_of_the_folder_that_waits_for_them(tmp_path: Path, gateway: int) -> None:
    """An empty folder made for the keys says whose they are; what it is in may be root's."""
    waiting = tmp_path / "keys"
    waiting.mkdir()
    os.chown(waiting, gateway, -1)
    create(waiting)
    assert _owners(waiting) == {gateway}


@pytest.mark.parametrize("name", ["letterlock.db.gate", "letterlock.db.gate.turnstile", "letterlock.db.relay-0.slot"])
def test_link_in_place_of_a_lock_is_not_followed(home: Path, tmp_path: Path, name: str) -> None:
    """Whoever has the gateway's user cannot have root hand over a file that it points to, or make one elsewhere."""
    aim = tmp_path / "secret"
    (home / name).symlink_to(aim)
    for there in (False, True):
        if there:
            aim.touch(0o600)
        with pytest.raises(StoreError, match="cannot open"):
            _lock(home)
        assert aim.exists() == there
    assert aim.stat().st_uid == os.geteuid()


def test_file_that_was_there_before_is_not_handed_over(home: Path, tmp_path: Path) -> None:
    """Who owns the folder can move or link any file to the place of a lock: a key that root left there, for one."""
    (tmp_path / "secret").touch(0o600)
    os.link(tmp_path / "secret", home / "linked")
    (home / "moved").write_text("secret")
    for name in ("linked", "moved"):
        with (home / name).open() as file:
            give_to_owner_of(home, file.fileno())
        assert (home / name).stat().st_uid == os.geteuid()


def _lock(home: Path) -> None:
    Gate(home / "letterlock.db.gate").close()
    Slot(f"sqlite:///{home}/letterlock.db", "relay-0").close()


def _owners(folder: Path) -> set[int]:
    return {path.stat().st_uid for path in (folder, *folder.rglob("*"))}
