"""Key files on a disk that takes no more."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay.errors import KeyringError
from relay.vault.keyfiles import new_key, read_key, replace, write_key


@contextmanager
def room_for(octets: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many octets: the kernel writes what fits, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("octets", [0, 40])
def test_a_key_that_does_not_fit_is_no_key_and_leaves_nothing(tmp_path: Path, octets: int) -> None:
    """Whoever tries again for every message must not fill the folder with what nobody reads."""
    with room_for(octets), pytest.raises(KeyringError, match="too large"):
        write_key(tmp_path, new_key("epoch-2026-11-23"))
    assert list(tmp_path.iterdir()) == []
    assert write_key(tmp_path, new_key("epoch-2026-11-23"))
    assert read_key(tmp_path, "epoch-2026-11-23")


def test_a_file_that_cannot_be_written_anew_stays_as_it_was(tmp_path: Path) -> None:
    """Readers see the old content or the new, never the first half of the new."""
    file = tmp_path / "tombstones"
    replace(file, b"old")
    with room_for(40), pytest.raises(KeyringError, match="too large"):
        replace(file, b"new" * 40)
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]
