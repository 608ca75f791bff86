"""Large mail: sealed to disk as it arrives, judged in turn, written once; what nobody keeps leaves nothing."""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import select

from relay.memory import LARGE
from relay.smtp.access import Access
from relay.smtp.door import Door
from relay.smtp.listener import Listener
from relay.store.tables import Blob
from relay.vault.blobs import FileBlobs
from tests.unit.relay.intake.house import SEALED, SPOOL, House

BLOB = Blob.__table__  # type: ignore[attr-defined]
BODY = b"".join(b"%06d all work and no play makes a long letter\r\n" % line for line in range(16_000))
LETTER = (
    b"From: Ann <ann@example.org>\r\nTo: eve@elsewhere.example\r\nBcc: mole@elsewhere.example\r\n"
    b"Subject: A long letter\r\nMessage-ID: <long@example.org>\r\n\r\n" + BODY
)
assert len(LETTER) > 2 * LARGE


@dataclass(frozen=True)
class Mail:
    """What one client sends: to whom, what, and whether it stays to the end."""

    to: str = "eve@elsewhere.example"
    content: bytes = LETTER
    bdat: bool = False
    stays: bool = True


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Where large mail lies, and how long it waits, has nothing to do with the kind of database."""
    return sqlite_url


async def send(port: int, mail: Mail) -> str:
    """Send one mail; return the answer to its data, empty where the client left before."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"EHLO desk.example\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<%s>\r\n" % mail.to.encode())
    while not (await reader.readline()).startswith(b"250 2.1.5"):
        pass
    if mail.bdat:
        half = len(mail.content) // 2
        for octets, last in ((mail.content[:half], b""), (mail.content[half:], b" LAST")):
            writer.write(b"BDAT %d%s\r\n" % (len(octets), last) + octets)
        await writer.drain()
        await reader.readline()
    else:
        writer.write(b"DATA\r\n")
        await reader.readline()
        writer.write(mail.content.replace(b"\r\n.", b"\r\n..") + (b".\r\n" if mail.stays else b""))
        await writer.drain()
    answer = ""
    if mail.stays:
        answer = (await reader.readline()).decode()
        writer.write(b"NOOP\r\n")
        assert (await reader.readline()).startswith(b"250 2.0.0")  # the session goes on, whatever was said
    writer.close()
    return answer


def receive(house: House, mails: Sequence[Mail], *, before: Callable[[Door], None] = lambda _door: None) -> list[str]:
    """Let clients send at the same time, over sockets; return what each was told. Nothing is delivered."""

    async def all_of_them() -> list[str]:
        await house.gateway.delivery.stop(0)
        door = replace(house.gateway.doors["submission"], access=Access((ip_network("127.0.0.0/8"),)))
        before(door)
        left, held = door.occupancy.memory.left, house.gateway.judging.held
        listener = Listener(door, "127.0.0.1", 0)
        await listener.start()
        try:
            return await asyncio.gather(*(send(listener.port, mail) for mail in mails))
        finally:
            await listener.stop(5)
            assert door.occupancy.memory.left == left
            assert house.gateway.judging.held == held
            await asyncio.to_thread(house.gateway.disk_threads.shutdown)

    return asyncio.run(all_of_them())


def files(house: House) -> int:
    """How many blobs and drafts have a file."""
    return sum(path.is_file() for path in house.gateway.configuration.storage.blobs.glob("??/*"))


@pytest.mark.parametrize("bdat", [False, True], ids=["DATA", "BDAT"])
def test_it_is_written_once_and_leaves_as_it_came(house: House, bdat: bool) -> None:
    """The blob holds what was received; the row holds the header section that leaves, without Bcc, and nothing more."""
    assert receive(house, [Mail(bdat=bdat)])[0].startswith("250 2.0.0 Ok: queued as ")
    [posted] = house.posted()
    head, _, body = posted.content.partition(b"\r\n\r\n")
    assert body == BODY
    assert head.startswith((b"Received: from desk.example", b"DKIM-Signature"))
    assert head.endswith(b"\r\nSubject: A long letter\r\nMessage-ID: <long@example.org>")
    assert b"Bcc" not in head
    assert files(house) == 1
    with house.gateway.store.read() as conn:
        row = conn.execute(select(SPOOL)).one()
        assert [blob.state for blob in conn.execute(select(BLOB))] == ["stored"]
    assert row.blob_id is not None
    assert len(row.content) < 2000


