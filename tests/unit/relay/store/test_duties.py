"""Duties that one process at a time has."""

from datetime import UTC, datetime, timedelta

from relay.store.duties import hold
from relay.store.writer import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def has(store: Store, owner: bytes, seconds_later: float = 0) -> bool:
    return store.run(
        lambda connection: hold(connection, "fold", owner, NOW + timedelta(seconds=seconds_later), seconds=30)
    )


def test_only_one_owner_has_a_duty(store: Store) -> None:
    """Who has the duty keeps and renews it; the other one has to wait until the lease lapses."""
    assert has(store, b"one")
    assert not has(store, b"two")
    assert has(store, b"one", 20)
    assert not has(store, b"two", 40)
    assert has(store, b"two", 51)
    assert not has(store, b"one", 52)


def test_lease_from_a_wrong_clock_does_not_block_for_ever(store: Store) -> None:
    """A lease that was taken while the clock stood a year ahead can be taken over."""
    assert has(store, b"one", 365 * 86400)
    assert has(store, b"two")
