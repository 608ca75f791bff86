"""New keys beside old ones, and the recovery key."""

import errno
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.errors import KeyringError, NotFoundError, RefusedError
from relay.store.gate import Gate
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.links import reader_of
from relay.vault.opener import Opened
from relay.vault.recovery import create_recovery, read_recovery
from relay.vault.rotation import activate, list_keys, new_version
from relay.vault.vault import SealedDraft

from .conftest import EXPIRES, NOW


def test_list_shows_every_key_and_no_secret(key_folder: Path, keyring: Keyring) -> None:
    """Names, purposes and which one is active; never the key."""
    keyring.kek_for(EXPIRES)
    keyring.spool_seal("mail", bytes(16), b"x", at=NOW)
    lines = list_keys(key_folder)
    assert {line.name for line in lines} >= {"row-1", "kek-2026-12-1", "epoch-2026-11-22", "code", "index"}
    assert all(line.active for line in lines)
    assert all(line.purpose != "unknown" for line in lines)
    assert keyring.audit_key.hex() not in repr(lines)


def test_new_server_key_seals_after_it_was_activated(
    key_folder: Path, keyring: Keyring, seal: Callable[..., SealedDraft], open_all: Callable[..., Opened]
) -> None:
    """What was sealed under the old version still opens under it."""
    old = seal()
    line = new_version(key_folder, "kek-2026-12")
    assert (line.name, line.active) == ("kek-2026-12-2", False)
    assert Keyring.open(key_folder, role="relay").kek_for(EXPIRES).kek_id == keyring.kek_for(EXPIRES).kek_id
    assert activate(key_folder, "kek-2026-12-2").active
    assert Keyring.open(key_folder, role="relay").kek_for(EXPIRES).kek_id == line.id
    assert open_all(old).messages


def test_rows_under_an_older_row_key_are_still_checked(
    key_folder: Path, seal: Callable[..., SealedDraft], store: Store
) -> None:
    """A running relay checks rows of a version that was made after its start, and a new one rows of the old version."""
    draft = seal()
    new_version(key_folder, "row")
    activate(key_folder, "row-2")
    renewed = Keyring.open(key_folder, role="relay")
    assert renewed.row_key()[0] == 2
    with store.read() as connection:
        reader = reader_of(connection, renewed, draft.links["jane@example.net"].link_id, NOW)
    assert reader is not None
    assert reader.address == "jane@example.net"


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ("index", "has one version"),
        ("signing", "has one version"),
        ("kek-2026-13", "is no series of keys"),
        ("kek-26-01", "is no series of keys"),
        ("kek-9999-12", "is no series of keys"),  # its month has no end: the sweep would stop there for ever
        ("kek-0000-01", "is no series of keys"),
        ("../relay/row", "is no series of keys"),
        ("", "is no series of keys"),
    ],
)
def test_what_cannot_be_rotated_says_why(key_folder: Path, series: str, words: str) -> None:
    """A key of one version, or no key at all, is refused with the reason."""
    with pytest.raises(RefusedError, match=words):
        new_version(key_folder, series)


@pytest.mark.parametrize("name", ["row-7", "kek-2026-12-1", "row-x"])
def test_only_a_key_that_is_there_is_activated(key_folder: Path, name: str) -> None:
    """Activating what does not exist would stop every later start."""
    with pytest.raises(NotFoundError, match="there is no key"):
        activate(key_folder, name)


def test_recovery_key_is_made_once_and_split(key_folder: Path, tmp_path: Path) -> None:
    """The private half goes where the person says, the public half into the keys; neither is ever overwritten."""
    assert Keyring.open(key_folder, role="relay").recovery is None
    private = tmp_path / "recovery.private"
    key_id = create_recovery(key_folder, private)
    assert private.stat().st_mode & 0o777 == 0o600
    assert read_recovery(private).public.key_id == key_id
    recovery = Keyring.open(key_folder, role="relay").recovery
    assert recovery is not None
    assert recovery.key_id == key_id
    with pytest.raises(RefusedError, match="there is a recovery key already"):
        create_recovery(key_folder, tmp_path / "another")
    (key_folder / "public" / "recovery.pub").unlink()
    with pytest.raises(RefusedError, match="already there"):
        create_recovery(key_folder, private)


def test_no_mail_is_sealed_to_a_recovery_key_that_the_disk_does_not_have(
    key_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private half is there with its name before the public one is; where that fails it can be tried again."""
    synced: list[str] = []
    stick = tmp_path / "stick"
    stick.mkdir()

    def fsync(number: int) -> None:
        synced.append(Path(f"/proc/self/fd/{number}").readlink().name)
        if len(synced) == 2:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyringError, match="Input/output error"):
        create_recovery(key_folder, stick / "recovery.private")
    assert synced == ["recovery.private", "stick"]
    assert Keyring.open(key_folder, role="relay").recovery is None
    create_recovery(key_folder, stick / "recovery.private")
    assert Keyring.open(key_folder, role="relay").recovery is not None


@pytest.mark.parametrize("content", ["", "LETTERLOCK-RECOVERY-1 00 !!!", "LETTERLOCK-RECOVERY-1 00 AAAA", "x y z", "é"])
def test_file_that_is_no_recovery_key_says_so(tmp_path: Path, content: str) -> None:
    """A wrong file is a sentence, not a traceback."""
    file = tmp_path / "recovery.private"
    file.write_text(content)
    with pytest.raises(KeyringError, match="recovery key"):
        read_recovery(file)
    with pytest.raises(KeyringError):
        read_recovery(tmp_path / "missing")


def test_what_root_makes_belongs_to_the_owner_of_the_folder(key_folder: Path, keyring: Keyring, tmp_path: Path) -> None:
    """An administrator makes a key as root: the gateway, which runs as another user, can read it and goes on."""
    keyring.kek_for(EXPIRES)
    gateway = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    for place in ("relay", "shared"):
        os.chown(key_folder / place, gateway, -1)
    for series in ("row", "kek-2026-12"):
        activate(key_folder, new_version(key_folder, series).name)
    made = ("relay/row-2.key", "relay/row.active", "shared/kek-2026-12-2.key", "shared/kek-2026-12.active")
    os.chown(tmp_path, gateway, -1)
    with Gate(tmp_path / "letterlock.db.gate").held(1):
        owners = {file.stat().st_uid for file in (*(key_folder / name for name in made), *tmp_path.glob("*.gate*"))}
    assert owners == {gateway}
