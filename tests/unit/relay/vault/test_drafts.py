"""Unfinished answers: kept, found again, added to without being opened, handed over once, read by the relay alone."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, update

from relay.clock import new_id
from relay.errors import NotFoundError, StoreError, StoreFullError
from relay.store.tables import Blob, Sealed, Stanza
from relay.store.tables import Part as PartTable
from relay.store.tables.sealed import BlobState, ReaderState
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.capability import by_visit
from relay.vault.drafts import Draft, DraftLimits, Drafts, Limit, LinkClosedError, Pen, TooLargeError
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.opener import Link, Opener
from relay.vault.recovery import create_recovery
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sweeping import purge
from relay.vault.unfinished import DraftContent, consume, give_back, read_draft
from relay.vault.vault import SealedDraft
from relay.vault.visits import read_ticket, write_ticket

from .conftest import EXPIRES, NOW

Seal = Callable[..., SealedDraft]
Arrive = Callable[..., Link | None]

SEALED = Sealed.__table__  # type: ignore[attr-defined]
STANZA = Stanza.__table__  # type: ignore[attr-defined]
PART = PartTable.__table__  # type: ignore[attr-defined]
BLOB = Blob.__table__  # type: ignore[attr-defined]
MINUTE = timedelta(minutes=1)
LIMITS = DraftLimits(octets=400_000, files=3, characters=1000)


@pytest.fixture
def drafts(key_folder: Path, opener: Opener, blobs: FileBlobs, store: Store) -> Drafts:
    """The portal's side, with the portal's keys and small limits."""
    keyring = Keyring.open(key_folder, role="portal")
    return Drafts(keyring, opener, blobs, store, inline_limit=64 << 10, limits=LIMITS)


@pytest.fixture
def link(seal: Seal, arrive: Arrive) -> Link:
    """Jane's live link."""
    found = arrive(seal(readers=("jane@example.net", "joe@example.net")))
    assert found is not None
    return found


@pytest.fixture
def pen(link: Link) -> Pen:
    """What Jane writes with during a visit."""
    found = Pen.of(link)
    assert found is not None
    return found


@pytest.fixture
def ticket_pen(key_folder: Path, drafts: Drafts, store: Store, link: Link) -> Pen:
    """What Jane writes with after her visit."""
    portal = Keyring.open(key_folder, role="portal")
    ticket = read_ticket(portal, write_ticket(portal, new_id(), link, NOW + timedelta(hours=24)), NOW)
    with store.read() as conn:
        found = drafts.pen(conn, ticket, NOW)
    assert found is not None
    assert found.link is None
    return found


@pytest.fixture
def written(drafts: Drafts, store: Store, link: Link) -> Callable[..., Draft]:
    """Open what Jane is writing."""

    def do(at: object = NOW) -> Draft:
        with store.read() as conn:
            return drafts.open(conn, link, at)  # type: ignore[arg-type]

    return do


def count(store: Store, table: object) -> int:
    with store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def files_on_disk(folder: Path) -> int:
    return sum(file.is_file() for file in (folder / "blobs").rglob("*"))


def content(store: Store, blobs: FileBlobs, link: Link, keys: object, answer_id: bytes) -> DraftContent:
    with store.read() as conn:
        return read_draft(
            conn,
            blobs,
            keys,  # type: ignore[arg-type]
            conversation_id=link.conversation_id,
            author_id=link.participant_id,
            answer_id=answer_id,
        )


def test_text_and_files_are_found_again(drafts: Drafts, pen: Pen, written: Callable[..., Draft]) -> None:
    """What was saved is there at the next visit, as it was typed and named."""
    assert not written()
    drafts.save_text(pen, "Dear Anna,\r\n\r\nI will come.\x00\n", NOW)
    small = drafts.add_file(pen, "Größe\u2028.txt", "Text/Plain", [b"abc"], NOW)
    large = drafts.add_file(pen, "scan.pdf", "application/pdf; x=y", [b"x" * 70_000] * 3, NOW + MINUTE)
    draft = written(NOW + MINUTE)
    assert draft.text == "Dear Anna,\n\nI will come.\n"
    assert draft.files == (small, large)
    assert [(one.name, one.type, one.size) for one in draft.files] == [
        ("Größe.txt", "text/plain", 3),
        ("scan.pdf", "application/octet-stream", 210_000),
    ]
    assert draft.saved_at == NOW + MINUTE
    assert draft.octets == 210_003
    assert draft.damaged == 0


