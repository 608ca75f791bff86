"""The portal's requests: carried out once, and only when everything about them is true."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Row, insert, select, update

from relay.clock import new_id
from relay.errors import StoreError
from relay.notices.compose import Notices
from relay.notices.letterhead import Letterhead
from relay.queue.code_mails import CodeMails
from relay.queue.delivery import Delivery
from relay.queue.errands import Deed, Errand, Errands
from relay.queue.requests import RequestKind, request_code
from relay.store.tables import AuditEvent, Key, Participant, PortalRequest
from relay.store.tables.queue import Kind
from relay.vault.keyring import Keyring
from relay.vault.participants import Participants, PickupLink
from relay.vault.requests import seal_request
from tests.unit.relay.queue.nexthop import NextHop, Taken
from tests.unit.relay.queue.yard import DAY, MINUTE, Yard, until

REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
KEY = Key.__table__  # type: ignore[attr-defined]
READER = Participant.__table__  # type: ignore[attr-defined]
AUDIT = AuditEvent.__table__  # type: ignore[attr-defined]


@dataclass
class Office:
    """A relay process with one reader's link, and the portal that asks it for codes."""

    yard: Yard
    portal: Keyring
    link: PickupLink

    def ask(self, **more: Any) -> bytes:
        values: dict[str, Any] = {
            "link_id": self.link.link_id,
            "participant_id": self.link.participant_id,
            "code": "12345678",
            "expires_at": self.yard.clock() + 10 * MINUTE,
            "language": "en",
            "now": self.yard.clock(),
        }
        return self.yard.store.run(lambda conn: request_code(conn, self.portal, **(values | more)))

    def errands(self, delivery: Delivery) -> Errands:
        yard = self.yard
        letterhead = Letterhead(
            organisation="Example Council",
            contact="Help desk, +44 20 7946 0000",
            domain="letter.example.org",
            base_url="https://letter.example.org",
            tags=("en", "nl"),
        )
        codes = CodeMails(
            yard.store, yard.keyring, Notices(letterhead), yard.spooler, delivery.routes, "letter.example.org"
        )
        return Errands(yard.store, yard.keyring, yard.audit, delivery, {RequestKind.CODE: codes}, b"o" * 16)

    def carry_out(self) -> list[Taken]:
        """Let the relay carry out what is there; return what arrived at the next hop."""

        async def work() -> list[Taken]:
            async with NextHop() as hop:
                worker = self.yard.delivery(self.yard.routes([hop]), poll_seconds=3600)
                await worker.start()
                await self.errands(worker).carry_out(self.yard.clock())
                await until(lambda: worker.holding == 0)
                await worker.stop()
                return hop.taken

        return asyncio.run(work())

    def change(self, table: Any, **values: Any) -> None:
        self.yard.store.run(lambda conn: conn.execute(update(table).values(**values)).rowcount)

    def waiting(self) -> int:
        with self.yard.store.read() as conn:
            return len(conn.execute(select(REQUEST.c.id)).all())

    def refusals(self) -> list[Row[Any]]:
        with self.yard.store.read() as conn:
            return list(conn.execute(select(AUDIT).where(AUDIT.c.event == "request refused")))


@pytest.fixture
def office(yard: Yard) -> Office:
    """An office on SQLite."""
    return opened(yard)


@pytest.fixture
def any_office(any_yard: Yard) -> Office:
    """An office, once on each kind of database."""
    return opened(any_yard)


def opened(yard: Yard) -> Office:
    people = Participants(yard.keyring, b"c" * 16, yard.clock(), yard.clock() + 30 * DAY)
    people.add_reader("ann@example.net")

    def write(conn: Connection) -> None:
        conn.execute(insert(READER), people.rows)
        conn.execute(insert(KEY), people.key_rows)

    yard.store.run(write)
    portal = Keyring.open(yard.keyring.folder, role="portal")
    return Office(yard, portal, people.links["ann@example.net"])


