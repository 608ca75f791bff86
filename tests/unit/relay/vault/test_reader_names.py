"""Names of readers: sealed by the portal, readable by the relay, bound to their row."""

from pathlib import Path

import pytest

from relay.clock import new_id
from relay.errors import KeyringError
from relay.vault.keyring import Keyring
from relay.vault.reader_names import LONGEST, open_name, seal_name
from relay.vault.sealing.errors import SealingError


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Keyring, Keyring]:
    """The keys of the portal and of the relay."""
    Keyring.create(tmp_path / "keys")
    return Keyring.open(tmp_path / "keys", role="portal"), Keyring.open(tmp_path / "keys", role="relay")


def test_the_relay_reads_what_the_portal_sealed(keys: tuple[Keyring, Keyring]) -> None:
    """A name comes back as it was typed, cut to its limit; no name is no row value."""
    portal, relay = keys
    message, reader = new_id(), new_id()
    assert open_name(relay, message, reader, seal_name(portal, message, reader, "Zo\u00eb Li")) == "Zo\u00eb Li"
    assert open_name(relay, message, reader, seal_name(portal, message, reader, "x" * 200)) == "x" * LONGEST
    assert seal_name(portal, message, reader, "") is None
    assert open_name(relay, message, reader, None) == ""


def test_a_name_belongs_to_its_row(keys: tuple[Keyring, Keyring]) -> None:
    """Moved to another message or reader it opens no more, and the portal itself cannot open it at all."""
    portal, relay = keys
    message, reader = new_id(), new_id()
    sealed = seal_name(portal, message, reader, "Zoe")
    for other in ((new_id(), reader), (message, new_id())):
        with pytest.raises(SealingError):
            open_name(relay, *other, sealed)
    with pytest.raises(KeyringError):
        open_name(portal, message, reader, sealed)