def test_saving_again_replaces_what_the_form_was_shown(
    drafts: Drafts, pen: Pen, written: Callable[..., Draft], store: Store
) -> None:
    """The same window saves over its own text; nothing of the older one stays in the store."""
    drafts.save_text(pen, "first", NOW)
    rows = count(store, PART)
    drafts.save_text(pen, "second", NOW, replaces=written().text_ids)
    assert written().text == "second"
    assert count(store, PART) == rows
    assert drafts.save_text(pen, " \r\n", NOW, replaces=written().text_ids) is None
    assert not written()


def test_two_windows_lose_nothing(drafts: Drafts, pen: Pen, ticket_pen: Pen, written: Callable[..., Draft]) -> None:
    """Texts that know nothing of each other stand one under the other; an earlier state of one does not stand twice."""
    drafts.save_text(pen, "I will", NOW)
    drafts.save_text(ticket_pen, "Something else", NOW + MINUTE)
    drafts.save_text(ticket_pen, "I will come.", NOW + 2 * MINUTE)
    draft = written(NOW + 2 * MINUTE)
    assert draft.text == "Something else\n\nI will come."
    assert len(draft.text_ids) == 3
    drafts.save_text(pen, "One text", NOW + 3 * MINUTE, replaces=draft.text_ids)
    assert written(NOW + 3 * MINUTE).text == "One text"


def test_after_the_visit_a_ticket_adds_and_removes(
    drafts: Drafts, ticket_pen: Pen, pen: Pen, written: Callable[..., Draft], store: Store
) -> None:
    """A form that was sent too late keeps its text and its files for the next visit, and can replace what it showed."""
    drafts.save_text(pen, "before", NOW)
    drafts.save_text(ticket_pen, "after", NOW, replaces=written().text_ids)
    file = drafts.add_file(ticket_pen, "a.txt", "text/plain", [b"a"], NOW)
    assert (written().text, written().files) == ("after", (file,))
    assert store.run(lambda conn: drafts.remove_file(conn, ticket_pen, file.id, NOW))
    assert written().files == ()


def test_ticket_of_a_link_that_was_closed_writes_nothing(
    drafts: Drafts, ticket_pen: Pen, pen: Pen, store: Store, key_folder: Path
) -> None:
    """Revoked, expired, recalled, removed, or with another public key: no pen, and a pen from before is of no use."""
    portal = Keyring.open(key_folder, role="portal")
    assert pen.link is not None
    ticket = read_ticket(portal, write_ticket(portal, new_id(), pen.link, NOW + timedelta(days=60)), NOW)
    of_key, of_person = KEY.c.id == pen.link_id, PARTICIPANT.c.id == pen.participant_id
    for change, undo in (
        (update(KEY).where(of_key).values(revoked_at=NOW), update(KEY).where(of_key).values(revoked_at=None)),
        (update(KEY).where(of_key).values(expires_at=NOW), update(KEY).where(of_key).values(expires_at=EXPIRES)),
        (update(KEY).where(of_key).values(pk=bytes(32)), update(KEY).where(of_key).values(pk=pen.public)),
        (
            update(PARTICIPANT).where(of_person).values(recalled_at=NOW),
            update(PARTICIPANT).where(of_person).values(recalled_at=None),
        ),
        (
            update(PARTICIPANT).where(of_person).values(state=ReaderState.REMOVED.value),
            update(PARTICIPANT).where(of_person).values(state=ReaderState.READ.value),
        ),
    ):
        before = count(store, SEALED)
        store.run(lambda conn, change=change: conn.execute(change) and None)  # type: ignore[misc]
        with store.read() as conn:
            assert drafts.pen(conn, ticket, NOW) is None
        with pytest.raises(LinkClosedError):
            drafts.save_text(ticket_pen, "too late", NOW)
        with pytest.raises(LinkClosedError):
            drafts.add_file(ticket_pen, "late", "", [b"x" * 100_000], NOW)
        assert count(store, SEALED) == before
        store.run(lambda conn, undo=undo: conn.execute(undo) and None)  # type: ignore[misc]
    with store.read() as conn:
        assert drafts.pen(conn, ticket, NOW) is not None


