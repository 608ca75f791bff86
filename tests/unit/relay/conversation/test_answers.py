"""Answers by staff: sealed for exactly whom they are for, from those who may, without a secret in them."""

from pathlib import Path

import pytest

from policies.model import Action
from relay.conversation.reception import Sorted
from relay.message.secret_address import AddressKind, SecretAddress
from relay.smtp.values import ClientFacts, Reply
from relay.store.writer import Store
from relay.vault.control import recall, remove
from tests.unit.relay.conversation.exchange import BEN, HIDDEN, PA, STAFF, Exchange, mail
from tests.unit.relay.conversation.office import ANNA, BOB, DOMAIN, JANE, NOW

OUTSIDER = ClientFacts("192.0.2.25", 25, "mx.example.net", esmtp=True)
THREAD = "References: <1@desk.example.org>\r\n"


@pytest.fixture
def exchange(store: Store, tmp_path: Path) -> Exchange:
    """Anna's letter to Jane and Bob, to a colleague, and to somebody in Bcc; once on each kind of database."""
    opened = Exchange.open(store, tmp_path)
    opened.begin(JANE, BOB, blind=(HIDDEN,), colleagues=(BEN,))
    return opened


def at(exchange: Exchange, address: str, secret: bytes | None = None) -> str:
    """The reader's address that Anna got by mail."""
    participant_id = exchange.person(address).participant_id
    return SecretAddress(AddressKind.READER, participant_id, secret or exchange.secret).write(DOMAIN)


def refused(outcome: Sorted | Reply, words: str) -> bool:
    return isinstance(outcome, Reply) and outcome.code == 550 and words in outcome.text


def test_an_answer_is_sealed_for_its_envelope(exchange: Exchange) -> None:
    """For Jane alone, with a fresh link that opens what came before; nobody is told but Jane, and nobody receipts it."""
    outcome = exchange.sort(at(exchange, JANE), text=f"see you, {at(exchange, JANE)}")
    assert isinstance(outcome, Sorted)
    [part] = outcome.parts
    assert exchange.reads(JANE) == ["first", f"see you, {JANE}"]
    assert exchange.reads(JANE, 0) == exchange.reads(JANE)
    assert exchange.reads(BOB) == ["first"]
    notices = [mail(draft) for draft in part.drafts if draft.consignments]
    assert [str(one["To"]) for one in notices] == [JANE]
    assert part.changes == ()
    shown = exchange.opened(JANE).messages[-1].manifest
    assert (shown.to, shown.sender) == ((JANE,), ANNA)


def test_rules_still_speak(exchange: Exchange) -> None:
    """What a rule flags has a receipt; what one refuses is refused with its reason, also in a conversation."""
    flagged = exchange.sort(at(exchange, JANE), text="a canary")
    assert isinstance(flagged, Sorted)
    assert len(flagged.parts[0].changes) == 1
    assert refused(exchange.sort(at(exchange, JANE), text="nightjar"), "it must not leave (rule never)")
    assert len(exchange.reads(JANE)) == 2


def test_who_may_answer(exchange: Exchange) -> None:
    """The sender, a colleague who takes part, a delegate; no other colleague, no stranger, nobody from outside."""
    for by in (ANNA, "Anna <ANNA@EXAMPLE.ORG>", BEN, PA):
        assert isinstance(exchange.sort(at(exchange, JANE), by=by.rpartition("<")[2].rstrip(">")), Sorted)
    assert refused(exchange.sort(at(exchange, JANE), by="mallory@example.org"), "takes part")
    assert refused(exchange.sort(at(exchange, JANE), by=JANE), "takes part")
    assert refused(exchange.sort(at(exchange, JANE), client=OUTSIDER), "organisation's own")


def test_what_the_address_says_must_be_true(exchange: Exchange) -> None:
    """A wrong secret, an unknown reader, one who was removed or taken back: refused, with a sentence of what to do."""
    assert refused(exchange.sort(at(exchange, JANE, b"x" * 20)), "not valid any more")
    unknown = SecretAddress(AddressKind.READER, b"u" * 16, exchange.secret).write(DOMAIN)
    assert refused(exchange.sort(unknown), "not known any more")
    anna = SecretAddress(AddressKind.READER, exchange.person(ANNA).participant_id, exchange.secret).write(DOMAIN)
    assert refused(exchange.sort(anna), "not known any more")
    jane, bob = at(exchange, JANE), at(exchange, BOB)
    exchange.office.store.run(lambda conn: recall(conn, [exchange.person(JANE).participant_id], NOW))
    assert refused(exchange.sort(jane), "restore")
    exchange.office.store.run(lambda conn: remove(conn, exchange.office.keyring, exchange.person(BOB), NOW))
    assert refused(exchange.sort(bob), "not known any more")


def test_machines_answer_nobody(exchange: Exchange) -> None:
    """An out-of-office text to a reader's address is dropped and recorded."""
    outcome = exchange.sort(at(exchange, JANE), more="Auto-Submitted: auto-replied\r\n")
    assert isinstance(outcome, Sorted)
    assert exchange.reads(JANE) == ["first"]
    assert any("a machine sent it" in line for line in exchange.office.told())


def test_the_thread_joins_readers_and_nobody_else(exchange: Exchange) -> None:
    """Real addresses with the thread's References: readers join, others are judged with *seal* as the floor."""
    outcome = exchange.sort(JANE, "stranger@example.com", at(exchange, BOB), text="to all", more=THREAD)
    assert isinstance(outcome, Sorted)
    assert [path.address for path in outcome.arrival.envelope.recipients] == ["stranger@example.com"]
    assert outcome.floor is not None
    assert outcome.floor.action is Action.SEAL
    [part] = outcome.parts
    assert len(part.sealed) == 1  # one message in the conversation, for both
    assert exchange.reads(JANE)[-1] == exchange.reads(BOB)[-1] == "to all"
    assert exchange.reads(HIDDEN) == ["first"]


def test_a_header_adds_nobody_and_proves_nothing(exchange: Exchange) -> None:
    """Who takes no part joins nobody by a header; a stranger's mail is not even looked up."""
    by_colleague = exchange.sort(JANE, by="mallory@example.org", more=THREAD)
    assert isinstance(by_colleague, Sorted)
    assert (by_colleague.parts, by_colleague.floor is not None) == ((), True)
    by_stranger = exchange.sort(JANE, client=OUTSIDER, more=THREAD)
    assert isinstance(by_stranger, Sorted)
    assert (by_stranger.parts, by_stranger.floor) == ((), None)
    assert exchange.reads(JANE) == ["first"]


def test_a_strict_rule_is_not_passed_by_the_thread(exchange: Exchange) -> None:
    """A copy that the rules refuse takes the ordinary way, which refuses it, instead of joining."""
    outcome = exchange.sort(JANE, text="nightjar", more=THREAD)
    assert isinstance(outcome, Sorted)
    assert [path.address for path in outcome.arrival.envelope.recipients] == [JANE]


def test_secrets_leave_ordinary_mail(exchange: Exchange) -> None:
    """A forward without any thread carries real addresses when it leaves; other mail stays the same octets."""
    outcome = exchange.sort("carol@example.com", text=f"From: {at(exchange, JANE)}", client=STAFF)
    assert isinstance(outcome, Sorted)
    assert f"From: {JANE}".encode() in outcome.arrival.content
    assert at(exchange, JANE).encode() not in outcome.arrival.content
    assert outcome.arrival.reading.parts[0].text.strip() == f"From: {JANE}"
