"""What an operator sees of the queue and may do with it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from relay.errors import NotFoundError, RefusedError
from relay.queue.inspection import Wanted, code_mail, count_entries, list_entries, show_entries
from relay.queue.interventions import drop, retry
from relay.queue.items import QueuedEnvelope
from relay.queue.summary import summarize
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState, Kind
from tests.unit.relay.queue.nexthop import NextHop
from tests.unit.relay.queue.yard import HOUR, MINUTE, Yard, until

ENTRY = Entry.__table__  # type: ignore[attr-defined]


def deferred(yard: Yard) -> bytes:
    """Queue a message that its next hop greylists; return the message's id."""
    draft = yard.queue("ann@example.net")

    async def work() -> None:
        async with NextHop({"RCPT": "451 4.7.1 greylisted"}) as hop:
            worker = yard.delivery(yard.routes([hop]))
            await worker.start()
            await until(lambda: yard.entries()[0].attempts == 1)
            await worker.stop()

    asyncio.run(work())
    return draft.message_id


def test_the_list_says_why_each_entry_waits(any_yard: Yard) -> None:
    """A listed entry names recipient, sender, attempts, next try, and what the next hop said last."""
    yard = any_yard
    message_id = deferred(yard)
    with yard.store.read() as conn:
        (entry,) = list_entries(conn, yard.keyring)
        assert show_entries(conn, yard.keyring, entry.id) == show_entries(conn, yard.keyring, message_id) == (entry,)
        assert count_entries(conn) == {EntryState.DUE: 1}
        assert list_entries(conn, yard.keyring, Wanted(route="inside")) == ()
    assert (entry.recipient, entry.sender, entry.attempts) == ("ann@example.net", "bob@example.org", 1)
    assert entry.due_at == yard.clock() + MINUTE
    assert entry.why.startswith("waits for its next try after 1 attempt: 451 4.7.1 greylisted (127.0.0.1:")


def test_the_list_leaves_what_is_wanted(any_yard: Yard) -> None:
    """By address and by domain of the recipient and the sender, the null one too, by route and by age."""
    yard = any_yard
    yard.queue("jane@example.net", "ron@Example.COM")
    yard.clock.pass_(HOUR)
    yard.queue("kim@example.net", envelope=QueuedEnvelope("Carol@sub.example.org"))
    yard.queue("lee@example.net", envelope=QueuedEnvelope(""))

    def listed(limit: int = 100, **wanted: Any) -> set[str]:
        with yard.store.read() as conn:
            found = list_entries(conn, yard.keyring, Wanted(**wanted), limit=limit)
        return {entry.recipient.split("@")[0] for entry in found}

    assert listed() == {"jane", "ron", "kim", "lee"}
    assert listed(to="example.net") == {"jane", "kim", "lee"}
    assert listed(to="JANE@example.net") == {"jane"}
    assert listed(sender="bob@example.org") == listed(sender="example.org") == {"jane", "ron"}
    assert listed(sender="carol@sub.example.org") == {"kim"}
    assert listed(sender="<>") == listed(sender="<>", limit=1) == {"lee"}
    assert listed(queued_before=yard.clock() - MINUTE) == {"jane", "ron"}
    assert listed(states=[EntryState.PAUSED]) == listed(route="inside") == set()


def test_what_was_put_off_is_added_up_by_next_hop_and_answer(any_yard: Yard) -> None:
    """However a greylister words it for each recipient; a next hop that is away is a reason of its own."""
    yard = any_yard
    yard.queue("ann@example.net", "ben@example.net")
    yard.queue("kim@example.com")
    yard.queue("carol@example.org")
    greylisted = ("ann", "ben", "kim")

    async def work() -> None:
        async with (
            NextHop({f"RCPT TO:<{one}": f"451 4.7.1 <{one}> greylisted" for one in greylisted}) as hop,
            NextHop() as away,
        ):
            await away.close()
            worker = yard.delivery(yard.routes([hop], [away]))
            await worker.start()
            await until(lambda: all(row.attempts for row in yard.entries()))
            await worker.stop()

    asyncio.run(work())
    with yard.store.read() as conn:
        [grey, gone] = summarize(conn, yard.keyring)
    assert (grey.route, grey.entries, dict(grey.domains)) == ("outside", 3, {"example.net": 2, "example.com": 1})
    assert grey.why.startswith("451 4.7.1 <")
    assert grey.next_try == yard.clock() + MINUTE
    assert (gone.route, gone.entries) == ("inside", 1)
    assert gone.why.startswith("4.4.1 no connection")


