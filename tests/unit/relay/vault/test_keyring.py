"""The keys: who holds which, what makes a key file unusable, what comes and goes."""

import multiprocessing
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.errors import KeyringError
from relay.message.addresses import canonical_address
from relay.vault.keks import bucket_of, end_of_bucket
from relay.vault.keyring import Keyring
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.tombstones import buried, bury

from .conftest import EXPIRES, NOW

ITEM = bytes(range(16))


def test_new_keys_are_for_their_owner_only(key_folder: Path) -> None:
    """Every private key file is 0600 in folders 0700."""
    for path in key_folder.rglob("*"):
        allowed = 0o700 if path.is_dir() else 0o644 if path.suffix == ".pub" else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_keys_are_never_overwritten(key_folder: Path) -> None:
    """Making keys where there are some is refused, and nothing changes."""
    before = {path: path.read_bytes() for path in key_folder.rglob("*.key")}
    with pytest.raises(KeyringError, match="they are never overwritten"):
        Keyring.create(key_folder)
    assert {path: path.read_bytes() for path in key_folder.rglob("*.key")} == before


def test_keys_may_be_made_in_an_empty_folder(tmp_path: Path) -> None:
    """An empty folder that somebody prepared is filled."""
    (tmp_path / "keys").mkdir()
    Keyring.create(tmp_path / "keys")
    Keyring.open(tmp_path / "keys", role="relay")
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


def test_missing_folder_names_the_command(tmp_path: Path) -> None:
    """Without keys the sentence says what makes them."""
    with pytest.raises(KeyringError, match="`letterlock init` makes them"):
        Keyring.open(tmp_path / "keys", role="relay")


def _open_up(file: Path) -> None:
    file.parent.chmod(0o755)


def _loosen(file: Path) -> None:
    file.chmod(0o640)


def _remove(file: Path) -> None:
    file.unlink()


def _damage(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:40] + b"x" + file.read_bytes()[41:])


def _exchange(file: Path) -> None:
    file.write_bytes((file.parent / "address.key").read_bytes())


def _link(file: Path) -> None:
    file.rename(file.parent / "elsewhere")
    file.symlink_to(file.parent / "elsewhere")


def _newer(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"LETTERLOCK-KEY-1", b"LETTERLOCK-KEY-2"))


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _fill_with_noise(file: Path) -> None:
    file.write_bytes(os.urandom(300))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_loosen, "run `chmod 600 .*row-1.key`"),
        (_remove, "row-1.key is missing"),
        (_damage, "row-1.key is damaged"),
        (_exchange, "somebody renamed or copied it"),
        (_link, "row-1.key"),
        (_newer, "of a newer version"),
        (_empty, "row-1.key is damaged"),
        (_fill_with_noise, "row-1.key is damaged"),
        (_open_up, "run `chmod 700"),
    ],
)
def test_key_that_must_not_be_used_is_named(key_folder: Path, spoil: Callable[[Path], object], words: str) -> None:
    """A key readable by others, damaged, exchanged or missing stops the start with a sentence that says what to do."""
    spoil(key_folder / "relay" / "row-1.key")
    with pytest.raises(KeyringError, match=words):
        Keyring.open(key_folder, role="relay").row_key()


def test_portal_holds_no_key_of_the_relay(key_folder: Path) -> None:
    """With the relay's folder out of reach the portal opens, and what it does not hold is refused by name."""
    (key_folder / "relay").rename(key_folder / "out of reach")
    portal = Keyring.open(key_folder, role="portal")
    asked: list[Callable[[], object]] = [
        portal.row_key,
        lambda: portal.queue_private,
        lambda: portal.audit_key,
        lambda: portal.signing_key,
        lambda: portal.seal_address("jane@example.net"),
        lambda: portal.open_address(bytes(40)),
        lambda: portal.spool_seal("mail", ITEM, b"x", at=NOW),
        lambda: portal.spool_open("mail", ITEM, bytes(80)),
        lambda: portal.destroy_unused_epochs(frozenset(), NOW),
    ]
    for ask in asked:
        with pytest.raises(KeyringError, match="the portal does not hold the key"):
            ask()
    assert portal.ticket_key != portal.code_key
    assert portal.page_key("csrf") != portal.page_key("name")
    assert portal.kek_for(EXPIRES)


def test_relay_holds_no_key_of_the_portal(keyring: Keyring) -> None:
    """Codes, tickets and forms are the portal's alone."""
    asked: list[Callable[[], bytes]] = [
        lambda: keyring.code_key,
        lambda: keyring.ticket_key,
        lambda: keyring.page_key("csrf"),
    ]
    for ask in asked:
        with pytest.raises(KeyringError, match="the relay does not hold the key"):
            ask()


