import asyncio
from datetime import timedelta
from email import message_from_bytes

import pytest
from sqlalchemy import Connection, insert, select

from relay.message.secret_address import AddressKind, SecretAddress, read_secret_address
from relay.queue.backoff import JITTER
from relay.queue.items import QueuedEnvelope
from relay.queue.outcomes import Answer, Delivered
from relay.queue.own_mail import about, own_message_id
from relay.queue.recording import record, unreached
from relay.queue.return_path import ReturnPaths
from relay.queue.settling import settle
from relay.queue.spooling import Lease, Spooler
from relay.store.tables import Participant
from relay.store.tables.queue import Direction, Kind
from relay.store.tables.sealed import ReaderState
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import LADDER, LETTER, START, Yard, until

DOMAIN = "letter.example.org"
READER = b"r" * 16
_READER = Participant.__table__  # type: ignore[attr-defined]


@pytest.fixture
def returns(yard: Yard) -> ReturnPaths:
    """Return paths of a yard whose spooler writes them."""
    paths = ReturnPaths(yard.keyring, DOMAIN)
    yard.spooler = Spooler(
        yard.store, yard.keyring, yard.blobs, inline_limit=4096, signer=yard.spooler._signer, returns=paths
    )
    return paths


def add_reader(yard: Yard, state: ReaderState = ReaderState.NOTIFIED) -> None:
    row = {
        "id": READER,
        "conversation_id": b"c" * 16,
        "role": 2,
        "flags": 0,
        "address": b"",
        "address_hash": b"",
        "mac": b"",
        "mac_version": 1,
        "state": state.value,
        "notified_at": None,
    }
    yard.store.run(lambda conn: conn.execute(insert(_READER).values(**row)) and None)


def reader(yard: Yard) -> tuple[str, bool]:
    """The reader's state, and whether a mail to them came back."""
    with yard.store.read() as conn:
        row = conn.execute(select(_READER)).one()
    return row.state, row.bounced_at is not None


def test_our_own_mail_leaves_with_its_bounce_address(yard: Yard, returns: ReturnPaths) -> None:
    """MAIL FROM of a notice names the queued message, and nobody else can have written it."""
    draft = yard.queue("ann@example.net", envelope=QueuedEnvelope(""), kind=Kind.NOTICE)

    async def work() -> str:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            return hop.taken[0].commands[0]

    command = asyncio.run(work())
    path = command.partition("<")[2].partition(">")[0]
    assert returns.read(path) == draft.message_id
    assert len(path.partition("@")[0]) <= 64


def test_a_greylist_that_knows_the_notice_knows_the_code(yard: Yard, returns: ReturnPaths) -> None:
    """All mail to one reader has one reverse-path: client, reverse-path and recipient are no news to a greylist."""
    for kind in (Kind.NOTICE, Kind.CODE, Kind.REMINDER):
        yard.queue("ann@example.net", envelope=QueuedEnvelope(""), kind=kind, participant_id=READER)
    yard.queue("ann@example.net", envelope=QueuedEnvelope(""), kind=Kind.NOTICE, participant_id=b"o" * 16)

    async def work() -> list[str]:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"] * 4)
            await worker.stop()
            return sorted(mail.commands[0].partition("<")[2].partition(">")[0] for mail in hop.taken)

    assert asyncio.run(work()) == sorted([returns.of(READER)] * 3 + [returns.of(b"o" * 16)])


@pytest.mark.parametrize(
    ("kind", "direction", "reverse_path"),
    [
        (Kind.DSN, Direction.NOTICE, ""),
        (Kind.MAIL, Direction.OUT, ""),
        (Kind.MAIL, Direction.OUT, "bob@example.org"),
        (Kind.REPLY, Direction.REPLY, "bob@example.org"),
    ],
    ids=["report", "relayed, null sender", "relayed", "named by its writer"],
)
def test_a_reverse_path_of_somebody_else_stays(
    yard: Yard, returns: ReturnPaths, kind: Kind, direction: Direction, reverse_path: str
) -> None:
    """Reports keep the null reverse-path (RFC 3461 section 6.1), relayed mail the one it came with."""
    assert returns.domain == DOMAIN
    draft = yard.draft("ann@example.net", envelope=QueuedEnvelope(reverse_path), kind=kind, direction=direction)
    assert draft.consignments[0].envelope.reverse_path == reverse_path


