"""A restart with a long queue: the gateway answers and sends at once, and everything leaves once."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import Connection

from relay.clock import new_id, now
from relay.dkim.signer import Signer
from relay.queue.entries import LEASE
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id
from relay.queue.spooling import Draft, Lease, NewEntry, Spooler, insert_message
from relay.store.tables.queue import Direction, Kind
from relay.store.writer import open_store
from relay.vault.blobs import FileBlobs
from tests.drill.clients import send
from tests.drill.house import House
from tests.drill.letters import Kind as LetterKind
from tests.drill.letters import Letter
from tests.gateway import running
from tests.letters import ANNA, JANE, letter

DRILL = bool(os.environ.get("LETTERLOCK_DRILL"))
QUEUED = 10_000 if DRILL else 300
_AT_ONCE = 500  # messages in one transaction

pytestmark = pytest.mark.story


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An installation that has died with a long queue: half of it was leased to the relay that is gone."""
    built = House.build(tmp_path)
    _fill(built, QUEUED)
    yield built
    built.close()


def test_a_long_queue_is_sent_and_new_mail_is_taken_at_once(house: House) -> None:
    """All that waited leaves, each once, what a dead relay held too; a letter that comes meanwhile is not last."""
    begun = monotonic()
    with running(house.machines[0]):
        moments = _sent(house, begun)
    if DRILL:
        moments_said = ", ".join(f"{what} after {at:.1f} s" for what, at in moments.items())
        print(f"\n{QUEUED} queued: {moments_said}")  # noqa: T201  # the figures of a drill are its result
    assert house.ledger.unfinished() == 0
    assert house.ledger.check_copies(house.sink.copies) == 0
    assert len(house.sink.copies) == QUEUED + 1
    assert moments["the new letter arrives"] < moments["the last arrives"]


def _sent(house: House, begun: float) -> dict[str, float]:
    """Send one letter more; return when what had happened."""
    moments = {"it answers": monotonic() - begun}

    def when(what: str, condition: Callable[[], bool]) -> None:
        house.sink.until(lambda _: condition(), what)
        moments[what] = monotonic() - begun

    copies = house.sink.copies
    when("the first arrives", lambda: bool(copies))
    send(house.machines[0].smtp, Letter("new", LetterKind.CLEAN, (JANE,), letter(to=[JANE], subject="new")))
    moments["a new letter is taken"] = monotonic() - begun
    when("the new letter arrives", lambda: any(copy.subject == "new" for copy in copies))
    when("the last arrives", lambda: len(copies) > QUEUED)
    house.until_sent()
    return moments


def _fill(house: House, count: int) -> None:
    """Put letters into the queue as a gateway leaves them that dies at once."""
    folder, keyring = house.machines[0].folder / "var", house.ledger.keyring
    store = open_store(f"sqlite:///{folder / 'letterlock.db'}")
    spooler = Spooler(store, keyring, FileBlobs(folder / "blobs"), inline_limit=128 << 10, signer=Signer())
    owner = keyring.text_hash("lease owner", "relay-0@machine-0")

    def draft(number: int) -> Draft:
        queued_id = new_id()
        content = letter(
            to=[JANE], subject=str(number), message_id=own_message_id(queued_id, "letter.example.org"), text="Hello\n"
        )
        return spooler.draft(
            QueuedEnvelope(ANNA),
            [NewEntry(Kind.MAIL, "outside", EntryEnvelope(JANE))],
            content,
            now=now(),
            message_id=queued_id,
            direction=Direction.OUT,
            lease=Lease(owner, now() + LEASE) if number % 2 else None,
        )

    drafts = map(draft, range(count))
    while some := list(islice(drafts, _AT_ONCE)):
        store.run(partial(_insert, drafts=some))
    store.close()


def _insert(connection: Connection, drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        insert_message(connection, draft)
