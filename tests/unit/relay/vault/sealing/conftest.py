"""The letter that the tests of this folder share."""

import pytest

from tests.unit.relay.vault.sealing.letter import Letter, seal_letter


@pytest.fixture(scope="session")
def letter() -> Letter:
    """A letter of one text part, sealed once."""
    return seal_letter()
