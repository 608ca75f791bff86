"""Files that the configuration names are read at once or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from relay.config.certificates import read_certificate, read_public_of_key
from relay.config.contents import contents
from relay.config.signing_keys import read_signing_key
from relay.config.users import read_users
from relay.config.wordlists import read_terms


@pytest.mark.parametrize("read", [read_certificate, read_public_of_key, read_signing_key, read_users, read_terms])
def test_nobody_waits_for_a_pipe(read: Callable[[Path], object], tmp_path: Path) -> None:
    """A pipe that nobody writes into is refused instead of waited for."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ValueError, match="is no ordinary file"):
        read(pipe)


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    """Of a large file comes so much as tells that it is too large."""
    file = tmp_path / "large"
    file.write_bytes(b"0123456789")
    assert contents(file, 4) == b"0123"
