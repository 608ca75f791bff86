"""A large message on its way in: read back verified, kept once, sent under another header section from where it lies."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select
from sqlalchemy.engine import Row

from relay.errors import StoreError, StoreFullError
from relay.memory import LARGE
from relay.queue.entries import spooled_content
from relay.queue.incoming import Incoming, Reheaded, reheaded
from relay.queue.items import BLOCK
from relay.queue.spooling import insert_message
from relay.store.tables import Blob, Spool
from relay.vault.sealing.errors import SealingError
from tests.unit.relay.queue.yard import Yard

HEAD = b"From: a@example.org\r\nBcc: c@example.net\r\nSubject: x\r\n\r\n"
LETTER = HEAD + b"0123456789\r\n" * 70_000


@pytest.fixture
def incoming(yard: Yard) -> Iterator[Incoming]:
    """One message that was received in pieces."""
    one = Incoming(yard.keyring, yard.blobs, yard.store, lambda: None)
    for start in range(0, len(LETTER), 100_000):
        one.write(LETTER[start : start + 100_000])
    one.finish()
    yield one
    one.drop()


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


def queued(yard: Yard, incoming: Incoming, content: bytes | Reheaded) -> bytes:
    """Queue the message and return what would be sent."""
    draft = yard.draft("eve@example.net", content=content, message_id=incoming.message_id)
    yard.store.run(lambda conn: insert_message(conn, draft))
    assert b"".join(draft.consignments[0].content.pieces()) == content_of(yard)
    assert draft.consignments[0].content.size == len(content_of(yard))
    assert not draft.consignments[0].content.pieces().at_hand()  # it lies on disk
    return content_of(yard)


def content_of(yard: Yard) -> bytes:
    with yard.store.read() as conn:
        row = conn.execute(select(Spool.__table__)).one()  # type: ignore[attr-defined]
    return b"".join(spooled_content(yard.keyring, yard.blobs, row).pieces())


@pytest.mark.parametrize("cached", [True, False])
def test_pieces_are_the_same_with_and_without_a_wait(
    yard: Yard, incoming: Incoming, monkeypatch: pytest.MonkeyPatch, *, cached: bool
) -> None:
    """Whether the system has a piece in memory or must read it from the disk, what is sent is what came."""
    if not cached:

        def nothing_there(*_: object) -> int:
            raise BlockingIOError

        monkeypatch.setattr(os, "preadv", nothing_there)
    leaving = reheaded(incoming, LETTER, LETTER, [("Received", "here")])
    draft = yard.draft("eve@example.net", content=leaving, message_id=incoming.message_id)
    yard.store.run(lambda conn: insert_message(conn, draft))
    pieces = draft.consignments[0].content.pieces()
    sent, waits = b"", 0
    while True:
        waits += not pieces.at_hand()
        if (piece := next(pieces, None)) is None:
            break
        sent += piece
    assert sent == b"Received: here\r\n" + LETTER
    assert cached or waits > 1


def test_it_is_read_back_as_it_came(incoming: Incoming) -> None:
    """Whole, or its beginning; in pieces that are no larger than what one reads at once."""
    assert (incoming.whole(), incoming.beginning(30), incoming.beginning(1 << 30)) == (LETTER, LETTER[:30], LETTER)
    assert incoming.size == len(LETTER)
    assert max(map(len, incoming.chunks())) <= BLOCK


def test_dropped_it_leaves_nothing(incoming: Incoming, tmp_path: Path) -> None:
    """No file, no row; and whoever goes on with it is told."""
    incoming.drop()
    assert files(tmp_path) == []
    with pytest.raises(StoreError, match="given up"):
        incoming.whole()


def test_a_full_disk_is_noticed_with_every_piece(yard: Yard) -> None:
    """The reserve holds while the message comes, not only before it."""
    rooms = iter([True, False])

    def ensure_room() -> None:
        if not next(rooms):
            raise StoreFullError("full")

    one = Incoming(yard.keyring, yard.blobs, yard.store, ensure_room)
    one.write(b"x")
    with pytest.raises(StoreFullError):
        one.write(b"y")
    one.drop()


def test_it_leaves_under_another_header_from_where_it_lies(yard: Yard, incoming: Incoming, tmp_path: Path) -> None:
    """The body is not written again; what is sent is what the changed message would have been."""
    changed = LETTER.replace(b"Bcc: c@example.net\r\n", b"")
    leaving = reheaded(incoming, LETTER, changed, [("Received", "here")])
    assert isinstance(leaving, Reheaded)
    assert (leaving.size, leaving.isascii()) == (len(b"Received: here\r\n" + changed), True)
    assert queued(yard, incoming, leaving) == b"Received: here\r\n" + changed
    queued_again = yard.draft("eve@example.net", content=leaving, message_id=incoming.message_id)  # planned anew
    assert queued_again.blob_length == incoming.stored_length
    assert len(files(tmp_path)) == 1
    incoming.drop()
    assert content_of(yard) == b"Received: here\r\n" + changed


def test_a_header_without_end_stays_with_its_body(yard: Yard, incoming: Incoming) -> None:
    """Where the header section is itself large, or the body is another, the message is written anew."""
    endless = b"X: " + b"y" * LARGE + b"\r\n\r\nbody"
    assert reheaded(incoming, endless, endless, []) == endless
    assert reheaded(incoming, LETTER, LETTER + b"more", []) == LETTER + b"more"
    assert reheaded(None, LETTER, LETTER, [("X", "y")]) == b"X: y\r\n" + LETTER
    assert queued(yard, incoming, LETTER) == LETTER


def test_a_changed_blob_or_head_is_never_sent(yard: Yard, incoming: Incoming, tmp_path: Path) -> None:
    """Both are bound to their message: one changed octet, or the head of another message, and nothing leaves."""
    leaving = reheaded(incoming, LETTER, LETTER, [])
    assert isinstance(leaving, Reheaded)
    queued(yard, incoming, leaving)
    [file] = files(tmp_path)
    octets = bytearray(file.read_bytes())
    octets[-20] ^= 1
    file.write_bytes(octets)
    with pytest.raises(SealingError):
        content_of(yard)
    with yard.store.read() as conn:
        row = conn.execute(select(Spool.__table__)).one()  # type: ignore[attr-defined]
        assert [one.state for one in conn.execute(select(Blob.__table__))] == ["stored"]  # type: ignore[attr-defined]
    moved = SimpleNamespace(**{**row._mapping, "message_id": bytes(16)})
    with pytest.raises(SealingError):
        spooled_content(yard.keyring, yard.blobs, cast("Row[Any]", moved))