def test_a_bounce_address_is_proved_by_its_tag(returns: ReturnPaths) -> None:
    """Another message, another secret, another kind and another domain are all refused; another case is not."""
    path = returns.of(b"m" * 16)
    right = read_secret_address(path, DOMAIN)
    assert right is not None
    assert returns.genuine(right)
    assert returns.read(path.upper()) == b"m" * 16
    assert not returns.genuine(SecretAddress(AddressKind.BOUNCE, b"n" * 16, right.secret))
    assert not returns.genuine(SecretAddress(AddressKind.BOUNCE, right.id, bytes(20)))
    assert not returns.genuine(SecretAddress(AddressKind.CONTROL, right.id, right.secret))
    assert returns.read(path.replace(DOMAIN, "example.org")) is None
    assert returns.read("bob@example.org") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ReaderState.WAITING, ReaderState.UNDELIVERABLE),
        (ReaderState.NOTIFIED, ReaderState.UNDELIVERABLE),
        (ReaderState.LINK_OPENED, ReaderState.LINK_OPENED),
        (ReaderState.READ, ReaderState.READ),
        (ReaderState.REMOVED, ReaderState.REMOVED),
    ],
)
def test_who_was_there_already_does_not_become_unreachable(yard: Yard, before: ReaderState, after: ReaderState) -> None:
    """A mail that fails says nothing against a reader who has opened the link; that it failed is kept all the same."""
    add_reader(yard, before)
    yard.store.run(lambda conn: unreached(conn, Kind.NOTICE, READER, START))
    assert reader(yard) == (after.value, True)


def test_the_sender_is_told_of_each_notice_and_of_one_code(yard: Yard) -> None:
    """Ten codes that fail are one story; two notices that fail are about two messages."""
    add_reader(yard)

    def work(conn: Connection) -> list[bool]:
        return [unreached(conn, kind, READER, START) for kind in (Kind.CODE, Kind.CODE, Kind.NOTICE, Kind.REMINDER)]

    assert yard.store.run(work) == [True, False, True, False]


def test_a_reader_for_whom_no_code_arrives_costs_the_sender_one_mail(yard: Yard) -> None:
    """Codes that the next hop refuses are reported once, not each time that the reader asks for another."""
    add_reader(yard, ReaderState.LINK_OPENED)
    for _ in range(3):
        yard.queue(
            "ann@example.net",
            envelope=QueuedEnvelope("", report_to="bob@example.org", until=START + timedelta(minutes=10)),
            kind=Kind.CODE,
            participant_id=READER,
        )

    async def work() -> list[bytes]:
        async with NextHop({"RCPT": "550 5.1.1 no"}) as hop, NextHop() as inside:
            worker = yard.delivery(yard.routes([hop], [inside]))
            await worker.start()
            await until(lambda: yard.states() == ["bounced"] * 3 + ["done"])
            await worker.stop()
            return [mail.content for mail in inside.taken]

    (report,) = asyncio.run(work())
    assert b"the code for it could not be delivered" in report


def test_a_notice_that_arrives_later_makes_up_for_one_that_did_not(yard: Yard) -> None:
    """After a new link reached the reader, nothing says "undeliverable" any more."""
    add_reader(yard)
    yard.store.run(lambda conn: unreached(conn, Kind.NOTICE, READER, START))
    yard.queue("ann@example.net", envelope=QueuedEnvelope(""), kind=Kind.NOTICE, participant_id=READER)

    async def work() -> None:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.states() == ["done"])
            await worker.stop()

    asyncio.run(work())
    assert reader(yard) == ("notified", False)


def test_a_report_stands_in_the_thread_of_the_receipt(yard: Yard) -> None:
    """What a notice speaks of is found by its parent, the receipt by its kind, its Message-ID by its queued id."""
    original = yard.queue("ben@example.org", direction=Direction.OUT).message_id
    receipt = yard.queue("bob@example.org", kind=Kind.RECEIPT, parent=original).message_id
    notice = yard.queue("ann@example.net", kind=Kind.NOTICE, parent=original, content=LETTER).message_id
    with yard.store.read() as conn:
        found = about(conn, notice, None)
    assert found is not None
    assert (found.message_id, found.accepted_at) == (original, START)
    fields = "".join(f"{name}: {value}\r\n" for name, value in found.thread(DOMAIN))
    assert message_from_bytes(fields.encode())["In-Reply-To"] == own_message_id(receipt, DOMAIN)


def test_what_was_drafted_without_a_lease_is_not_sent_twice(yard: Yard) -> None:
    """Offered by mistake, it is left to whoever claims it from the queue."""

    async def work() -> int:
        async with NextHop() as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            reservation = worker.reserve(1000)
            assert reservation is not None
            draft = yard.queue("ann@example.net")
            worker.offer(reservation, [draft])
            await until(lambda: yard.states() == ["done"])
            await worker.stop()
            return len(hop.taken)

    assert asyncio.run(work()) == 1


def test_several_notices_that_arrive_at_once_are_recorded(yard: Yard) -> None:
    """Outcomes are written in groups: two notices handed over in one of them mark their readers."""
    add_reader(yard, ReaderState.WAITING)
    settled = []
    for address in ("ann@example.net", "bob@example.net"):
        draft = yard.queue(
            address,
            envelope=QueuedEnvelope(""),
            kind=Kind.NOTICE,
            participant_id=READER,
            lease=Lease(b"worker", START + timedelta(minutes=10)),
        )
        (consignment,) = draft.consignments
        outcome = Delivered(Answer(250, "2.0.0", "ok"))
        settled.append(
            settle(consignment, consignment.entries[0], outcome, ladder=LADDER, now=START, spread=1 - JITTER)
        )
    yard.store.run(lambda conn: record(conn, yard.keyring, yard.audit, settled))
    assert yard.states() == ["done", "done"]
    assert reader(yard) == ("notified", False)
