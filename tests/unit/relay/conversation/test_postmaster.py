"""Mail for postmaster and abuse: passed on to a person, and of strangers only so much."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from relay.conversation.postmaster import MOST_MAILS, MOST_OCTETS, MOST_OF_ONE, WINDOW, Postmaster
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


def arrival(
    office: Office, *, at: timedelta = timedelta(), octets: int = 100, trusted: bool = False, ip: str = "192.0.2.25"
) -> Arrival:
    content = b"From: a@example.net\r\nSubject: x\r\n\r\n".ljust(octets, b"x")
    client = replace(STRANGER, ip=ip, trusted=trusted)
    return replace(office.arrival(content, ROLE, client=client, reverse_path="a@example.net"), at=NOW + at)


def test_strangers_fill_neither_queue_nor_mailbox(office: Office) -> None:
    """So many mails in an hour, then 451; large ones never; staff may write as always."""
    postmaster = desk(office)
    for number in range(MOST_MAILS):
        came = arrival(office, ip=f"198.51.{number}.7")
        assert isinstance(postmaster.take(came, came.envelope.recipients), Part)
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


def test_one_network_leaves_room_for_the_others(office: Office) -> None:
    """It gets a part of what strangers may send in an hour, whatever address of it sends; another is not refused."""
    postmaster = desk(office)

    def take(ip: str, at: timedelta = timedelta()) -> Part | Reply:
        return postmaster.take(came := arrival(office, ip=ip, at=at), came.envelope.recipients)

    assert all(isinstance(take(f"192.0.2.{number}"), Part) for number in range(MOST_OF_ONE))
    refused = take("192.0.2.200")
    assert isinstance(refused, Reply)
    assert refused.code == 451
    assert isinstance(take("192.0.3.1"), Part)
    assert isinstance(take("192.0.2.200", WINDOW), Part)


class Kept:
    """Takes the content of a draft and forgets the rest."""

    content = b""

    def draft(self, _envelope: object, _entries: object, content: bytes, **_facts: object) -> None:
        self.content = content


def test_what_a_stranger_says_in_our_name_is_not_passed_on(office: Office) -> None:
    """Authentication-Results that claim to be ours go, as from every mail; all else stays below our trace."""
    kept = Kept()
    postmaster = Postmaster(kept, office.routes, "help@example.org", "gw.example.org")  # type: ignore[arg-type]
    rest = b"Authentication-Results: mx.example.net; spf=fail\r\nSubject: x\r\n\r\ntext\r\n"
    came = office.arrival(b"Authentication-Results: gw.example.org; dkim=pass\r\n" + rest, ROLE)
    postmaster.take(came, came.envelope.recipients)
    assert kept.content.endswith(b"\r\n" + rest)
    assert b"dkim=pass" not in kept.content


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