def test_retry_makes_it_due_at_once(any_yard: Yard) -> None:
    """After retry an entry is due whatever a clock says, and the audit knows of it."""
    yard = any_yard
    message_id = deferred(yard)
    assert yard.store.run(lambda conn: retry(conn, yard.keyring, yard.audit, message_id, yard.clock())) == 1
    assert yard.entries()[0].due_at <= yard.clock()
    with yard.store.read() as conn:
        assert "put back into the queue by hand for ann@example.net" in [
            line.sentence for line in yard.audit.events_of(conn, message_id)
        ]


def test_retry_tries_a_next_hop_that_is_left_alone(any_yard: Yard) -> None:
    """Whoever retries has mended the next hop: it is asked, however short ago nobody answered there."""
    yard = any_yard
    message_id = yard.queue("ann@example.net").message_id

    async def work() -> None:
        async with NextHop() as gone:
            port = gone.port
        worker = yard.delivery(yard.routes([gone]))
        await worker.start()
        await until(lambda: yard.entries()[0].attempts == 1)
        async with NextHop(port=port):
            await asyncio.to_thread(
                yard.store.run, lambda conn: retry(conn, yard.keyring, yard.audit, message_id, yard.clock())
            )
            await until(lambda: yard.entries()[0].attempts == 2)
            await worker.stop()

    asyncio.run(work())
    assert yard.states() == ["done"]


def test_drop_takes_it_out_for_good(any_yard: Yard) -> None:
    """A dropped entry is never sent, its bytes go, and the report handed in with it is queued."""
    yard = any_yard
    message_id = deferred(yard)
    report = yard.draft("bob@example.org", kind=Kind.DSN, envelope=QueuedEnvelope(""))
    yard.store.run(lambda conn: drop(conn, yard.keyring, yard.audit, message_id, yard.clock(), reports=[report]))
    assert yard.states() == ["dropped", "due"]
    assert yard.spooled() == 1
    for action in (retry, drop):
        with pytest.raises(RefusedError, match="taken out of the queue"):
            yard.store.run(lambda conn: action(conn, yard.keyring, yard.audit, message_id, yard.clock()))  # noqa: B023


def test_what_is_not_there_is_said_so(yard: Yard) -> None:
    """An unknown id gives one sentence."""
    with yard.store.read() as conn, pytest.raises(NotFoundError, match="there is no queue entry or message"):
        show_entries(conn, yard.keyring, b"x" * 16)


def test_entries_whose_key_is_gone_are_still_listed(yard: Yard) -> None:
    """Without the epoch key an entry is listed with its state, and says that it cannot be read."""
    deferred(yard)
    for file in (yard.keyring.folder / "relay").glob("epoch-*"):
        file.unlink()
    from relay.vault.keyring import Keyring  # noqa: PLC0415

    keyring = Keyring.open(yard.keyring.folder, role="cli")
    with yard.store.read() as conn:
        (entry,) = list_entries(conn, keyring)
    assert entry.state is EntryState.DUE
    assert "not readable" in entry.recipient
    assert "not readable" in entry.reply


def test_an_entry_that_was_changed_is_listed_and_dropped(yard: Yard) -> None:
    """One row of a kind that nobody knows hides no other from an operator, and can be taken out."""
    changed = yard.queue("ann@example.net").message_id
    yard.queue("ben@example.net")
    row = update(ENTRY).where(ENTRY.c.message_id == changed).values(kind="letter")
    yard.store.run(lambda conn: conn.execute(row).rowcount)
    with yard.store.read() as conn:
        assert sorted(entry.kind for entry in list_entries(conn, yard.keyring)) == ["letter", "mail"]
    assert yard.store.run(lambda conn: drop(conn, yard.keyring, yard.audit, changed, yard.clock())) == 1


def test_the_code_page_learns_what_became_of_its_mail(any_yard: Yard) -> None:
    """The newest code mail of a reader since a moment, with its state; none of another reader or of before."""
    yard = any_yard
    reader = b"r" * 16
    yard.queue("ann@example.net", kind=Kind.CODE, participant_id=reader, envelope=QueuedEnvelope(""))
    asked = yard.clock()
    with yard.store.read() as conn:
        mail = code_mail(conn, reader, asked)
        assert mail is not None
        assert (mail.state, mail.attempts) == (EntryState.DUE, 0)
        assert code_mail(conn, reader, asked + HOUR) is None
        assert code_mail(conn, b"o" * 16, asked) is None
