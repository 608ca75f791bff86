"""A link's key for the minutes of a visit, tickets, and requests to the relay."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from relay.clock import new_id
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.opener import Link, Opener
from relay.vault.requests import open_request, seal_request
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.vault import SealedDraft
from relay.vault.visits import open_visit_key, read_ticket, seal_visit_key, write_ticket

from .conftest import NOW


@pytest.fixture
def link(seal: Callable[..., SealedDraft], arrive: Callable[..., Link | None]) -> Link:
    """A reader's live link."""
    found = arrive(seal())
    assert found is not None
    return found


def test_cookie_and_row_together_open_the_conversation(link: Link, store: Store, opener: Opener) -> None:
    """During a visit the link itself is not needed: the cookie's secret and the visit's row are."""
    visit_id = new_id()
    secret, row = seal_visit_key(visit_id, link)
    key = open_visit_key(secret, visit_id, link.link_id, row)
    with store.read() as connection:
        again = opener.link_by_id(connection, link.link_id, NOW, key=key)
        assert again == link
        assert len(opener.open_messages(connection, link, NOW).messages) == 1
        assert opener.link_by_id(connection, link.link_id, NOW, key=bytes([key[0] ^ 8]) + key[1:]) is None


def test_cookie_of_another_visit_opens_nothing(link: Link) -> None:
    """Row and cookie belong together."""
    visit_id = new_id()
    secret, row = seal_visit_key(visit_id, link)
    for wrong in ((bytes(32), visit_id, link.link_id), (secret, new_id(), link.link_id), (secret, visit_id, new_id())):
        with pytest.raises(SealingError) as caught:
            open_visit_key(*wrong, row)
        assert caught.value.layer is Layer.VISIT


def test_ticket_is_for_one_visit_and_a_day(link: Link, key_folder: Path) -> None:
    """A ticket says whose draft it is, until it ends; another installation's is none."""
    portal = Keyring.open(key_folder, role="portal")
    ticket = write_ticket(portal, new_id(), link, NOW + timedelta(hours=24))
    assert read_ticket(portal, ticket, NOW).link_id == link.link_id
    for data, now in ((ticket, NOW + timedelta(hours=25)), (ticket[:-1] + b"x", NOW), (b"", NOW)):
        with pytest.raises(SealingError) as caught:
            read_ticket(portal, data, now)
        assert caught.value.layer is Layer.TICKET


def test_portal_writes_requests_that_only_the_relay_reads(keyring: Keyring, key_folder: Path) -> None:
    """What the portal asks is readable to the relay alone, and only as what it was asked."""
    portal = Keyring.open(key_folder, role="portal")
    entry_id = new_id()
    item = seal_request(portal, 1, entry_id, b"12345678")
    assert b"12345678" not in item
    assert open_request(keyring, 1, entry_id, item) == b"12345678"
    for kind, some_id, data in ((2, entry_id, item), (1, new_id(), item), (1, entry_id, item[:-1] + b"x")):
        with pytest.raises(SealingError) as caught:
            open_request(keyring, kind, some_id, data)
        assert caught.value.layer is Layer.QUEUE_ITEM
