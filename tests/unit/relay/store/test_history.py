"""History: what is appended, what is counted, what judging sees."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from policies.model import Acquaintance
from relay.store.folding import _SENDER, fold
from relay.store.history import (
    _PAIR,
    ORGANISATION,
    acquaintances,
    observe_received,
    observe_sent,
)
from relay.store.writer import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA, BERT, JANE, JOE, KIM = (bytes([number]) * 16 for number in range(1, 6))


def send(store: Store, sender: bytes, *recipients: bytes, days_ago: float = 0) -> None:
    at = NOW - timedelta(days=days_ago)
    store.run(lambda connection: observe_sent(connection, at, sender, recipients))


def receive(store: Store, sender: bytes, *recipients: bytes) -> None:
    store.run(lambda connection: observe_received(connection, NOW, sender, recipients))


def fold_all(store: Store, limit: int = 1000) -> int:
    return sum(iter(lambda: store.run(lambda connection: fold(connection, limit)), 0))


def known(store: Store, sender: bytes, *recipients: bytes) -> dict[bytes, Acquaintance]:
    with store.read() as connection:
        return acquaintances(connection, sender, recipients)


def weight(store: Store, sender: bytes, recipient: bytes) -> float:
    with store.read() as connection:
        return connection.execute(  # type: ignore[no-any-return]
            select(_PAIR.c.weight).where(_PAIR.c.sender == sender, _PAIR.c.recipient == recipient)
        ).scalar_one()


def test_stranger_has_no_history(store: Store) -> None:
    """Somebody never seen is left out."""
    assert known(store, ANNA, JANE) == {}


def test_message_counts_at_once_before_it_is_folded(store: Store) -> None:
    """The next message of the same sender already sees the last one."""
    send(store, ANNA, JANE, JOE)
    receive(store, JANE, ANNA, BERT)
    assert known(store, ANNA, JANE, JOE, KIM) == {JANE: Acquaintance(1, 1, 3), JOE: Acquaintance(1, 0, 1)}


def test_folding_changes_nothing_that_judging_sees(store: Store) -> None:
    """Counted or not yet counted: the sums are the same, at every step in between."""
    send(store, ANNA, JANE, JOE)
    send(store, ANNA, JANE)
    receive(store, JANE, ANNA)
    before = known(store, ANNA, JANE, JOE)
    assert store.run(lambda connection: fold(connection, 2)) == 2
    assert known(store, ANNA, JANE, JOE) == before
    assert fold_all(store) == 1
    assert known(store, ANNA, JANE, JOE) == before
    assert fold_all(store) == 0


def test_what_is_not_counted_is_read_for_strangers_only(store: Store) -> None:
    """Whether somebody is familiar is always right; how often is only as right as the counters, unless asked for."""
    send(store, ANNA, JANE)
    fold_all(store)
    send(store, ANNA, JANE, JOE)
    receive(store, KIM, ANNA)
    receive(store, BERT, JANE)
    with store.read() as connection:
        found = acquaintances(connection, ANNA, [JANE, JOE, KIM, BERT], exact=False)
    assert found == {
        JANE: Acquaintance(1, 0, 1),
        JOE: Acquaintance(1, 0, 1),
        KIM: Acquaintance(0, 1, 1),
        BERT: Acquaintance(0, 0, 1),
    }


def test_organisation_knows_what_colleagues_know(store: Store) -> None:
    """Mail of one sender counts for everybody inside as the organisation's."""
    send(store, ANNA, JANE)
    receive(store, JANE, BERT)
    fold_all(store)
    assert known(store, KIM, JANE) == {JANE: Acquaintance(0, 0, 2)}
    assert known(store, BERT, JANE) == {JANE: Acquaintance(0, 1, 2)}


def test_weight_halves_in_sixty_days_in_whatever_order_messages_are_folded(store: Store) -> None:
    """A weight is the sum of what each message is worth today."""
    for days in (120, 0, 60):
        send(store, ANNA, JANE, days_ago=days)
        fold_all(store)
    send(store, ANNA, JOE, days_ago=120)
    send(store, ANNA, JOE, days_ago=0)
    send(store, ANNA, JOE, days_ago=60)
    fold_all(store)
    assert weight(store, ANNA, JANE) == pytest.approx(1 + 0.5 + 0.25)
    assert weight(store, ANNA, JOE) == pytest.approx(1 + 0.5 + 0.25)
    assert weight(store, ORGANISATION, JOE) == pytest.approx(1.75)


def test_sender_counts_messages_and_new_contacts(store: Store) -> None:
    """Contacts are distinct people written to; mail received from somebody makes no contact."""
    receive(store, KIM, ANNA)
    send(store, ANNA, JANE, JOE)
    send(store, ANNA, JANE)
    fold_all(store, limit=1)
    send(store, ANNA, KIM, JOE)
    fold_all(store)
    with store.read() as connection:
        counted = connection.execute(select(_SENDER.c.sender, _SENDER.c.messages, _SENDER.c.contacts)).all()
    assert counted == [(ANNA, 3, 3)]


def test_two_folders_count_each_message_once(store: Store, open_another: Callable[[], Store]) -> None:
    """Even when two processes believe to have the duty, nothing is counted twice."""
    for _ in range(50):
        send(store, ANNA, JANE)
    other = open_another()
    futures = [one.submit(lambda connection: fold(connection, 5)) for _ in range(20) for one in (store, other)]
    assert sum(future.result(30) for future in futures) + fold_all(store) == 50
    assert known(store, ANNA, JANE) == {JANE: Acquaintance(50, 0, 50)}


def test_many_recipients_are_looked_up_in_one_go(store: Store) -> None:
    """A message to a thousand people is judged like any other."""
    people = [number.to_bytes(16, "big") for number in range(1000, 2000)]
    send(store, ANNA, *people)
    assert len(known(store, ANNA, *people)) == 1000
    fold_all(store)
    assert set(known(store, ANNA, *people).values()) == {Acquaintance(1, 0, 1)}
