"""The accounts of a drill: every acknowledged letter is somewhere, and nothing was sent twice that need not be."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from relay.clock import id_from_text, id_text
from relay.store.tables import Entry, Hold, PortalRequest, QueuedMessage, ReceiptPart, Sealed
from relay.store.tables.queue import EntryState, HoldState
from relay.store.tables.queue import Kind as EntryKind
from relay.store.tables.sealed import SealedState
from relay.vault.keyring import Keyring
from tests.drill.clients import Accepted
from tests.drill.letters import NOT_NOW, Kind
from tests.drill.sink import Copy
from tests.letters import ANNA

_ENTRY = Entry.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_SEALED = Sealed.__table__  # type: ignore[attr-defined]
_HOLD = Hold.__table__  # type: ignore[attr-defined]
_RECEIPT = ReceiptPart.__table__  # type: ignore[attr-defined]
_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
_UNFINISHED = (EntryState.DUE.value, EntryState.LEASED.value)
_ENDED = (EntryState.DONE.value, EntryState.BOUNCED.value, EntryState.DROPPED.value)
_AT_ONCE = 400  # ids in one statement

Place = tuple[str, str]  # queue id and recipient: one entry


@dataclass
class Ledger:
    """Looks into the database between the lives of a gateway, and draws up the accounts at the end."""

    engine: Engine
    keyring: Keyring
    kills: list[int] = field(default_factory=list)  # copies that had arrived at each kill
    _recorded: dict[Place, int] = field(default_factory=dict)  # copies that had arrived when its outcome was recorded
    _open: set[Place] = field(default_factory=set)
    _seen: int = 0

    def note_kill(self, copies: Sequence[Copy], arrived: int) -> None:
        """Note a kill: so many copies had arrived, and this is what the database knows of them."""
        self._open |= {(copy.queue_id, copy.recipient) for copy in copies[self._seen : arrived]}
        self._seen = arrived
        self.kills.append(arrived)
        with self.engine.connect() as connection:
            done = self._done(connection, {queue_id for queue_id, _ in self._open})
        for place in [one for one in self._open if self._named(one) in done]:
            self._open.discard(place)
            self._recorded.setdefault(place, arrived)

    def unfinished(self) -> int:
        """How much is still to be sent, written or carried out, but for entries that nobody will ever take."""
        entries = select(func.count()).where(
            _ENTRY.c.state.in_(_UNFINISHED), _ENTRY.c.last_code.is_distinct_from(NOT_NOW)
        )
        with self.engine.connect() as connection:
            waiting = [select(func.count()).select_from(table) for table in (_RECEIPT, _REQUEST)]
            return sum(connection.execute(count).scalar_one() for count in (entries, *waiting))

    def check_copies(self, copies: Sequence[Copy]) -> int:
        """Return how many copies there are beyond the first of each entry, having found each of them explained.

        A kill may cost one more copy of an entry whose outcome was not recorded yet, the same in every octet.
        """
        firsts: dict[Place, Copy] = {}
        lives: Counter[tuple[Place, int]] = Counter()
        life, extra = 0, 0
        for number, copy in enumerate(copies):
            while life < len(self.kills) and number >= self.kills[life]:
                life += 1
            place = (copy.queue_id, copy.recipient)
            first = firsts.setdefault(place, copy)
            assert copy.queue_id, f"a mail without our id: {copy}"
            assert (copy.message_id, copy.fingerprint) == (first.message_id, first.fingerprint), (first, copy)
            assert number < self._recorded.get(place, len(copies)), f"sent again after its outcome was recorded: {copy}"
            lives[place, life] += 1
            assert lives[place, life] == 1, f"twice in one life: {copy}"
            extra += copy is not first
        return extra

    def check_letters(self, accepted: Sequence[Accepted], copies: Sequence[Copy]) -> Counter[str]:
        """Return how many recipients of acknowledged letters came to which end; AssertionError for one that is lost."""
        arrived = {(copy.queue_id, copy.recipient): copy for copy in copies}
        taken = defaultdict(set)  # a letter's mark -> the queue ids under which it arrived
        for copy in copies:
            taken[copy.subject].add(copy.queue_id)
        with self.engine.connect() as connection:
            books = _Books.read(connection, {one.queue_id for one in accepted})
        ends: Counter[str] = Counter()
        for one in accepted:
            # A client that did not hear the 250 hears of the same message again; without a Message-ID nobody can know.
            most = 1 + one.unheard if one.letter.kind is Kind.NAMELESS else 1
            assert len(taken[one.letter.mark]) <= most, f"{one.letter.mark} was taken more than once"
            for recipient in one.letter.recipients:
                end = books.end_of(one, self._named((one.queue_id, recipient)))
                found = arrived.get((one.queue_id, recipient))
                if end == "delivered":
                    assert found is not None, f"{one.letter.mark} did not arrive"
                    assert found.subject == one.letter.mark
                else:
                    assert found is None, f"{one.letter.mark} left, and is {end}"
                ends[end] += 1
            for mail in books.expected_mail(one):
                told = (mail, ANNA) in arrived or (mail, one.letter.recipients[0]) in arrived
                assert told, f"{one.letter.kind} {one.letter.mark}: {mail} did not arrive"
        return ends

    def check_nothing_is_left(self, folder: Path) -> None:
        """Find that every sealed message is destroyed, and no file or server key of one is left (AssertionError)."""
        with self.engine.connect() as connection:
            states = set(connection.execute(select(_SEALED.c.state)).scalars())
        assert states <= {SealedState.DESTROYED.value}
        assert not list((folder / "blobs").glob("??/*"))
        assert not [file for file in (folder / "keys").rglob("*") if "kek-" in file.name]

    def _named(self, place: Place) -> tuple[bytes, bytes]:
        return id_from_text(place[0]), self.keyring.address_hash(place[1])

    def _done(self, connection: Connection, queue_ids: Iterable[str]) -> set[tuple[bytes, bytes]]:
        ended = _ENTRY.c.state.in_(_ENDED)
        rows = _of(connection, select(_ENTRY.c.message_id, _ENTRY.c.recipient_hash).where(ended), _ENTRY, queue_ids)
        return {(row.message_id, row.recipient_hash) for row in rows}


@dataclass
class _Books:
    """What the database says of some queue ids."""

    entries: dict[tuple[bytes, bytes], str]
    sealed: set[bytes]
    asked: set[bytes]
    about: dict[bytes, list[tuple[str, str]]]  # mail of ours about a message: kind and queue id

    @classmethod
    def read(cls, connection: Connection, queue_ids: set[str]) -> "_Books":
        entries = _of(connection, select(_ENTRY), _ENTRY, queue_ids)
        live = select(_SEALED.c.id).where(_SEALED.c.state == SealedState.LIVE.value)
        waiting = select(_HOLD.c.message_id).where(_HOLD.c.state == HoldState.WAITING.value)
        mail = connection.execute(
            select(_MESSAGE.c.parent, _MESSAGE.c.id, _ENTRY.c.kind)
            .join(_ENTRY, _ENTRY.c.message_id == _MESSAGE.c.id)
            .where(_MESSAGE.c.parent.is_not(None))
        ).all()
        about = defaultdict(list)
        for row in mail:
            about[row.parent].append((row.kind, id_text(row.id)))
        return cls(
            {(row.message_id, row.recipient_hash): row.state for row in entries},
            set(connection.execute(live).scalars()),
            set(connection.execute(waiting).scalars()),
            about,
        )

    def end_of(self, one: Accepted, entry: tuple[bytes, bytes]) -> str:
        """Return what became of one recipient's copy, which must be what the letter's kind asks for."""
        state, kind = self.entries.get(entry), one.letter.kind
        match kind:
            case Kind.SEALED | Kind.LARGE_SEALED:
                assert (state, entry[0] in self.sealed) == (None, True), one.letter.mark
                return "sealed"
            case Kind.HELD:
                assert (state, entry[0] in self.asked) == (EntryState.HELD.value, True), one.letter.mark
                return "held"
            case Kind.BOUNCED:
                assert state == EntryState.BOUNCED.value, f"{one.letter.mark}: {state}"
                return "bounced"
            case Kind.WAITING:
                assert state in _UNFINISHED, f"{one.letter.mark}: {state}"
                return "queued"
            case _:
                assert state == EntryState.DONE.value, f"{one.letter.mark}: {state}"
                return "delivered"

    def expected_mail(self, one: Accepted) -> list[str]:
        """Return the queue ids of the mails of ours that an end brings with it, one of each kind and no more."""
        kinds = {
            Kind.SEALED: [EntryKind.NOTICE, EntryKind.RECEIPT],
            Kind.LARGE_SEALED: [EntryKind.NOTICE, EntryKind.RECEIPT],
            Kind.HELD: [EntryKind.CONTROL],
            Kind.BOUNCED: [EntryKind.DSN],
        }.get(one.letter.kind, [])
        found = self.about.get(id_from_text(one.queue_id), [])
        assert sorted(kind for kind, _ in found) == sorted(kind.value for kind in kinds), (one.letter.mark, found)
        return [queue_id for _, queue_id in found]


def _of(connection: Connection, query: Any, table: Any, queue_ids: Iterable[str]) -> list[Any]:
    ids = [id_from_text(one) for one in queue_ids]
    rows: list[Any] = []
    for start in range(0, len(ids), _AT_ONCE):
        rows += connection.execute(query.where(table.c.message_id.in_(ids[start : start + _AT_ONCE]))).all()
    return rows
