"""Readers' answers: who gets them, what stands in them, and what is refused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from relay.errors import LetterlockError, NotFoundError
from relay.message.secret_address import AddressKind, read_secret_address
from relay.queue.outcomes import Failed, remote_answer
from relay.queue.reply_state import ReplyProgress, reply_state
from relay.queue.requests import UnfitRequestError
from relay.queue.settling import Report, Settled
from relay.store.tables import Entry
from relay.store.tables.queue import EntryState, Kind
from relay.store.writer import Store
from relay.vault.capability import by_sender_secret
from relay.vault.control import recall
from relay.vault.sealing.errors import SealingError
from tests.unit.relay.conversation.exchange import BEN, HIDDEN, Exchange, mail
from tests.unit.relay.conversation.office import ANNA, BOB, DOMAIN, JANE, NOW

ENTRY = Entry.__table__  # type: ignore[attr-defined]


@pytest.fixture
def exchange(store: Store, tmp_path: Path) -> Exchange:
    """Anna's letter to Jane and Bob, to a colleague, and to somebody in Bcc; once on each kind of database."""
    opened = Exchange.open(store, tmp_path)
    opened.begin(JANE, BOB, blind=(HIDDEN,), colleagues=(BEN,))
    return opened


def test_an_answer_reaches_the_people_inside(exchange: Exchange) -> None:
    """The sender and the colleague in Cc get it in the thread, each with a secret of their own that opens everything."""
    errand = exchange.request(JANE, "line one\nline two", name="Jane D.", files=[("Überblick.txt", b"x" * 200_000)])
    to_anna, to_ben = exchange.send(errand)
    secrets = []
    for message in (to_anna, to_ben):
        [sender] = message["From"].addresses
        assert sender.display_name == "jane (example.net) via Example Council"
        address = read_secret_address(sender.addr_spec, DOMAIN)
        assert address is not None
        assert (address.kind, address.id) == (AddressKind.READER, exchange.person(JANE).participant_id)
        secrets.append(address.secret)
        assert [one.addr_spec for one in message["To"].addresses] == [ANNA]
        assert [one.addr_spec for one in message["Cc"].addresses] == [BEN]
        assert (message["Subject"], message["In-Reply-To"]) == ("Re: Results", "<1@desk.example.org>")
        assert message["Auto-Submitted"] is None
        body = message.get_body(("plain",))
        assert body is not None
        assert body.get_content().splitlines()[:4] == ["Written by Jane D. in the portal", "", "line one", "line two"]
        [file] = message.iter_attachments()
        assert (file.get_filename(), file.get_content()) == ("Überblick.txt", "x" * 200_000)
    assert len(set(secrets)) == 2
    with exchange.office.store.read() as conn:
        for secret in secrets:
            brought = by_sender_secret(conn, exchange.office.keyring, exchange.conversation_id, secret, NOW)
            assert brought is not None
            assert errand.id in brought.messages
    assert "line one" in exchange.reads(JANE)[-1]
    assert exchange.reads(BOB) == ["first"]


def test_also_to_a_reader_who_was_shown(exchange: Exchange) -> None:
    """Bob gets a notice with a link that opens the older message too; staff see him under an address that answers."""
    to_anna, _, notice = exchange.send(exchange.request(JANE, "for both", also=(BOB,)))
    assert [one.display_name for one in to_anna["Cc"].addresses][1] == "bob (example.net) via Example Council"
    assert notice["To"].addresses[0].addr_spec == BOB
    assert exchange.reads(BOB) == ["first", "for both"]
    assert HIDDEN not in to_anna.as_string() + notice.as_string()


def test_a_blind_reader_writes_to_the_sender_alone(exchange: Exchange) -> None:
    """Nobody else inside or outside learns of somebody in Bcc."""
    assert len(exchange.send(exchange.request(HIDDEN, "from nowhere"))) == 1
    assert exchange.reads(JANE) == ["first"]
    with pytest.raises(UnfitRequestError):
        exchange.send(exchange.request(HIDDEN, "from nowhere", also=(JANE,)))


