"""Mail for postmaster and abuse: passed on to a person, and of strangers only so much."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from relay.conversation.postmaster import MOST_MAILS, MOST_OCTETS, WINDOW, Postmaster
from relay.conversation.reception import Reception
from relay.plan import Arrival, Part
from relay.queue.own_mail import control_address
from relay.smtp.values import Reply
from relay.store.writer import Store
from tests.unit.relay.conversation.office import DOMAIN, NOW, STRANGER, Office

ROLE = f"postmaster@{DOMAIN}"


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """An office, once on each kind of database."""
    return Office.open(store, tmp_path)


def desk(office: Office) -> Postmaster:
    return Postmaster(office.spooler, office.routes, "help@example.org", "gw.example.org")


def arrival(office: Office, *, at: timedelta = timedelta(), octets: int = 100, trusted: bool = False) -> Arrival:
    content = b"From: a@example.net\r\nSubject: x\r\n\r\n".ljust(octets, b"x")
    came = office.arrival(content, ROLE, client=replace(STRANGER, trusted=trusted), reverse_path="a@example.net")
    return replace(came, at=NOW + at)


def test_strangers_fill_neither_queue_nor_mailbox(office: Office) -> None:
    """So many mails in an hour, then 451; large ones never; staff may write as always."""
    postmaster = desk(office)
    for _ in range(MOST_MAILS):
        assert isinstance(postmaster.take(arrival(office), arrival(office).envelope.recipients), Part)
    one_more = postmaster.take(came := arrival(office, at=WINDOW / 2), came.envelope.recipients)
    assert isinstance(one_more, Reply)
    assert (one_more.code, one_more.enhanced) == (451, "4.7.1")
    large = postmaster.take(came := arrival(office, octets=MOST_OCTETS + 1), came.envelope.recipients)
    assert isinstance(large, Reply)
    assert (large.code, large.enhanced) == (552, "5.3.4")
    own = arrival(office, octets=MOST_OCTETS + 1, trusted=True)
    assert isinstance(postmaster.take(own, own.envelope.recipients), Part)
    later = arrival(office, at=WINDOW)
    assert isinstance(postmaster.take(later, later.envelope.recipients), Part)


def test_what_strangers_make_up_is_not_looked_up(office: Office) -> None:
    """A mail full of addresses of our form costs nothing when a stranger brings it; of staff's, secrets go."""
    asked: list[object] = []
    reception = Reception(DOMAIN, {}, desk(office), real=asked.append)
    made_up = control_address(office.keyring, bytes(16)).write(DOMAIN)
    content = f"From: a@example.net\r\n\r\n{made_up}\r\n".encode()
    for trusted, lookups in ((False, 0), (True, 1)):
        client = replace(STRANGER, trusted=trusted)
        reception.sort(office.arrival(content, ROLE, client=client, reverse_path="a@example.net"))
        assert len(asked) == lookups