def test_a_code_is_mailed_to_the_stored_address(office: Office) -> None:
    """The code reaches the address that the link belongs to, by the entry that the code page asks after."""
    request_id = office.ask()
    (mail,) = office.carry_out()
    assert mail.commands == ("MAIL FROM:<> SIZE=" + str(len(mail.content)), "RCPT TO:<ann@example.net>")
    message = message_from_bytes(mail.content, policy=policy.default)
    assert "1234 5678" not in message["Subject"]
    assert "1234 5678" in message.get_body(("plain",)).get_content().splitlines()[0]  # type: ignore[union-attr]
    (entry,) = office.yard.entries()
    assert (entry.message_id, entry.kind, entry.participant_id) == (request_id, Kind.CODE, office.link.participant_id)
    assert (entry.state, office.waiting()) == ("done", 0)


def test_the_language_of_the_page_is_the_language_of_the_mail(office: Office) -> None:
    """A code asked for on a Dutch page comes in Dutch; an unknown language falls back to the first."""
    office.ask(language="nl")
    office.ask(language="tlh")
    contents = [message_from_bytes(mail.content)["Content-Language"] for mail in office.carry_out()]
    assert sorted(contents) == ["en", "nl"]


def test_a_request_is_carried_out_once(any_office: Office) -> None:
    """Two relay processes see the same request: one mail. On both databases."""
    office = any_office
    office.ask()

    async def work() -> None:
        async with NextHop() as hop:
            workers = [office.yard.delivery(office.yard.routes([hop]), worker=number) for number in range(2)]
            await asyncio.gather(*(worker.start() for worker in workers))
            both = [office.errands(worker) for worker in workers]
            await asyncio.gather(*(one.carry_out(office.yard.clock()) for one in both))
            await until(lambda: office.yard.states() == ["done"])
            await asyncio.gather(*(worker.stop() for worker in workers))
            assert len(hop.taken) == 1

    asyncio.run(work())
    assert office.refusals() == []


Harm = Callable[[Office], object]
HARMS: dict[str, Harm] = {
    "the reader's address was changed": lambda office: office.change(
        READER, address=office.yard.keyring.seal_address("eve@evil.test")
    ),
    "the reader's MAC was changed": lambda office: office.change(READER, mac=b"m" * 32),
    "the link was given to another reader": lambda office: office.change(KEY, participant_id=b"q" * 16),
    "the link's MAC was changed": lambda office: office.change(KEY, mac=b"m" * 32),
    "the link is gone": lambda office: office.change(KEY, id=b"k" * 16),
    "the link was revoked": lambda office: office.change(KEY, revoked_at=office.yard.clock()),
    "the link has expired": lambda office: office.change(KEY, expires_at=office.yard.clock()),
    "the request was not made by the portal": lambda office: office.change(REQUEST, item=b"i" * 200),
    "the request was moved to another id": lambda office: office.change(REQUEST, id=b"i" * 16),
    "the request is of an unknown kind": lambda office: office.change(REQUEST, kind=7),
    "the code has lapsed": lambda office: office.yard.clock.pass_(10 * MINUTE),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_a_request_that_is_not_true_is_dropped_and_audited(office: Office, harm: Harm) -> None:
    """Whoever changed a row, or a request that comes too late: no mail, the request is gone, the audit says why."""
    office.ask()
    harm(office)
    assert office.carry_out() == []
    assert (office.waiting(), office.yard.entries()) == (0, [])
    (line,) = office.refusals()
    assert "12345678" not in line.facts


def test_a_request_for_another_readers_link_is_refused(office: Office) -> None:
    """A request whose reader is not the link's reader is refused."""
    office.ask(participant_id=b"o" * 16)
    assert office.carry_out() == []
    assert len(office.refusals()) == 1


def test_a_request_that_was_put_back_is_refused(office: Office) -> None:
    """A row copied back into the table after it was carried out sends nothing more."""
    office.ask()
    with office.yard.store.read() as conn:
        row = dict(conn.execute(select(REQUEST)).one()._mapping)
    assert len(office.carry_out()) == 1
    office.yard.store.run(lambda conn: conn.execute(insert(REQUEST), row).rowcount)
    assert office.carry_out() == []
    assert len(office.refusals()) == 1


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"[1,2,3,4,5]", b"\xff", b'["","","12\\r\\n",1,"en"]'])
def test_a_payload_that_makes_no_sense_is_refused(office: Office, payload: bytes) -> None:
    """Even under the right keys only a well-formed request is carried out, and nothing is raised."""
    request_id = b"n" * 16
    item = seal_request(office.portal, RequestKind.CODE, request_id, payload)
    row = {"id": request_id, "kind": 1, "item": item, "created_at": office.yard.clock()}
    office.yard.store.run(lambda conn: conn.execute(insert(REQUEST), row).rowcount)
    assert office.carry_out() == []
    assert (office.waiting(), len(office.refusals())) == (0, 1)