def test_relay_and_portal_agree_on_hashes_and_server_keys(keyring: Keyring, key_folder: Path) -> None:
    """What both hold is the same; a server key that the relay makes later is found by a running portal."""
    portal = Keyring.open(key_folder, role="portal")
    assert portal.address_hash("jane@example.net") == keyring.address_hash("jane@example.net")
    kek = keyring.kek_for(EXPIRES)
    assert portal.keks[kek.kek_id].unwrap(kek.wrap(bytes(64))) == bytes(64)
    assert portal.queue_public == keyring.queue_public


def test_spelling_of_an_address_does_not_make_a_stranger(keyring: Keyring) -> None:
    """Letter case and the two forms of an international domain hash alike; different people never do."""
    same = ["Jane.Doe@Example.NET", "jane.doe@example.net", "jane.doe@EXAMPLE.net."]
    assert len({keyring.address_hash(one) for one in same}) == 1
    assert canonical_address("JANE@bücher.example") == canonical_address("jane@xn--bcher-kva.example")
    assert keyring.address_hash("jane@example.net") != keyring.address_hash("jane@example.org")
    assert keyring.text_hash("a", "x") != keyring.text_hash("b", "x")
    assert len(keyring.address_hash("jane@example.net")) == 16
    assert len(keyring.address_hash("no address at all")) == 16


def test_address_is_sealed_differently_each_time(keyring: Keyring) -> None:
    """The database cannot tell that two rows hold one address, and a changed row does not open."""
    one, two = keyring.seal_address("jane@example.net"), keyring.seal_address("jane@example.net")
    assert one != two
    assert keyring.open_address(one) == "jane@example.net"
    for changed in (one[:-1] + bytes([one[-1] ^ 1]), one[:5], b""):
        with pytest.raises(SealingError) as caught:
            keyring.open_address(changed)
        assert caught.value.layer is Layer.ROW


def test_months_have_their_own_server_key(keyring: Keyring) -> None:
    """Messages that expire in one month share a key; the next month has another."""
    december, same = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    january = datetime(2027, 1, 1, tzinfo=UTC)
    assert keyring.kek_for(december).kek_id == keyring.kek_for(same).kek_id
    assert keyring.kek_for(december).kek_id != keyring.kek_for(january).kek_id
    assert bucket_of(same) == "2026-12"
    assert end_of_bucket("2026-12") == january
    assert end_of_bucket("2026-11") == december


def _make_kek(folder: Path) -> bytes:
    return Keyring.open(folder, role="relay").kek_for(EXPIRES).kek_id


def test_processes_that_need_a_new_key_at_once_agree_on_one(key_folder: Path) -> None:
    """Of several processes that make the month's key, one wins and all use it."""
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert len(set(pool.map(_make_kek, [key_folder] * 9))) == 1
    assert [path.name for path in (key_folder / "shared").iterdir() if path.name.startswith(".")] == []


def test_destroyed_key_does_not_come_back_with_a_backup(keyring: Keyring, key_folder: Path) -> None:
    """A key file that is put back after its destruction is destroyed again at the next start."""
    kek_id = keyring.kek_for(EXPIRES).kek_id
    (file,) = (key_folder / "shared").glob("kek-*.key")
    backup = file.read_bytes()
    keyring.keks.destroy(keyring.keks.files()[0])
    assert not file.exists()
    assert kek_id not in keyring.keks
    file.write_bytes(backup)
    file.chmod(0o600)
    assert kek_id not in Keyring.open(key_folder, role="portal").keks
    assert not file.exists()


@pytest.mark.parametrize("died", ["before a key was overwritten", "before it was removed"])
def test_half_destroyed_key_is_destroyed_and_nothing_else_is_held_up(
    keyring: Keyring, key_folder: Path, monkeypatch: pytest.MonkeyPatch, died: str
) -> None:
    """A process that dies over the destruction of a key leaves no file that the next one takes for a damaged key."""

    class DeathError(Exception):
        pass

    def die(place: str) -> None:
        if place == {"before a key was overwritten": "key: condemned"}.get(died, "key: overwritten"):
            raise DeathError

    old, kept = (keyring.kek_for(datetime(2026, month, 20, tzinfo=UTC)).kek_id for month in (6, 8))
    monkeypatch.setattr("relay.vault.keyfiles.reached", die)
    with pytest.raises(DeathError):
        keyring.keks.destroy(keyring.keks.files()[0])
    monkeypatch.undo()
    after = Keyring.open(key_folder, role="relay")
    assert (old in after.keks, kept in after.keks) == (False, True)
    assert sorted(file.name for file in (key_folder / "shared").iterdir() if "kek" in file.name) == [
        "kek-2026-08-1.key"
    ]


