"""A reader's unfinished answer: kept sealed until it is sent, found again after the visit has ended.

The portal's side; relay/vault/unfinished.py is the relay's. With a link one can read, add and remove; with a ticket,
after the visit, add and remove only. What was handed over to the relay stands in ``sending`` until the relay has made
the answer of it, and cannot be changed meanwhile.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from sqlalchemy import Connection, select, update

from relay.errors import RefusedError
from relay.store.writer import Store
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring
from relay.vault.links import KEY
from relay.vault.opener import Link, OpenedMessage, Opener, PartRole, SealingError
from relay.vault.pen import SEALED, Pen, is_live, octets_kept, own_pieces
from relay.vault.pieces import SealedPiece, Workshop, insert_piece, joined, plain_text, remove_pieces
from relay.vault.visits import Ticket

__all__ = ["Draft", "DraftFile", "DraftLimits", "Drafts", "Limit", "LinkClosedError", "Pen", "TooLargeError"]

_TEXTS = 50  # saved texts beside each other: nobody has so many windows open


class Limit(Enum):
    """What was too large or too many."""

    TEXT = "characters of text"
    OCTETS = "octets of text and files together"
    FILES = "files"
    PIECES = "saved texts and files"


class TooLargeError(RefusedError):
    """More than an answer may hold; nothing of it was kept. ``allowed`` counts what ``limit`` names."""

    def __init__(self, limit: Limit, allowed: int) -> None:
        super().__init__(f"an answer holds at most {allowed} {limit.value}")
        self.limit = limit
        self.allowed = allowed


class LinkClosedError(RefusedError):
    """The link does not open the conversation any more: nothing was stored."""

    def __init__(self) -> None:
        super().__init__("this link does not open the conversation any more: nothing was stored")


@dataclass(frozen=True, slots=True)
class DraftLimits:
    """What one answer may hold: ``octets`` over all texts and files, ``files``, ``characters`` of one text."""

    octets: int = 25 << 20
    files: int = 20
    characters: int = 100_000


@dataclass(frozen=True, slots=True)
class DraftFile:
    """A file of an unfinished answer; ``id`` is that of its piece, ``size`` is in octets."""

    id: bytes
    name: str
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An unfinished answer, empty when there is none.

    ``text_ids`` are the pieces that ``text`` was joined from: whoever saves it anew says that these are replaced.
    ``saved_at`` is when the newest piece was. ``keys`` has the DEK of each piece, for the relay. ``damaged`` counts
    pieces that failed a check and are not part of it.
    """

    text: str = ""
    text_ids: tuple[bytes, ...] = ()
    files: tuple[DraftFile, ...] = ()
    saved_at: datetime | None = None
    keys: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    damaged: int = 0

    def __bool__(self) -> bool:
        return bool(self.text_ids or self.files)

    @property
    def octets(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)


