"""Group commit: what is reported as done is durable, and one failing transaction spoils no other."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, make_url, select

from relay.errors import RefusedError, StoreError
from relay.store.batch import claim, insert_later
from relay.store.engine import open_engine
from relay.store.gate import Gate
from relay.store.tables import Meta
from relay.store.writer import Store, open_store

META = Meta.__table__  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _patient_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is submitted together is committed together, however busy this machine is."""
    monkeypatch.setattr("relay.store.batch.BATCH_SECONDS", 60)


def put(name: str, value: str = "") -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(META.insert(), [{"name": name, "value": value}])
        return name

    return work


def put_later(name: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        insert_later(connection, META, [{"name": name, "value": ""}])
        return name

    return work


def names(store: Store) -> set[str]:
    with store.read() as connection:
        return set(connection.execute(select(META.c.name)).scalars())


class Blocked:
    """Keeps the writer inside a transaction until released, so that what follows shares the next batch."""

    def __init__(self, store: Store) -> None:
        self._entered = threading.Event()
        self._leave = threading.Event()
        self.future = store.submit(self._work)
        assert self._entered.wait(10)

    def _work(self, _connection: Connection) -> None:
        self._entered.set()
        assert self._leave.wait(10)

    def release(self) -> None:
        self._leave.set()


def test_transaction_is_visible_to_readers_when_run_returns(store: Store) -> None:
    """A transaction's result comes back, and its rows are there for everybody."""
    assert store.run(put("a")) == "a"
    assert names(store) == {"a"}


def test_transactions_submitted_together_share_one_commit(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives while the writer is busy is committed together, not one by one."""
    steps: list[str] = []
    monkeypatch.setattr("relay.store.batch.reached", steps.append)
    store = open_store(database_url)
    blocked = Blocked(store)
    futures = [store.submit(put(f"n{number}")) for number in range(50)]
    blocked.release()
    wait(futures, timeout=10)
    store.close()
    assert steps == ["store: transaction run"] * 51 + ["store: before commit", "store: after commit"]


def test_future_is_open_until_commit_returned(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before COMMIT nobody is told that a transaction is done."""
    seen: list[bool] = []
    futures: list[Future[str]] = []

    def reached(name: str) -> None:
        if name == "store: before commit" and futures:
            seen.append(futures[0].done())

    monkeypatch.setattr("relay.store.batch.reached", reached)
    store = open_store(database_url)
    blocked = Blocked(store)
    futures.append(store.submit(put("a")))
    blocked.release()
    assert futures[0].result(10) == "a"
    store.close()
    assert seen == [False]


@pytest.mark.parametrize("later", [False, True])
def test_failing_transaction_takes_back_only_its_own_rows(store: Store, *, later: bool) -> None:
    """In one batch, a transaction that raises loses its rows and its neighbours keep theirs."""
    write = put_later if later else put

    def fails(connection: Connection) -> None:
        write("lost")(connection)
        raise RefusedError("no")

    blocked = Blocked(store)
    before, failing, after = store.submit(write("before")), store.submit(fails), store.submit(write("after"))
    blocked.release()
    with pytest.raises(RefusedError, match="no"):
        failing.result(10)
    assert (before.result(10), after.result(10)) == ("before", "after")
    assert names(store) == {"before", "after"}


@pytest.mark.parametrize("later", [False, True])
def test_row_that_is_already_there_fails_only_its_own_transaction(store: Store, *, later: bool) -> None:
    """A constraint that fails, even in the rows that the batch writes together, hits the guilty one only."""
    write = put_later if later else put
    store.run(put("twice"))
    blocked = Blocked(store)
    good, bad, good_too = store.submit(write("a")), store.submit(write("twice")), store.submit(write("b"))
    blocked.release()
    with pytest.raises(StoreError, match="a row of this identity is already there"):
        bad.result(10)
    assert (good.result(10), good_too.result(10)) == ("a", "b")
    assert names(store) == {"a", "b", "twice"}


def test_failed_commit_fails_every_transaction_of_the_batch(sqlite_url: str) -> None:
    """When COMMIT itself fails, nobody is told success and nothing is there."""
    store = open_store(sqlite_url)
    store.run(_make_deferred_constraint)
    blocked = Blocked(store)
    broken = store.submit(_break_deferred_constraint)
    innocent = store.submit(put("b"))
    blocked.release()
    for future in (blocked.future, broken, innocent):
        with pytest.raises(StoreError):
            future.result(10)
    assert names(store) == set()
    assert store.run(put("next")) == "next"
    store.close()


def _make_deferred_constraint(connection: Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    connection.exec_driver_sql("CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")


def _break_deferred_constraint(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    connection.exec_driver_sql("INSERT INTO child VALUES (7)")


@pytest.mark.postgresql
def test_batch_whose_connection_is_ended_happens_on_another(postgresql_url: str) -> None:
    """The server ends the connection in the middle of a batch, as at a restart: each transaction is run once more."""
    store, other = open_store(postgresql_url), open_store(postgresql_url)
    ended: list[int] = []

    def loses_its_connection(connection: Connection) -> str:
        if not ended:
            ended.append(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
            other.run(lambda conn: conn.exec_driver_sql(f"SELECT pg_terminate_backend({ended[0]}, 10000)").scalar_one())
        return put("second")(connection)

    blocked = Blocked(store)
    futures = [store.submit(work) for work in (put("first"), loses_its_connection, put("third"))]
    blocked.release()
    assert [future.result(10) for future in futures] == ["first", "second", "third"]
    assert names(store) == {"first", "second", "third"}
    store.close()
    other.close()


def test_work_must_not_commit_by_itself(store: Store) -> None:
    """A transaction that tries to commit is refused, and its neighbours are not committed early."""

    def commits(connection: Connection) -> None:
        put("early")(connection)
        connection.commit()

    with pytest.raises(StoreError, match="must not commit by itself"):
        store.run(commits)
    assert names(store) == set()


def test_cancelled_task_does_not_stop_its_transaction(store: Store) -> None:
    """The connection of a client may go away: what it submitted still becomes durable."""

    async def leave_early() -> None:
        blocked = Blocked(store)
        task = asyncio.ensure_future(store.commit(put("still there")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        blocked.release()
        await store.commit(put("after"))

    asyncio.run(leave_early())
    assert names(store) == {"still there", "after"}


def test_transaction_outlives_its_event_loop(store: Store) -> None:
    """A loop that ended before COMMIT harms neither the transaction nor the writer."""

    async def submit_and_leave(blocked: Blocked) -> None:
        task = asyncio.ensure_future(store.commit(put("orphan")))
        await asyncio.sleep(0)
        task.cancel()
        del blocked

    blocked = Blocked(store)
    asyncio.run(submit_and_leave(blocked))
    blocked.release()
    assert store.run(put("next")) == "next"
    assert names(store) == {"orphan", "next"}


def test_many_tasks_await_their_transactions(store: Store) -> None:
    """Each of many tasks gets the result of its own transaction; errors reach only their owner."""

    async def one(number: int) -> str:
        if number % 10 == 0:
            with pytest.raises(RefusedError):
                await store.commit(_refuse)
            return "refused"
        return await store.commit(put(f"n{number}"))

    async def everybody() -> list[str]:
        return await asyncio.gather(*(one(number) for number in range(100)))

    results = asyncio.run(everybody())
    assert results == ["refused" if number % 10 == 0 else f"n{number}" for number in range(100)]


def test_what_is_submitted_in_one_turn_of_a_loop_shares_one_commit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer with nothing to do is not woken by the first of them: it begins when all have been submitted."""
    steps: list[str] = []
    monkeypatch.setattr("relay.store.batch.reached", steps.append)
    store = open_store(database_url)

    async def two_turns() -> None:
        for turn in range(2):
            await asyncio.gather(*(store.commit(put(f"{turn}-{number}")) for number in range(10)))

    asyncio.run(two_turns())
    store.close()
    once = ["store: transaction run"] * 10 + ["store: before commit", "store: after commit"]
    assert steps == once * 2


def test_close_does_not_forget_this_turn(database_url: str) -> None:
    """What was submitted a moment before the store closes happens, though the loop had no time to end its turn."""
    store = open_store(database_url)

    async def submit_and_close() -> str:
        submitted = asyncio.ensure_future(store.commit(put("last")))
        await asyncio.sleep(0)
        store.close()
        return await submitted

    assert asyncio.run(submit_and_close()) == "last"


def _refuse(_connection: Connection) -> None:
    raise RefusedError("no")


def test_close_finishes_what_was_submitted_and_refuses_more(database_url: str) -> None:
    """After close every submitted transaction is durable and a new one is refused with a sentence."""
    store = open_store(database_url)
    blocked = Blocked(store)
    futures = [store.submit(put(f"n{number}")) for number in range(300)]
    closing = threading.Thread(target=store.close)
    closing.start()
    blocked.release()
    closing.join(20)
    assert all(future.done() for future in futures)
    with pytest.raises(StoreError, match="the store is closed"):
        store.submit(put("late"))
    again = open_store(database_url)
    assert len(names(again)) == 300
    again.close()


def test_patient_transaction_shares_the_commit_of_the_next(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can wait is not written until somebody comes who cannot, and then under the same COMMIT."""
    steps: list[str] = []
    monkeypatch.setattr("relay.store.batch.reached", steps.append)
    store = open_store(database_url)

    async def both() -> None:
        patient = [asyncio.ensure_future(store.commit(put(f"patient {number}"), patience=600)) for number in range(2)]
        await asyncio.sleep(0)
        await store.commit(put("impatient"))
        await asyncio.gather(*patient)

    asyncio.run(both())
    assert names(store) == {"patient 0", "patient 1", "impatient"}
    store.close()
    assert steps == ["store: transaction run"] * 3 + ["store: before commit", "store: after commit"]


def test_patience_ends(store: Store) -> None:
    """A patient transaction that nobody joins has a COMMIT of its own."""
    assert asyncio.run(store.commit(put("alone"), patience=0.001)) == "alone"
    assert names(store) == {"alone"}


def test_close_does_not_forget_the_patient(database_url: str) -> None:
    """What waited for company when the store was closed is durable."""

    async def close_at_once() -> None:
        store = open_store(database_url)
        waiting = asyncio.ensure_future(store.commit(put("patient"), patience=600))
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        assert await waiting == "patient"

    asyncio.run(close_at_once())
    again = open_store(database_url)
    assert names(again) == {"patient"}
    again.close()


def test_reader_cannot_write_and_sees_one_snapshot(store: Store) -> None:
    """A reading connection refuses to write, and does not see what is committed after its first look."""
    store.run(put("a"))
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(META)).scalar_one() == 1
        store.run(put("b"))
        assert connection.execute(select(func.count()).select_from(META)).scalar_one() == 1
    with pytest.raises(StoreError), store.read() as connection:
        connection.execute(META.insert(), [{"name": "c", "value": ""}])
    assert names(store) == {"a", "b"}


def test_two_stores_on_one_database_take_turns(store: Store, open_another: Callable[[], Store]) -> None:
    """Two writers on one database, as two workers are, both finish, and nothing is lost."""
    other = open_another()
    futures = [
        writer.submit(put(f"{name}{number}")) for number in range(100) for name, writer in (("a", store), ("b", other))
    ]
    wait(futures, timeout=30)
    assert len(names(store)) == 200


def test_transaction_that_loses_a_deadlock_is_run_again(postgresql_url: str) -> None:
    """On PostgreSQL two processes may lock rows in opposite order; both transactions happen all the same."""
    one, two = open_store(postgresql_url), open_store(postgresql_url)
    one.run(put("x", "0"))
    one.run(put("y", "0"))
    meet = threading.Barrier(2, timeout=10)

    def crossing(first: str, second: str) -> Callable[[Connection], None]:
        runs: list[int] = []

        def work(connection: Connection) -> None:
            runs.append(1)
            _add(connection, first)
            if len(runs) == 1:
                meet.wait()
            _add(connection, second)

        return work

    futures = [one.submit(crossing("x", "y")), two.submit(crossing("y", "x"))]
    for future in futures:
        future.result(20)
    with one.read() as connection:
        assert set(connection.execute(select(META.c.value)).scalars()) == {"000"}
    one.close()
    two.close()


@pytest.mark.postgresql
def test_a_server_that_vanishes_is_missed_within_seconds(postgresql_url: str) -> None:
    """The writer, and whoever reads, asks the kernel to look for a silent server; the address may say otherwise."""
    url = make_url(postgresql_url)
    for given, idle in ((url, "5"), (url.update_query_dict({"keepalives_idle": "60"}), "60")):
        for writer in (True, False):
            engine = open_engine(given.render_as_string(hide_password=False), writer=writer)
            with engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                parameters = driver.info.get_parameters()
            engine.dispose()
            assert (parameters["keepalives_idle"], parameters["tcp_user_timeout"]) == (idle, "10000")


def _add(connection: Connection, name: str) -> None:
    connection.execute(META.update().where(META.c.name == name).values(value=META.c.value + "0"))


def test_deleted_rows_leave_database_and_log_at_close(sqlite_url: str, tmp_path: Path) -> None:
    """What was deleted is neither in the database file nor in the write-ahead log afterwards."""
    store = open_store(sqlite_url)
    store.run(put("secret", "CANARY-7391"))
    store.run(lambda connection: connection.execute(META.delete()) and None)
    store.close()
    for file in tmp_path.iterdir():
        assert b"CANARY-7391" not in file.read_bytes(), file.name


def test_deleted_rows_leave_the_log_on_schedule(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that runs for months does not keep deleted rows in its log."""
    monkeypatch.setattr("relay.store.writer._TRUNCATE_SECONDS", 0)
    store = open_store(sqlite_url)
    store.run(put("secret", "CANARY-7391"))
    store.run(lambda connection: connection.execute(META.delete()) and None)
    store.run(put("the cut after the deletion lies before this"))
    for file in tmp_path.iterdir():
        assert b"CANARY-7391" not in file.read_bytes(), file.name
    store.close()


def test_removed_database_file_is_noticed_before_anything_is_lost(sqlite_url: str, tmp_path: Path) -> None:
    """Writing into a file that somebody deleted would lose mail: the transaction fails with a sentence instead."""
    store = open_store(sqlite_url)
    (tmp_path / "letterlock.db").rename(tmp_path / "gone.db")
    with pytest.raises(StoreError, match="removed or replaced while in use"):
        store.run(put("a"))
    store.close()


def test_locked_database_says_so(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores our gate and keeps the database locked is named, and later transactions pass."""
    monkeypatch.setattr("relay.store.engine.BUSY_MILLISECONDS", 50)
    store = open_store(sqlite_url)
    intruder = sqlite3.connect(tmp_path / "letterlock.db", isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another program"):
        store.run(put("a"))
    with pytest.raises(StoreError, match="locked by another program"):
        asyncio.run(store.commit(put("patient"), patience=0.001))
    intruder.execute("ROLLBACK")
    intruder.close()
    assert store.run(put("b")) == "b"
    store.close()


def test_who_waits_too_long_is_told_and_never_happens(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a transaction that does not end, others are withdrawn before they begin; what comes later happens."""
    monkeypatch.setattr("relay.store.line.LOOK_SECONDS", 0.001)
    blocked = Blocked(store)
    with pytest.raises(StoreError, match="another process or the disk stands still"):
        store.run(put("from a thread"))
    with pytest.raises(StoreError, match="another process or the disk stands still"):
        asyncio.run(store.commit(put("from a task")))
    monkeypatch.setattr("relay.store.line.LOOK_SECONDS", 1.0)
    blocked.release()
    assert store.run(put("later")) == "later"
    assert names(store) == {"later"}


def test_closing_while_another_process_is_stuck_in_the_gate(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is told that it has not happened, and the process can end; the writer goes on by itself later."""
    monkeypatch.setattr("relay.store.line.LOOK_SECONDS", 0.001)
    store = open_store(sqlite_url)
    gate = Gate(tmp_path / "letterlock.db.gate")
    with gate.held():
        waiting = store.submit(put("waiting"))
        store.close()
        with pytest.raises(StoreError, match="stands still"):
            waiting.result(0)
        with pytest.raises(StoreError, match="the store is closed"):
            store.submit(put("late"))
        with (
            pytest.raises(StoreError, match="stands still, or writes for long"),
            closing(Gate(tmp_path / "letterlock.db.gate")) as other,
            other.held(0.01),
        ):
            pass
    gate.close()
    monkeypatch.setattr("relay.store.line.LOOK_SECONDS", 1.0)
    again = open_store(sqlite_url)
    assert again.run(put("next")) == "next"
    assert names(again) == {"next"}
    again.close()


def test_of_equal_claims_in_one_batch_the_first_counts(store: Store) -> None:
    """Rows that are left for the end of the batch are seen by no SELECT; a transaction that fails claims nothing."""
    entered, go = threading.Event(), threading.Event()

    def hold_up(_connection: Connection) -> None:
        entered.set()
        assert go.wait(10)

    def fail(connection: Connection) -> None:
        claim(connection, "one")
        raise ValueError("taken back")

    blocker = store.submit(hold_up)
    assert entered.wait(10)
    failed = store.submit(fail)
    claims = [store.submit(lambda connection: claim(connection, "one")) for _ in range(3)]
    other = store.submit(lambda connection: claim(connection, "another"))
    go.set()
    blocker.result(10)
    with pytest.raises(ValueError, match="taken back"):
        failed.result(10)
    assert [one.result(10) for one in claims] == [True, False, False]
    assert other.result(10)
    assert store.run(lambda connection: claim(connection, "one"))  # a batch of its own


def test_a_look_sees_what_is_committed_and_tells_of_trouble(store: Store) -> None:
    """From the event loop, on both kinds of database; what the question raises comes out, an error of theirs as ours."""

    async def body() -> None:
        await store.commit(put("seen"))
        found = select(META.c.name).where(META.c.name == "seen")
        assert await store.look(lambda conn: conn.execute(found).scalar()) == "seen"
        with pytest.raises(RefusedError):
            await store.look(lambda _conn: refuse())
        with pytest.raises(StoreError):
            await store.look(put("a look never writes"))
        assert await store.look(lambda conn: conn.execute(found).scalar()) == "seen"

    def refuse() -> None:
        raise RefusedError("no")

    asyncio.run(body())
    assert "a look never writes" not in names(store)
