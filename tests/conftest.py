"""Fixtures that many tests share."""

from collections.abc import Iterator

import pytest

from tests.postoffice import PostOffice


@pytest.fixture
def world() -> Iterator[PostOffice]:
    """A next hop that takes everything and keeps it by mailbox."""
    office = PostOffice()
    office.open()
    yield office
    office.end()