def test_the_first_tombstone_is_on_disk_with_its_name(key_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the folder are synced, in this order, before the key is destroyed that it speaks of."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink().name))
    bury(key_folder / "tombstones", bytes(16))
    assert synced == ["tombstones", key_folder.name]


def test_torn_line_of_the_tombstones_harms_no_other(key_folder: Path) -> None:
    """A crash in the middle of a line loses that line only."""
    tombstones = key_folder / "tombstones"
    bury(tombstones, bytes(16))
    with tombstones.open("ab") as file:
        file.write(b"kek 00112233")
    bury(tombstones, b"\x01" * 16)
    assert buried(tombstones) == {bytes(16), b"\x01" * 16}


def test_spooled_mail_opens_under_its_label_and_id_only(keyring: Keyring) -> None:
    """What waits in the queue cannot stand in for something else there."""
    sealed = keyring.spool_seal("mail", ITEM, b"hello", at=NOW)
    assert keyring.spool_open("mail", ITEM, sealed) == b"hello"
    for label, item_id, data in (
        ("entry", ITEM, sealed),
        ("mail", bytes(16), sealed),
        ("mail", ITEM, sealed[:-1]),
        ("mail", ITEM, b""),
    ):
        with pytest.raises(SealingError) as caught:
            keyring.spool_open(label, item_id, data)
        assert caught.value.layer is Layer.SPOOL


def test_large_mail_is_spooled_in_pieces(keyring: Keyring) -> None:
    """Something large is written and read piece by piece under the epoch key that its first bytes name."""
    writer = keyring.spool_writer("mail", ITEM, at=NOW)
    data = os.urandom(200_000)
    sealed = writer.write(data[:70_000]) + writer.write(data[70_000:]) + writer.finish()
    reader = keyring.spool_reader("mail", ITEM, sealed[:16], len(sealed))
    assert b"".join(reader.read([sealed[:100], sealed[100:]])) == data


def test_epoch_keys_go_when_nothing_needs_them(keyring: Keyring, key_folder: Path) -> None:
    """An epoch key is destroyed once it and all older ones are unused and its day is over; then nothing opens."""
    days = [NOW - timedelta(days=ago) for ago in (5, 4, 3, 1, 0)]
    sealed = [keyring.spool_seal("mail", ITEM, b"x", at=day) for day in days]
    in_use = frozenset([sealed[1][:16]])
    assert keyring.destroy_unused_epochs(in_use, NOW) == 1
    assert keyring.spool_open("mail", ITEM, sealed[1]) == b"x"
    assert keyring.spool_open("mail", ITEM, sealed[2]) == b"x"
    assert keyring.destroy_unused_epochs(frozenset(), NOW) == 2
    assert keyring.spool_open("mail", ITEM, sealed[3]) == b"x"
    for gone in sealed[:3]:
        with pytest.raises(SealingError, match="its epoch key was destroyed"):
            keyring.spool_open("mail", ITEM, gone)
    another = Keyring.open(key_folder, role="cli")
    assert another.spool_open("mail", ITEM, sealed[4]) == b"x"
    with pytest.raises(SealingError):
        another.spool_open("mail", ITEM, sealed[0])


def test_epoch_key_destroyed_by_another_process_is_gone_for_all(keyring: Keyring, key_folder: Path) -> None:
    """A worker that once used a key cannot open with it any more after another one destroyed it."""
    old = keyring.spool_seal("mail", ITEM, b"x", at=NOW - timedelta(days=9))
    Keyring.open(key_folder, role="relay").destroy_unused_epochs(frozenset(), NOW)
    with pytest.raises(SealingError, match="its epoch key was destroyed"):
        keyring.spool_open("mail", ITEM, old)


def test_keyring_shows_no_secret(keyring: Keyring) -> None:
    """A keyring that is logged by mistake says where it is and nothing else."""
    assert keyring.audit_key.hex() not in repr(keyring)
    assert repr(keyring).endswith("role='relay')")


def test_tags_are_the_relays_alone(key_folder: Path) -> None:
    """A tag belongs to its item and its purpose, and the portal cannot make one."""
    relay = Keyring.open(key_folder, role="relay")
    tag = relay.address_tag("bounce", bytes(16))
    assert len(tag) == 20
    assert tag == relay.address_tag("bounce", bytes(16))
    assert tag not in (relay.address_tag("control", bytes(16)), relay.address_tag("bounce", b"1" * 16))
    with pytest.raises(KeyringError):
        Keyring.open(key_folder, role="portal").address_tag("bounce", bytes(16))
