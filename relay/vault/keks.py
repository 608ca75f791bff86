"""Server keys that come and go: KEKs, one for each month in which messages expire, and epoch keys, one a day.

Both are made when first needed, by whichever process is first. A KEK bucket may hold several versions: messages
are sealed under the active one and open under any. What is destroyed on disk is gone for every running process too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from relay.errors import KeyringError
from relay.fail_points import reached
from relay.vault.keyfiles import (
    SUFFIX,
    KeyFile,
    destroy_key,
    finish_destroying,
    key_names,
    new_key,
    read_key,
    read_private,
    write_key,
)
from relay.vault.sealing.kek import FileKek
from relay.vault.tombstones import buried, bury

_KEK = "kek-"
_EPOCH = "epoch-"


def bucket_of(moment: datetime) -> str:
    """Return the bucket, ``2026-12``, of a message that expires at this moment."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}-{utc.month:02}"


def end_of_bucket(bucket: str) -> datetime:
    """Return the first moment after the last one at which a message of this bucket can expire."""
    year, month = map(int, bucket.split("-"))
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KekFile:
    """One KEK on disk: its bucket, its version there (from 1) and its id."""

    bucket: str
    version: int
    id: bytes

    @property
    def name(self) -> str:
        """Return the name of its file, without suffix."""
        return f"{_KEK}{self.bucket}-{self.version}"


class Keks(Mapping[bytes, FileKek]):
    """All KEKs that exist, by id. A KEK that another process made later is found when it is first asked for."""

    def __init__(self, folder: Path, tombstones: Path) -> None:
        self._folder = folder
        self._tombstones = tombstones
        self._loaded: dict[bytes, tuple[Path, FileKek]] = {}
        self._active: dict[str, bytes] = {}
        self._load()

    def __getitem__(self, kek_id: bytes) -> FileKek:
        if kek_id not in self._loaded:
            self._load()
        file, kek = self._loaded[kek_id]
        if not file.exists():
            del self._loaded[kek_id]
            raise KeyError(kek_id)
        return kek

    def __iter__(self) -> Iterator[bytes]:
        return iter(tuple(self._loaded))

    def __len__(self) -> int:
        return len(self._loaded)

    def sealing_for(self, expires_at: datetime) -> FileKek:
        """Return the KEK under which a message that expires then is sealed; made and durable if it was missing."""
        bucket = bucket_of(expires_at)
        active = self._active.get(bucket)
        if active is not None and (kek := self.get(active)) is not None:
            return kek
        version = active_version(self._folder, f"{_KEK}{bucket}")
        name = f"{_KEK}{bucket}-{version}"
        if read_key(self._folder, name) is None:
            if version != 1:
                raise KeyringError(f"the active server key {name} is missing: restore it from the backup of the keys")
            write_key(self._folder, new_key(name))
        key = read_key(self._folder, name)
        if key is None:
            raise KeyringError(f"the server key {name} vanished while it was made: look at the folder {self._folder}")
        self._active[bucket] = key.id
        kek = FileKek(key.id, key.secret)
        self._loaded[key.id] = (self._folder / (name + SUFFIX), kek)
        return kek

    def files(self) -> tuple[KekFile, ...]:
        """Return all KEKs on disk, oldest bucket first."""
        found = []
        for name in key_names(self._folder, _KEK):
            bucket, _, version = name.removeprefix(_KEK).rpartition("-")
            key = read_key(self._folder, name)
            if key is not None:
                found.append(KekFile(bucket, int(version), key.id))
        return tuple(sorted(found, key=lambda kek: (kek.bucket, kek.version)))

    def destroy(self, kek: KekFile) -> None:
        """Destroy a KEK for good: the tombstone first, so that no restored backup brings it back."""
        bury(self._tombstones, kek.id)
        reached("retention: server key buried")
        destroy_key(self._folder, kek.name)
        self._loaded.pop(kek.id, None)

    def _load(self) -> None:
        finish_destroying(self._folder)
        dead = buried(self._tombstones)
        for name in key_names(self._folder, _KEK):
            key = read_key(self._folder, name)
            if key is None:
                continue
            if key.id in dead:
                destroy_key(self._folder, name)
            else:
                self._loaded.setdefault(key.id, (self._folder / (name + SUFFIX), FileKek(key.id, key.secret)))


class Epochs:
    """Epoch keys, for what the relay spools. They are in no backup, and go when nothing needs them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_day: dict[date, KeyFile] = {}
        self._by_id: dict[bytes, KeyFile] = {}

    def of_day(self, at: datetime) -> KeyFile:
        """Return the key of that day (UTC); made and durable if it was missing."""
        day = at.astimezone(UTC).date()
        key = self._by_day.get(day)
        if key is None:
            name = f"{_EPOCH}{day.isoformat()}"
            write_key(self._folder, new_key(name))
            key = read_key(self._folder, name)
            if key is None:
                raise KeyringError(f"the epoch key {name} vanished while it was made")
            self._by_day[day] = self._by_id[key.id] = key
        return key

    def of_id(self, epoch_id: bytes) -> KeyFile | None:
        """Return the key with this id, None when it was destroyed."""
        if epoch_id not in self._by_id:
            self._by_id.update((key.id, key) for _, key in self._files())
        key = self._by_id.get(epoch_id)
        if key is not None and not (self._folder / (key.name + SUFFIX)).exists():
            del self._by_id[epoch_id]
            return None
        return key

    def destroy_unused(self, in_use: frozenset[bytes], now: datetime) -> int:
        """Destroy the keys older than any in use whose day has been over for a day; return how many.

        A younger key stays even when no content needs it: a reply to an older message may be kept under it.
        """
        finish_destroying(self._folder)
        last_safe = (now.astimezone(UTC) - timedelta(days=1)).date()
        files = self._files()
        needed = [day for day, key in files if key.id in in_use]
        oldest_needed = min([*needed, last_safe])
        destroyed = 0
        for day, key in files:
            if day < oldest_needed:
                destroyed += destroy_key(self._folder, key.name)
                self._by_day.pop(day, None)
                self._by_id.pop(key.id, None)
        return destroyed

    def _files(self) -> list[tuple[date, KeyFile]]:
        found = []
        for name in key_names(self._folder, _EPOCH):
            key = read_key(self._folder, name)
            if key is not None:
                found.append((date.fromisoformat(name.removeprefix(_EPOCH)), key))
        return found


def active_version(folder: Path, series: str) -> int:
    """Return which version of a series of keys is active: what its pointer file says, else the first."""
    pointer = read_private(folder / f"{series}.active")
    if pointer is None:
        return 1
    text = pointer.decode("ascii", "replace").strip()
    if not (text.isascii() and text.isdigit()):
        raise KeyringError(f"{folder / series}.active is damaged: it holds the number of the active key")
    return int(text)