def test_nobody_is_written_to_who_was_not_shown(exchange: Exchange) -> None:
    """A request that names the blind reader, or herself, is refused, and the reader finds the answer as a draft."""
    for other in (HIDDEN, JANE, ANNA):
        errand = exchange.request(JANE, "to everybody", also=(other,))
        with pytest.raises(UnfitRequestError):
            exchange.replies.prepare(errand)
        exchange.office.store.run(lambda conn, errand=errand: exchange.replies.give_up(conn, errand.id))  # type: ignore[misc]
        with exchange.office.store.read() as conn:
            assert "to everybody" in exchange.drafts.open(conn, exchange.link(JANE), NOW).text


def test_what_is_typed_reaches_no_header(exchange: Exchange) -> None:
    """Line ends in a name, a subject that was answered before, an odd file name: one well-formed mail."""
    errand = exchange.request(
        JANE, "From now on\n.\nbcc: x", name="Jane\r\nBcc: all@example.org", files=[('../"a\r\nb".exe\x00', b"x")]
    )
    [message, _] = exchange.send(errand)
    assert message.defects == []
    assert message["Bcc"] is None
    [file] = message.iter_attachments()
    assert "\r" not in str(file.get_filename())
    assert "/" not in str(file.get_filename())


HARMS: dict[str, dict[str, Any] | None] = {
    "keys of a message that is not the conversation's": {"opened": {b"m" * 16: b"k" * 32}},
    "a wrong key": None,
    "another reader": {"participant_id": b"p" * 16},
    "another link": {"link_id": b"l" * 16},
    "pieces that are not there": {"pieces": {b"p" * 16: b"k" * 32}},
    "no pieces": {"pieces": {}},
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_not_true_is_refused(exchange: Exchange, harm: str) -> None:
    """A request that does not fit its rows is refused with one of our errors, and nothing is written."""
    changes = HARMS[harm] or {"opened": dict.fromkeys(exchange.keys(JANE), b"k" * 32)}
    errand = exchange.request(JANE, "hello", **changes)
    with pytest.raises((UnfitRequestError, NotFoundError, SealingError)):
        exchange.replies.prepare(errand)


def test_a_recalled_reader_writes_no_more(exchange: Exchange) -> None:
    """Who was taken back from the conversation cannot answer in it; an answer that was sent twice is sent once."""
    errand = exchange.request(JANE, "hello")
    deed = exchange.replies.prepare(errand)
    exchange.write(deed)
    with pytest.raises(LetterlockError):
        exchange.write(deed)
    exchange.office.store.run(lambda conn: recall(conn, [exchange.person(BOB).participant_id], NOW))
    with pytest.raises(AssertionError):
        exchange.request(BOB, "hello")  # the portal has no pen for him
    exchange.office.store.run(lambda conn: recall(conn, [exchange.person(JANE).participant_id], NOW))
    with pytest.raises(UnfitRequestError):
        exchange.replies.prepare(errand)


def test_the_page_hears_what_became_of_it(exchange: Exchange) -> None:
    """Being sent, put off, handed over, given to the organisation's mailbox: as the entry stands."""
    errand = exchange.request(JANE, "hello")

    def state() -> tuple[ReplyProgress, object]:
        with exchange.office.store.read() as conn:
            found = reply_state(conn, errand.id)
        return found.progress, found.at

    def entry(**values: object) -> None:
        row = update(ENTRY).where(ENTRY.c.message_id == errand.id).values(**values)
        exchange.office.store.run(lambda conn: conn.execute(row) and None)

    assert state() == (ReplyProgress.SENDING, None)
    exchange.send(errand)
    assert state() == (ReplyProgress.SENDING, None)
    entry(attempts=1, due_at=NOW + timedelta(minutes=5))
    assert state() == (ReplyProgress.PUT_OFF, NOW + timedelta(minutes=5))
    entry(state=EntryState.LEASED.value)
    entry(state=EntryState.DONE.value, finished_at=NOW)
    assert state() == (ReplyProgress.HANDED_OVER, NOW)
    entry(state=EntryState.BOUNCED.value)
    assert state() == (ReplyProgress.REDIRECTED, NOW)


def test_a_lost_answer_goes_to_the_organisation(exchange: Exchange) -> None:
    """Refused by the next hop: the mailbox gets it whole, with the reason and without the secret."""
    errand = exchange.request(JANE, "precious words")
    deed = exchange.replies.prepare(errand)
    exchange.write(deed)
    [consignment] = deed.drafts[0].consignments
    [queued] = consignment.entries
    settled = Settled(
        consignment,
        queued,
        Failed(remote_answer(550, "5.1.1 no such user", "mx:25", "")),
        EntryState.BOUNCED,
        1,
        NOW,
        report=Report.FAILED,
    )
    draft = exchange.lost.draft(settled)
    message = mail(draft)
    assert draft.entry_rows[0]["kind"] == Kind.REPLY.value
    assert [one.addr_spec for one in message["To"].addresses] == ["post@example.org"]
    assert "no such user" in message.as_string()
    assert "precious words" in message.as_string()
    secret = str(mail(deed.drafts[0])["From"].addresses[0].addr_spec)
    assert secret.partition("@")[0] not in message.as_string()
    with exchange.office.store.read() as conn:
        returned = mail(exchange.lost.draft_returned(conn, errand.id, settled.answer, NOW))
    assert "precious words" not in returned.as_string()
    assert ANNA in returned.as_string()


def test_a_new_link_is_asked_of_the_sender(exchange: Exchange) -> None:
    """The sender is told what to write into a reply to the receipt; the mail carries no secret and no link."""
    [message] = exchange.write(exchange.lost_links.prepare(exchange.new_link(JANE)))
    assert [one.addr_spec for one in message["To"].addresses] == [ANNA]
    assert f"resend {JANE}" in message.as_string()
    assert "/p/" not in message.as_string()
    exchange.office.store.run(lambda conn: recall(conn, [exchange.person(JANE).participant_id], NOW))
    with pytest.raises(UnfitRequestError):
        exchange.lost_links.prepare(exchange.new_link(JANE))


def test_a_newer_link_is_given_what_an_older_one_opens(exchange: Exchange) -> None:
    """An answer that came by its thread alone brings a link without the older messages; a visit with the old one helps."""
    exchange.sort(JANE, text="second", more="References: <1@desk.example.org>\r\n")
    assert exchange.reads(JANE) == ["second"]
    assert exchange.reads(JANE, 0) == ["first", "second"]
    exchange.reseal(JANE, 0)
    assert exchange.reads(JANE) == ["first", "second"]
    exchange.reseal(JANE, 0)
    assert [line.split()[0] for line in exchange.office.told()].count("resealed") == 1


def test_an_answer_that_a_report_brings_back_is_not_lost(exchange: Exchange) -> None:
    """It goes to the mailbox with the report, without secrets; another mail, which anybody could enclose, does not."""
    errand = exchange.request(JANE, "precious words")
    deed = exchange.replies.prepare(errand)
    exchange.write(deed)
    why = remote_answer(550, "5.2.2 mailbox full", "mx:25", "")
    whole = mail(deed.drafts[0])
    for brought, kept in (
        (whole.as_bytes(), True),
        (whole.as_bytes().replace(b"Message-ID: <", b"Message-ID: <x"), False),
    ):
        with exchange.office.store.read() as conn:
            returned = mail(exchange.lost.draft_returned(conn, errand.id, why, NOW, brought))
        assert ("precious words" in returned.as_string()) is kept
        assert whole["From"].addresses[0].addr_spec.partition("@")[0] not in returned.as_string()