def test_nobody_else_opens_or_changes_it(
    *, drafts: Drafts, pen: Pen, seal: Seal, arrive: Arrive, store: Store, written: Callable[..., Draft]
) -> None:
    """Another reader of the conversation, or another conversation, neither sees it nor removes any of it."""
    draft = seal(readers=("jane@example.net", "joe@example.net"))
    jane, joe = arrive(draft, "jane@example.net"), arrive(draft, "joe@example.net")
    assert jane is not None
    assert joe is not None
    jane_pen, joe_pen = Pen.of(jane), Pen.of(joe)
    assert jane_pen is not None
    assert joe_pen is not None
    drafts.save_text(jane_pen, "private", NOW)
    file = drafts.add_file(jane_pen, "private.txt", "text/plain", [b"x"], NOW)
    for stranger, other_pen in ((joe, joe_pen), (pen.link, pen)):
        with store.read() as conn:
            assert stranger is not None
            assert not drafts.open(conn, stranger, NOW)
        assert not store.run(lambda conn, other=other_pen: drafts.remove_file(conn, other, file.id, NOW))  # type: ignore[misc]
        assert store.run(lambda conn, other=other_pen: drafts.discard(conn, other, NOW)) == 0  # type: ignore[misc]
        drafts.save_text(other_pen, "", NOW, replaces=(file.id,))
    with store.read() as conn:
        assert len(drafts.open(conn, jane, NOW).keys) == 2
    assert not written()


def test_draft_is_no_message(
    *, drafts: Drafts, pen: Pen, link: Link, opener: Opener, store: Store, written: Callable[..., Draft]
) -> None:
    """The conversation never shows a draft, not even when somebody changes the state of its row; nor the reverse."""
    drafts.save_text(pen, "not sent", NOW)
    with store.read() as conn:
        assert len(opener.open_messages(conn, link, NOW).messages) == 1
    store.run(lambda conn: conn.execute(update(SEALED).where(SEALED.c.state == "draft").values(state="live")) and None)
    with store.read() as conn:
        opened = opener.open_messages(conn, link, NOW)
        assert len(opened.messages) == 1
        assert [one.layer for one in opened.refused] == [Layer.AUTHOR_KIND]
    store.run(lambda conn: conn.execute(update(SEALED).values(state="draft")) and None)
    draft = written()
    assert (draft.text, draft.damaged) == ("not sent", 1)


def test_draft_has_one_stanza_and_none_for_recovery(
    drafts: Drafts, key_folder: Path, seal: Seal, arrive: Arrive, store: Store
) -> None:
    """What was not sent is sealed to the reader's own link and to nobody else, the organisation included."""
    create_recovery(key_folder, key_folder.parent / "recovery.private")
    link = arrive(seal())
    assert link is not None
    pen = Pen.of(link)
    assert pen is not None
    piece = drafts.save_text(pen, "mine", NOW)
    with store.read() as conn:
        keys = conn.execute(select(STANZA.c.key_id).where(STANZA.c.message_id == piece)).scalars().all()
    assert list(keys) == [link.link_id]


def test_nothing_typed_or_named_is_readable_on_disk(drafts: Drafts, pen: Pen, store: Store, tmp_path: Path) -> None:
    """Text, file name and content of a draft are in no file, blob or database page."""
    drafts.save_text(pen, "canary-of-the-text", NOW)
    drafts.add_file(pen, "canary-of-the-name", "text/plain", [b"canary-of-the-octets " * 5000], NOW)
    store.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            octets = file.read_bytes()
            assert b"canary-of" not in octets, file
            assert "canary-of".encode("utf-16-le") not in octets, file