def test_what_is_refused_leaves_nothing(house: House) -> None:
    """No file, no row of the journal, for a recipient who is refused and for content that is."""
    mails = [Mail(to="all@never.example"), Mail(content=LETTER + b"bare\rcr\r\n"), Mail(content=LETTER + b"nul\0\r\n")]
    assert [answer[:9] for answer in receive(house, mails)] == ["550 5.7.1", "550 5.5.2", "550 5.5.2"]
    assert (files(house), house.count(BLOB), house.count(SPOOL)) == (0, 0, 0)


def test_what_a_client_abandons_leaves_nothing(house: House) -> None:
    """It went to disk without a name, and is gone with its client."""
    assert receive(house, [Mail(stays=False)] * 3) == [""] * 3
    assert (files(house), house.count(BLOB)) == (0, 0)


def test_what_is_sealed_is_not_kept_as_it_came(house: House) -> None:
    """Its parts are written under the message's own key; what was received goes."""
    flagged = LETTER.replace(b"000007 all", b"000007 asthma")
    assert receive(house, [Mail(content=flagged)])[0].startswith("250 ")
    assert (house.count(SEALED), {row.kind for row in house.posted()} & {"mail"}) == (1, set())
    with house.gateway.store.read() as conn:
        blobs = [blob.state for blob in conn.execute(select(BLOB))]
    assert blobs == ["stored"] * files(house)


def test_many_at_once_wait_their_turn(house: House) -> None:
    """However many come, no more is held than there is room for judging; all are accepted in the end."""
    room = house.gateway.judging
    room.size = 4 * len(LETTER)  # one message and a third: the second waits
    mails = [
        Mail(content=LETTER.replace(b"<long@", b"<long-%d@" % number), to=f"r{number}@elsewhere.example")
        for number in range(8)
    ]
    assert {answer[:3] for answer in receive(house, mails)} == {"250"}
    assert 0 < room.most <= room.size
    assert sorted(one.content.partition(b"\r\n\r\n")[2] == BODY for one in house.posted()) == [True] * 8


def test_without_memory_small_mail_goes_to_disk_too(house: House) -> None:
    """Reception has no octet left: what would be held goes to disk, and is accepted."""

    def fill(door: Door) -> None:
        assert door.occupancy.memory.take(door.occupancy.memory.left)

    small = LETTER[: LETTER.index(b"000100")]
    assert receive(house, [Mail(content=small)], before=fill)[0].startswith("250 ")
    assert house.posted()[0].content.endswith(b"makes a long letter\r\n")


def test_what_a_low_limit_sends_to_a_file_holds_up_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small plain mail is prepared on the event loop, but never where its preparation has to wait for a disk."""
    begun, threads = FileBlobs.write, set()

    def write(self: FileBlobs, *given: Any) -> int:
        threads.add(threading.current_thread().name.partition("_")[0])
        return begun(self, *given)

    monkeypatch.setattr(FileBlobs, "write", write)
    above_the_limit = LETTER[: LETTER.index(b"000200")]
    assert receive(house, [Mail(content=above_the_limit)])[0].startswith("250 ")
    assert threads == {"judge"}


def test_who_waits_too_long_is_asked_to_come_again(house: House) -> None:
    """The client hears 452 before it would give up by itself, and nothing is left of its message."""
    room = house.gateway.judging
    room.held, room.patience = room.size, 0
    assert receive(house, [Mail()])[0].startswith("452 4.3.1 ")
    assert (files(house), house.count(BLOB)) == (0, 0)


@pytest.mark.parametrize(("error", "answer"), [(errno.ENOSPC, "452 4.3.1 "), (errno.EIO, "451 4.3.0 ")])
def test_a_disk_that_fails_is_told_after_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch, error: int, answer: str
) -> None:
    """The client sends all of it first, and what it sends next is a command again."""

    def fails(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "pwrite", fails)
    assert receive(house, [Mail()])[0].startswith(answer)
    assert (files(house), house.count(BLOB)) == (0, 0)
