"""Events that count for a while each: never more than the limit within any window, in whatever process."""

import hashlib
import threading
from datetime import UTC, datetime, timedelta

from relay.smtp.failed_sign_ins import FailedSignIns
from relay.store.throttle import Limit, Throttles
from relay.store.writer import Store, open_store

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LIMIT = Limit("a test", 5, timedelta(seconds=300))
THROTTLES = Throttles(lambda label, text: hashlib.sha256(f"{label}\0{text}".encode()).digest()[:16])


def note(store: Store, seconds: float, subject: str = "x") -> int | None:
    return store.run(lambda conn: THROTTLES.note(conn, LIMIT, subject, NOON + timedelta(seconds=seconds)))


def reached(store: Store, seconds: float, subject: str = "x") -> bool:
    with store.read() as conn:
        return THROTTLES.reached(conn, LIMIT, subject, NOON + timedelta(seconds=seconds))


def test_no_window_sees_more_than_the_limit(store: Store) -> None:
    """Each event counts for exactly one window from its own moment, not from that of the first."""
    assert [note(store, at) for at in (0, 100, 200, 299, 299.5)] == [4, 3, 2, 1, 0]
    assert note(store, 299.9) is None
    assert reached(store, 299.9)
    assert not reached(store, 300)
    assert note(store, 300) == 0
    assert note(store, 301) is None
    assert reached(store, 399.9)
    assert note(store, 400) == 0
    assert note(store, 500.1) == 0
    assert not reached(store, 500.1, "somebody else")


def test_a_clock_that_jumped_back_shuts_nobody_out(store: Store) -> None:
    """What was noted under a clock a year ahead does not count for a year."""
    year = 365 * 86400.0
    assert [note(store, year) for _ in range(5)] == [4, 3, 2, 1, 0]
    assert not reached(store, 0)
    assert [note(store, 0) for _ in range(6)] == [4, 3, 2, 1, 0, None]


def test_processes_count_together_and_a_restart_forgets_nothing(database_url: str) -> None:
    """Twelve failures at one moment through three stores: five count; a store that is opened later knows them."""
    counted: list[int | None] = []

    def fail() -> None:
        store = open_store(database_url)
        counted.extend(note(store, 0) for _ in range(4))
        store.close()

    threads = [threading.Thread(target=fail) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(one for one in counted if one is not None) == [0, 1, 2, 3, 4]
    assert counted.count(None) == 7
    store = open_store(database_url)
    assert reached(store, 299)
    store.close()


def test_failures_to_sign_in_are_counted_so(store: Store) -> None:
    """Five in 300 s for a client; to look costs no write."""
    failed = FailedSignIns(store, THROTTLES, now=lambda: NOON)
    assert [failed.add("192.0.2.7") for _ in range(4)] == [4, 3, 2, 1]
    assert not failed.shut_out("192.0.2.7")
    assert [failed.add("192.0.2.7") for _ in range(2)] == [0, None]
    assert failed.shut_out("192.0.2.7")
    assert not failed.shut_out("192.0.2.8")
    assert not FailedSignIns(store, THROTTLES, now=lambda: NOON + timedelta(seconds=300)).shut_out("192.0.2.7")