def test_the_budget_comes_back(office: Office) -> None:
    """Requests carried out, refused, or lost to another process leave no reservation behind."""

    async def work() -> None:
        async with NextHop() as hop:
            worker = office.yard.delivery(office.yard.routes([hop]), budget=9000)
            await worker.start()
            for participant in (office.link.participant_id, b"o" * 16, office.link.participant_id):
                office.ask(participant_id=participant)
                await office.errands(worker).carry_out(office.yard.clock())
                await until(lambda: worker.holding == 0)
            reservation = worker.reserve(9000)
            assert reservation is not None
            await worker.stop()

    asyncio.run(work())


def test_a_request_that_cannot_be_carried_out_keeps_no_other_waiting(office: Office) -> None:
    """A file of one answer is gone from the disk: the next request has its turn, then this one again."""
    seen: list[bytes] = []

    class Clerk:
        def prepare(self, errand: Errand) -> Deed:
            seen.append(errand.id)
            if errand.id == ids[0]:
                raise StoreError("a stored part is not where it should be")
            return Deed()

        def give_up(self, _conn: Connection, _request_id: bytes) -> None:
            raise AssertionError("nothing is given up")

    ids = sorted(new_id() for _ in range(2))
    for day, request_id in enumerate(ids):
        item = seal_request(office.portal, RequestKind.LOST_LINK, request_id, json.dumps(["ab" * 16] * 2).encode())
        at = office.yard.clock() + day * MINUTE
        row = {"id": request_id, "kind": RequestKind.LOST_LINK.value, "item": item, "created_at": at}
        office.yard.store.run(lambda conn, row=row: conn.execute(insert(REQUEST), [row]) and None)  # type: ignore[misc]

    async def work() -> None:
        async with NextHop() as hop:
            worker = office.yard.delivery(office.yard.routes([hop]), poll_seconds=3600)
            yard = office.yard
            clerks: dict[RequestKind, Any] = {RequestKind.LOST_LINK: Clerk()}
            errands = Errands(yard.store, yard.keyring, yard.audit, worker, clerks, b"o" * 16)
            for _ in range(5):
                with suppress(StoreError):
                    await errands.carry_out(yard.clock())

    asyncio.run(work())
    assert seen == [ids[0], ids[1], ids[0]]


def test_a_request_whose_deed_fails_through_a_defect_fails_alone(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found only inside the commit: it is refused, those beside it are carried out, and the lane goes on after all."""
    monkeypatch.setattr("relay.queue.errands.AFTER_FAILURE", 0.01)
    asked = [office.ask() for _ in range(3)]
    done: set[bytes] = set()
    given_up: list[bytes] = []

    class Clerk:
        def prepare(self, errand: Errand) -> Deed:
            return Deed(write=partial(self.write, errand.id))

        def write(self, request_id: bytes, _conn: Connection) -> None:
            if request_id == asked[1]:
                raise AttributeError("as from a defect")
            done.add(request_id)

        def give_up(self, _conn: Connection, request_id: bytes) -> None:
            given_up.append(request_id)
            if len(given_up) == 1:
                raise AttributeError("as from another")

    async def work() -> None:
        yard = office.yard
        worker = yard.delivery(yard.routes([]), poll_seconds=3600)
        clerks: dict[RequestKind, Any] = dict.fromkeys(RequestKind, Clerk())
        lanes = asyncio.create_task(Errands(yard.store, yard.keyring, yard.audit, worker, clerks, b"o" * 16).run())
        await until(lambda: office.waiting() == 0)
        asked.append(office.ask())
        await until(lambda: office.waiting() == 0)
        lanes.cancel()
        with suppress(asyncio.CancelledError):
            await lanes

    asyncio.run(work())
    assert done == set(asked) - {asked[1]}
    assert given_up == [asked[1]] * 2
    assert len(office.refusals()) == 1