class Drafts:
    """Keeps unfinished answers. Role portal; parts up to ``inline_limit`` octets stay in the database.

    ``ensure_room`` raises StoreFullError when the disk's reserve would be touched: then no file is taken. A text is:
    it is small, and nobody should type it twice.
    """

    def __init__(
        self,
        keyring: Keyring,
        opener: Opener,
        blobs: BlobStore,
        store: Store,
        *,
        inline_limit: int = 128 << 10,
        limits: DraftLimits | None = None,
        ensure_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._opener = opener
        self._store = store
        self._workshop = Workshop(keyring, blobs, store, inline_limit)
        self._ensure_room = ensure_room
        self.limits = limits or DraftLimits()

    def open(self, conn: Connection, link: Link, now: datetime) -> Draft:
        """Return what the reader behind ``link`` is writing; empty for a link that is not live. StoreError."""
        found, damaged = self._opened(conn, link, now)
        return self._draft(found.get(None, ()), damaged)

    def sending(self, conn: Connection, link: Link, now: datetime) -> dict[bytes, Draft]:
        """Return what was handed over and is not an answer yet, by the answer's id, oldest first. StoreError."""
        found, _ = self._opened(conn, link, now)
        return {answer: self._draft(pieces) for answer, pieces in found.items() if answer is not None}

    def contents(
        self, conn: Connection, link: Link, now: datetime, files: Collection[bytes]
    ) -> Iterator[Iterator[bytes]]:
        """Yield the octets of some files, handed over or not. StoreError; SealingError where one was changed."""
        for piece in self._opener.open_unfinished(conn, link, now).messages:
            if piece.header.message_id in files:
                yield from (self._opener.read_part(piece, part.id) for part in piece.manifest.parts)

    def pen(self, conn: Connection, ticket: Ticket, now: datetime) -> Pen | None:
        """Return the pen of a ticket (``relay.vault.visits.read_ticket``); None when its link is not live any more."""
        row = conn.execute(select(KEY).where(KEY.c.id == ticket.link_id)).one_or_none()
        if row is None:
            return None
        pen = Pen(row.id, row.conversation_id, row.participant_id, ticket.public, row.expires_at)
        return pen if is_live(conn, pen, now) else None

    # --- blocking, in transactions of their own ---

    def save_text(self, pen: Pen, typed: str, now: datetime, *, replaces: Sequence[bytes] = ()) -> bytes | None:
        """Keep a text in place of the pieces ``replaces``; return the id of its piece, None for an empty text.

        TooLargeError, LinkClosedError; StoreError and KeyringError as ``Workshop.seal``. Nothing is removed when one of
        them leaves.
        """
        text = plain_text(typed)
        if len(text) > self.limits.characters:
            raise TooLargeError(Limit.TEXT, self.limits.characters)
        piece = None
        if text.strip():
            piece = self._workshop.seal(pen, PartRole.TEXT, (text.encode(),), now, kind="text/plain")

        def write(conn: Connection) -> None:
            remove_pieces(conn, own_pieces(conn, pen, replaces), now)
            if piece is not None:
                self._insert(conn, pen, piece, now)

        self._commit(write, piece, now)
        return None if piece is None else piece.id

    def add_file(self, pen: Pen, name: str, kind: str, pieces: Iterable[bytes], now: datetime) -> DraftFile:
        """Keep a file, sealed as it comes, in constant memory. ``name`` and media type ``kind`` come from the reader.

        TooLargeError as soon as the answer would be over a limit; LinkClosedError; StoreError and KeyringError as
        ``Workshop.seal``; whatever ``pieces`` raises. Nothing is kept when one of them leaves.
        """
        self._ensure_room()
        with self._store.read() as conn:
            room = self.limits.octets - octets_kept(conn, pen)
            if self._files(conn, pen, now) >= self.limits.files:
                raise TooLargeError(Limit.FILES, self.limits.files)
        bounded = _bounded(pieces, room, TooLargeError(Limit.OCTETS, self.limits.octets))
        piece = self._workshop.seal(pen, PartRole.ATTACHMENT, bounded, now, name=name, kind=kind)

        def write(conn: Connection) -> None:
            self._insert(conn, pen, piece, now)
            if octets_kept(conn, pen) > self.limits.octets:  # others came in meanwhile
                raise TooLargeError(Limit.OCTETS, self.limits.octets)

        self._commit(write, piece, now)
        return DraftFile(piece.id, piece.entry.name, piece.entry.type, piece.entry.size)

    # --- in the caller's transaction ---

    def remove_file(self, conn: Connection, pen: Pen, file_id: bytes, now: datetime) -> bool:
        """Remove a file; False when this link has no such piece, or it was handed over."""
        return remove_pieces(conn, own_pieces(conn, pen, (file_id,)), now) > 0

    def discard(self, conn: Connection, pen: Pen, now: datetime) -> int:
        """Throw the unfinished answer away; return how many pieces it had."""
        return remove_pieces(conn, own_pieces(conn, pen), now)

    def hand_over(self, conn: Connection, pen: Pen, draft: Draft, answer_id: bytes) -> Mapping[bytes, bytes]:
        """Mark the pieces of ``draft`` as sent in the answer ``answer_id``; return their keys, for the relay's request.

        Empty, and nothing is marked, when one of them is gone or was handed over: the draft has changed since.
        TooLargeError when it holds more than an answer may (saved in several windows, each within the limits).
        """
        self._require_fit(draft)
        ids = list(draft.keys)
        if len(own_pieces(conn, pen, ids)) != len(ids):
            return {}
        conn.execute(update(SEALED).where(SEALED.c.id.in_(ids)).values(answer_id=answer_id))
        return draft.keys

    # --- inside ---

    def _opened(
        self, conn: Connection, link: Link, now: datetime
    ) -> tuple[dict[bytes | None, list[OpenedMessage]], int]:
        """Return the pieces by the answer they were handed over in (None: not yet), and how many were damaged."""
        opened = self._opener.open_unfinished(conn, link, now)
        ids = [message.header.message_id for message in opened.messages]
        rows = conn.execute(select(SEALED.c.id, SEALED.c.answer_id).where(SEALED.c.id.in_(ids)))
        answers = {row.id: row.answer_id for row in rows}
        found: dict[bytes | None, list[OpenedMessage]] = {}
        for message in opened.messages:
            found.setdefault(answers.get(message.header.message_id), []).append(message)
        return found, len(opened.refused)

    def _draft(self, pieces: Sequence[OpenedMessage], damaged: int = 0) -> Draft:
        texts: dict[bytes, str] = {}
        files = []
        for piece in pieces:
            piece_id = piece.header.message_id
            for part in piece.manifest.parts:
                if part.kind is not PartRole.TEXT:
                    files.append(DraftFile(piece_id, part.name, part.type, part.size))
                    continue
                try:
                    texts[piece_id] = b"".join(self._opener.read_part(piece, part.id)).decode("utf-8", "replace")
                except SealingError:
                    damaged += 1
        whole = {*texts, *(file.id for file in files)}
        return Draft(
            joined(texts.values()),
            tuple(texts),
            tuple(files),
            max((piece.created_at for piece in pieces), default=None),
            {one.header.message_id: one.message_key.dek for one in pieces if one.header.message_id in whole},
            damaged,
        )

    def _files(self, conn: Connection, pen: Pen, now: datetime) -> int:
        """Return how many files there are; with a ticket, where nothing can be opened, every piece counts as one."""
        if pen.link is None:
            return len(own_pieces(conn, pen, lock=False))
        found, _ = self._opened(conn, pen.link, now)
        return sum(part.kind is not PartRole.TEXT for one in found.get(None, ()) for part in one.manifest.parts)

    def _require_fit(self, draft: Draft) -> None:
        if len(draft.text) > self.limits.characters:
            raise TooLargeError(Limit.TEXT, self.limits.characters)
        if len(draft.files) > self.limits.files:
            raise TooLargeError(Limit.FILES, self.limits.files)
        if len(draft.text.encode()) + draft.octets > self.limits.octets:
            raise TooLargeError(Limit.OCTETS, self.limits.octets)

    def _insert(self, conn: Connection, pen: Pen, piece: SealedPiece, now: datetime) -> None:
        if not is_live(conn, pen, now):
            raise LinkClosedError
        most = self.limits.files + _TEXTS
        if len(own_pieces(conn, pen)) >= most:
            raise TooLargeError(Limit.PIECES, most)
        insert_piece(conn, piece, now)

    def _commit(self, write: Callable[[Connection], None], piece: SealedPiece | None, now: datetime) -> None:
        try:
            self._store.run(write)
        except BaseException:
            if piece is not None:
                self._workshop.drop(piece, now)
            raise


def _bounded(pieces: Iterable[bytes], room: int, error: TooLargeError) -> Iterator[bytes]:
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise error
        yield piece