@pytest.mark.parametrize("size", [0, 1, 1024, 65_535, 65_536, 65_537, 300_000])
def test_sizes_are_exact(
    *, drafts: Drafts, pen: Pen, written: Callable[..., Draft], store: Store, blobs: FileBlobs, link: Link, size: int
) -> None:
    """A file of any size comes out as it went in, whether it lies in a row or in the blob store."""
    data = bytes(range(256)) * (size // 256 + 1)
    pieces = [data[:size][start : start + 10_007] for start in range(0, size, 10_007)]
    assert drafts.add_file(pen, "f", "x/y", pieces, NOW).size == size
    answer_id = new_id()
    keys = store.run(lambda conn: drafts.hand_over(conn, pen, written(), answer_id))
    (file,) = content(store, blobs, link, keys, answer_id).files
    assert b"".join(file.read()) == data[:size]


def test_limits_hold_and_leave_nothing_behind(
    drafts: Drafts, pen: Pen, store: Store, tmp_path: Path, written: Callable[..., Draft]
) -> None:
    """Too long a text, too large a file (seen while it comes), one file too many: the limit is named, nothing stays."""
    with pytest.raises(TooLargeError) as caught:
        drafts.save_text(pen, "x" * 1001, NOW)
    assert (caught.value.limit, caught.value.allowed) == (Limit.TEXT, 1000)
    drafts.save_text(pen, "x" * 1000, NOW)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 50_000
            yield b"x" * 50_000

    with pytest.raises(TooLargeError) as caught:
        drafts.add_file(pen, "endless", "", endless(), NOW)
    assert (caught.value.limit, caught.value.allowed) == (Limit.OCTETS, 400_000)
    assert taken == 450_000  # not a piece more was taken than it needed to see that
    assert files_on_disk(tmp_path) == 0
    with store.read() as conn:
        assert set(conn.execute(select(BLOB.c.state)).scalars()) == {BlobState.DOOMED.value}
    for number in range(3):
        drafts.add_file(pen, str(number), "", [b"x" * 100_000], NOW)
    with pytest.raises(TooLargeError) as caught:
        drafts.add_file(pen, "fourth", "", [b"x"], NOW)
    assert (caught.value.limit, caught.value.allowed) == (Limit.FILES, 3)
    assert len(written().files) == 3


def test_files_that_come_together_stay_within_the_limit(
    drafts: Drafts, pen: Pen, written: Callable[..., Draft], tmp_path: Path
) -> None:
    """Two uploads, each of which fits alone: the second to end is refused."""

    def meanwhile() -> Iterator[bytes]:
        yield b"x" * 200_000
        drafts.add_file(pen, "faster", "", [b"y" * 300_000], NOW)

    with pytest.raises(TooLargeError):
        drafts.add_file(pen, "slower", "", meanwhile(), NOW)
    assert [file.name for file in written().files] == ["faster"]
    assert files_on_disk(tmp_path) == 2  # the one that is doomed goes with the next sweep


def test_with_a_ticket_every_piece_counts_as_a_file(drafts: Drafts, ticket_pen: Pen) -> None:
    """Nothing can be opened, so nobody can fill the store with a ticket; texts have a bound of their own."""
    for _ in range(3):
        drafts.save_text(ticket_pen, "text", NOW)
    with pytest.raises(TooLargeError) as caught:
        drafts.add_file(ticket_pen, "file", "", [b"x"], NOW)
    assert caught.value.limit is Limit.FILES
    for _ in range(50):
        drafts.save_text(ticket_pen, "text", NOW)
    with pytest.raises(TooLargeError) as caught:
        drafts.save_text(ticket_pen, "text", NOW)
    assert caught.value.limit is Limit.PIECES


def test_an_upload_that_breaks_off_leaves_nothing(drafts: Drafts, pen: Pen, tmp_path: Path, store: Store) -> None:
    """The connection goes away in the middle of a large file: no file, no row, no half of either."""

    def broken() -> Iterator[bytes]:
        yield b"x" * 200_000
        raise EOFError

    before = count(store, SEALED)
    with pytest.raises(EOFError):
        drafts.add_file(pen, "half", "", broken(), NOW)
    assert count(store, SEALED) == before
    assert files_on_disk(tmp_path) == 0


def test_a_file_whose_commit_was_not_answered_is_whole(
    *, drafts: Drafts, pen: Pen, link: Link, store: Store, blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection to the database was lost inside COMMIT: the page says no, yet what was written keeps its blob."""
    real, submitted = store.run, 0

    def run(work: Callable[[Connection], object]) -> object:
        nonlocal submitted
        submitted += 1
        done = real(work)
        if submitted == 2:  # the first journals the blob
            raise StoreError("the connection to the database was lost")
        return done

    monkeypatch.setattr(store, "run", run)
    with pytest.raises(StoreError):
        drafts.add_file(pen, "a.bin", "application/x-a", [b"a" * 200_000], NOW)
    monkeypatch.undo()
    purge(store, blobs)
    with store.read() as conn:
        draft, answer_id = drafts.open(conn, link, NOW), new_id()
    keys = store.run(lambda conn: drafts.hand_over(conn, pen, draft, answer_id))
    [file] = content(store, blobs, link, keys, answer_id).files
    assert b"".join(file.read()) == b"a" * 200_000


def test_relay_reads_what_was_handed_over_once(
    *, drafts: Drafts, pen: Pen, link: Link, store: Store, blobs: FileBlobs, written: Callable[..., Draft]
) -> None:
    """Handed over: gone from the form, shown as being sent, unchangeable; consumed: gone with its files."""
    drafts.save_text(pen, "The answer", NOW)
    file = drafts.add_file(pen, "a.bin", "application/x-a", [b"a" * 200_000], NOW)
    draft, answer_id = written(), new_id()
    keys = store.run(lambda conn: drafts.hand_over(conn, pen, draft, answer_id))
    assert set(keys) == {*draft.text_ids, file.id}
    assert store.run(lambda conn: drafts.hand_over(conn, pen, draft, answer_id)) == {}
    assert store.run(lambda conn: drafts.hand_over(conn, pen, draft, new_id())) == {}
    assert not written()
    with store.read() as conn:
        assert drafts.sending(conn, link, NOW) == {answer_id: draft}
    assert not store.run(lambda conn: drafts.remove_file(conn, pen, file.id, NOW))
    read = content(store, blobs, link, keys, answer_id)
    assert read.text == "The answer"
    assert [(one.name, one.type, one.size) for one in read.files] == [("a.bin", "application/x-a", 200_000)]
    assert b"".join(read.files[0].read()) == b"a" * 200_000
    assert store.run(lambda conn: consume(conn, list(keys), NOW))
    assert not store.run(lambda conn: consume(conn, list(keys), NOW))
    with store.read() as conn:
        assert drafts.sending(conn, link, NOW) == {}
        assert BlobState.DOOMED.value in conn.execute(select(BLOB.c.state)).scalars().all()


def test_what_cannot_be_sent_is_given_back(
    drafts: Drafts, pen: Pen, store: Store, written: Callable[..., Draft]
) -> None:
    """The relay refused the request: the reader finds the draft as it was."""
    drafts.save_text(pen, "The answer", NOW)
    draft, answer_id = written(), new_id()
    store.run(lambda conn: drafts.hand_over(conn, pen, draft, answer_id))
    drafts.save_text(pen, "And more", NOW + MINUTE)
    assert store.run(lambda conn: give_back(conn, answer_id)) == 1
    assert written(NOW + MINUTE).text == "The answer\n\nAnd more"


def test_a_draft_over_the_limits_is_not_handed_over(
    drafts: Drafts, pen: Pen, store: Store, written: Callable[..., Draft]
) -> None:
    """Texts of several windows may together be longer than an answer: nothing is lost, and nothing is sent yet."""
    drafts.save_text(pen, "x" * 600, NOW)
    drafts.save_text(pen, "y" * 600, NOW)
    with pytest.raises(TooLargeError) as caught:
        store.run(lambda conn: drafts.hand_over(conn, pen, written(), new_id()))
    assert caught.value.limit is Limit.TEXT
    assert len(written().text) == 1202


def test_relay_reads_no_other_draft(
    *, drafts: Drafts, pen: Pen, link: Link, store: Store, blobs: FileBlobs, written: Callable[..., Draft], seal: Seal
) -> None:
    """Wrong answer, reader, conversation or key, a piece that is gone, a message that is no draft: nothing is read."""
    message = seal().message_id
    drafts.save_text(pen, "The answer", NOW)
    answer_id = new_id()
    draft = written()
    dek = next(iter(draft.keys.values()))

    def read(keys: object, **changes: bytes) -> DraftContent:
        named = {"conversation_id": link.conversation_id, "author_id": link.participant_id, "answer_id": answer_id}
        with store.read() as conn:
            return read_draft(conn, blobs, keys, **(named | changes))  # type: ignore[arg-type]

    with pytest.raises(NotFoundError):
        read(draft.keys)  # not handed over
    keys = store.run(lambda conn: drafts.hand_over(conn, pen, draft, answer_id))
    assert read(keys).text == "The answer"
    for wrong in ({}, {**keys, new_id(): dek}, {**keys, message: dek}):
        with pytest.raises(NotFoundError):
            read(wrong)
    for changes in ({"author_id": new_id()}, {"answer_id": new_id()}):
        with pytest.raises(NotFoundError):
            read(keys, **changes)
    with pytest.raises(SealingError) as caught:
        read(keys, conversation_id=new_id())
    assert caught.value.layer is Layer.HEADER
    with pytest.raises(SealingError) as caught:
        read(dict.fromkeys(keys, bytes(32)))
    assert caught.value.layer is Layer.COMMITMENT


def test_tampered_piece_is_left_out(drafts: Drafts, pen: Pen, store: Store, written: Callable[..., Draft]) -> None:
    """A piece whose octets were changed is counted as damaged and never handed over; the others are there."""
    drafts.save_text(pen, "damaged", NOW)
    drafts.save_text(pen, "whole", NOW + MINUTE)
    (part,) = (one for one in written(NOW + MINUTE).text_ids[:1])
    manifest = select(SEALED.c.manifest_part).where(SEALED.c.id == part).scalar_subquery()
    content_row = (PART.c.message_id == part) & (PART.c.id != manifest)
    with store.read() as conn:
        octets = bytearray(conn.execute(select(PART.c.content).where(content_row)).scalar_one())
    octets[20] ^= 1
    store.run(lambda conn: conn.execute(update(PART).where(content_row).values(content=bytes(octets))) and None)
    draft = written(NOW + MINUTE)
    assert (draft.text, draft.damaged, len(draft.keys)) == ("whole", 1, 1)


def test_draft_ends_after_a_week_or_with_its_link(
    *, drafts: Drafts, pen: Pen, written: Callable[..., Draft], seal: Seal, arrive: Arrive, store: Store
) -> None:
    """A draft is kept for seven days, and never longer than its link."""
    drafts.save_text(pen, "text", NOW)
    assert written(NOW + timedelta(days=7) - MINUTE)
    assert not written(NOW + timedelta(days=7))
    soon = NOW + timedelta(days=2)
    short = arrive(seal(expires_at=soon))
    assert short is not None
    short_pen = Pen.of(short)
    assert short_pen is not None
    piece = drafts.save_text(short_pen, "text", NOW)
    with store.read() as conn:
        assert conn.execute(select(SEALED.c.expires_at).where(SEALED.c.id == piece)).scalar_one() == soon


def test_disk_that_is_nearly_full_takes_texts_and_no_files(
    *, key_folder: Path, opener: Opener, blobs: FileBlobs, store: Store, pen: Pen, written: Callable[..., Draft]
) -> None:
    """The reserve of the disk is for mail that was accepted: files wait until there is room, words do not."""

    def full() -> None:
        raise StoreFullError("no room")

    drafts = Drafts(Keyring.open(key_folder, role="portal"), opener, blobs, store, ensure_room=full)
    with pytest.raises(StoreFullError):
        drafts.add_file(pen, "a.txt", "text/plain", [b"x"], NOW)
    drafts.save_text(pen, "words", NOW)
    assert (written().text, written().files) == ("words", ())


def test_a_draft_is_no_message_that_a_visit_brings(
    drafts: Drafts, link: Link, opener: Opener, store: Store, keyring: Keyring
) -> None:
    """Its key in a request for more links is refused: nobody is given what is not sent."""
    pen = Pen.of(link)
    assert pen
    drafts.save_text(pen, "not yet", NOW)
    with store.read() as conn:
        [unfinished] = opener.open_unfinished(conn, link, NOW).messages
        with pytest.raises(SealingError, match="a draft is no message"):
            by_visit(
                conn, keyring, link.participant_id, {unfinished.header.message_id: unfinished.message_key.dek}, NOW
            )
