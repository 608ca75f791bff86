"""Fixtures that many tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.postoffice import PostOffice

# Generated tests judge behaviour, never speed: a busy machine is no finding.
settings.register_profile("letterlock", deadline=None)
settings.load_profile("letterlock")


@pytest.fixture
def world() -> Iterator[PostOffice]:
    """A next hop that takes everything and keeps it by mailbox."""
    office = PostOffice()
    office.open()
    yield office
    office.end()
