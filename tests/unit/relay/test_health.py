import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
import trustme
from sqlalchemy import Connection, select, update

from relay import clock
from relay.commit_probe import CommitProbe
from relay.config import Configuration, load
from relay.config.demo import demo_text, word_lists
from relay.dkim.signer import Signer
from relay.health import facts
from relay.queue import pauses
from relay.queue.interventions import retry_portion, waiting_ids
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.session import CLOSING
from relay.queue.spooling import NewEntry, Spooler, insert_message
from relay.store.audit import Audit
from relay.store.schema import migrate
from relay.store.tables import Entry, Meta
from relay.store.tables.queue import Kind
from relay.store.writer import Store, open_store
from relay.vault.blobs import FileBlobs
from relay.vault.keyring import Keyring

ENTRY = Entry.__table__  # type: ignore[attr-defined]


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    """Load a demo configuration in a folder of its own, with its database."""
    (tmp_path / "lists").mkdir()
    for name, text in word_lists().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "relay.toml").write_text(demo_text())
    (tmp_path / "var/blobs").mkdir(parents=True)
    found = load(tmp_path / "relay.toml")
    Keyring.create(found.keys.folder)
    migrate(found.storage.database)
    return found


@pytest.fixture
def store(configuration: Configuration) -> Iterator[Store]:
    """Open the installation's store."""
    one = open_store(configuration.storage.database)
    yield one
    one.close()


def put(configuration: Configuration, store: Store, at: datetime, to: str = "jane@example.net") -> None:
    keyring = Keyring.open(configuration.keys.folder, role="cli")
    spooler = Spooler(store, keyring, FileBlobs(configuration.storage.blobs), inline_limit=1 << 20, signer=Signer())
    entry = NewEntry(Kind.MAIL, "outside", EntryEnvelope(to))
    draft = spooler.draft(QueuedEnvelope("anna@example.org"), [entry], b"Subject: x\r\n\r\n", now=at)
    store.run(lambda conn: insert_message(conn, draft))


def test_an_idle_installation_is_well(configuration: Configuration, store: Store) -> None:
    """With nothing waiting all is well, and a commit was timed."""
    found = facts(configuration, store, commit_time=CommitProbe(store).seconds).as_json()
    assert (found["status"], found["problems"]) == ("ok", [])
    assert found["queue"] == {"waiting": 0, "overdue_seconds": 0, "oldest_seconds": 0}
    assert found["disk_free"] > 0
    assert 0 <= found["commit_seconds"] < 10


def test_mail_that_an_operator_forgot_is_named(configuration: Configuration, store: Store) -> None:
    """What was paused a day ago needs somebody soon, not now; it does not count as overdue."""
    put(configuration, store, clock.now() - timedelta(days=3))
    for age, problems in ((timedelta(hours=23), 0), (timedelta(hours=25), 1)):
        store.run(lambda conn: pauses.resume_destination(conn, "example.net", clock.now()))
        store.run(lambda conn: pauses.pause_destination(conn, "example.net", clock.now() - age))  # noqa: B023
        found = facts(configuration, store)
        assert found.ok
        assert [one.fault for one in found.problems] == ["paused mail"] * problems


def test_mail_that_is_not_sent_is_urgent(configuration: Configuration, store: Store) -> None:
    """An entry due for more than a quarter of an hour says that delivery stands still."""
    put(configuration, store, clock.now() - timedelta(minutes=10))
    assert facts(configuration, store).ok
    put(configuration, store, clock.now() - timedelta(minutes=20))
    found = facts(configuration, store)
    assert not found.ok
    assert found.as_json()["queue"]["waiting"] == 2
    assert [problem.sentence for problem in found.problems] == [
        "mail has been due for 20 minutes and is not being sent"
    ]


def test_what_a_person_made_due_is_not_overdue(configuration: Configuration, store: Store) -> None:
    """To try ten thousand old mails again, or to let them go on, is no alarm."""
    now = clock.now()
    audit = Audit(Keyring.open(configuration.keys.folder, role="cli"), "cli")
    put(configuration, store, now - timedelta(hours=5))
    tried = {"attempts": 3, "due_at": now + timedelta(hours=1), "last_code": 451, "last_reply": b"sealed"}
    store.run(lambda conn: conn.execute(update(ENTRY).values(**tried)).rowcount)
    with store.read() as conn:
        waiting = waiting_ids(conn)
    assert store.run(lambda conn: retry_portion(conn, audit, waiting, {}, now)) == 1
    assert facts(configuration, store).queue.overdue == timedelta()
    store.run(lambda conn: pauses.pause_destination(conn, "example.net", now))
    store.run(lambda conn: pauses.resume_destination(conn, "example.net", now - timedelta(minutes=2)))
    assert timedelta(minutes=2) <= facts(configuration, store).queue.overdue < timedelta(hours=5)


def test_a_route_by_which_nothing_leaves_is_urgent(configuration: Configuration, store: Store) -> None:
    """However far off the next try stands. Not at once, not where a server put off what it was asked, or takes other mail."""

    def said(**values: object) -> list[str]:
        store.run(lambda conn: conn.execute(update(ENTRY).values(**values)).rowcount)
        return [problem.sentence for problem in facts(configuration, store).problems]

    now = clock.now()
    put(configuration, store, now - timedelta(minutes=40))
    put(configuration, store, now - timedelta(minutes=10))
    tried = {"attempts": 3, "last_reply": b"sealed", "due_at": now + timedelta(hours=1)}
    [sentence] = said(**tried)
    assert sentence.startswith("nothing leaves by the route outside: 2 entries wait, the oldest for 40 minutes")
    assert said(last_code=CLOSING) == said(last_code=454) == said(last_code=554) == [sentence]
    assert not facts(configuration, store).ok
    assert said(last_code=451) == []
    assert said(last_code=None, last_reply=None) == []
    newest = select(ENTRY.c.id).order_by(ENTRY.c.created_at.desc()).limit(1)
    store.run(
        lambda conn: conn.execute(update(ENTRY).where(ENTRY.c.id == newest.scalar_subquery()).values(state="done"))
    )
    assert said(last_reply=b"sealed") == []


def test_a_gateway_whose_way_out_is_blocked_is_urgent(configuration: Configuration, store: Store) -> None:
    """By MX: when mail for several domains meets nobody, and nothing else leaves. A dead domain or two are no trouble."""
    outside = configuration.route.outside.model_copy(update={"mx": True, "hosts": ()})
    by_mx = configuration.model_copy(update={"route": configuration.route.model_copy(update={"outside": outside})})
    now = clock.now()

    def faults(**changed: object) -> list[str]:
        tried = {"attempts": 3, "last_reply": b"sealed", "due_at": now + timedelta(hours=1), **changed}
        store.run(lambda conn: conn.execute(update(ENTRY).values(**tried)).rowcount)
        return [problem.fault for problem in facts(by_mx, store).problems]

    def one_is_done(domain: str) -> None:
        store.run(
            lambda conn: conn.execute(update(ENTRY).where(ENTRY.c.domain == domain).values(state="done")).rowcount
        )

    for domain, hours in (("a.example", 30), ("b.example", 3), ("c.example", 2), ("c.example", 2)):
        put(configuration, store, now - timedelta(hours=hours), f"jane@{domain}")
    assert faults() == []
    put(configuration, store, now - timedelta(minutes=10), "jane@d.example")
    assert faults() == []
    put(configuration, store, now - timedelta(minutes=20), "jane@e.example")
    assert faults() == ["route outside"]
    assert faults(last_code=451) == []
    assert faults(last_code=None) == ["route outside"]
    one_is_done("a.example")
    assert faults() == ["route outside"]
    one_is_done("d.example")
    assert faults() == []


def test_a_next_hop_that_puts_everything_off_is_urgent(configuration: Configuration, store: Store) -> None:
    """A full disk there, for example: no code tells it from one full mailbox, but each mail of the last hour does."""

    def set_all(**values: object) -> None:
        store.run(lambda conn: conn.execute(update(ENTRY).values(**values)).rowcount)

    now = clock.now()
    for _ in range(9):
        put(configuration, store, now - timedelta(minutes=20))
    later = {"attempts": 2, "last_reply": b"sealed", "last_code": 452, "due_at": now + timedelta(hours=1)}
    set_all(**later)
    assert facts(configuration, store).ok
    put(configuration, store, now - timedelta(minutes=1))  # a greylister's first answer
    set_all(**later)
    assert facts(configuration, store).ok
    put(configuration, store, now - timedelta(minutes=20))
    set_all(**later)
    assert [problem.fault for problem in facts(configuration, store).problems] == ["route outside"]
    put(configuration, store, now - timedelta(minutes=50))
    one = select(ENTRY.c.id).order_by(ENTRY.c.created_at).limit(1).scalar_subquery()
    store.run(lambda conn: conn.execute(update(ENTRY).where(ENTRY.c.id == one).values(state="done")).rowcount)
    assert facts(configuration, store).ok


def test_a_disk_below_its_reserve_is_urgent(configuration: Configuration, store: Store) -> None:
    """When new mail is put off for want of room a person is needed."""
    storage = configuration.storage.model_copy(update={"disk_reserve": 1 << 62})
    found = facts(configuration.model_copy(update={"storage": storage}), store)
    assert found.status == "failing"
    assert "fuller than storage.disk_reserve allows" in found.problems[0].sentence


@pytest.mark.parametrize(("days", "status"), [(90, "ok"), (3, "warning"), (-1, "failing")])
def test_a_certificate_is_spoken_of_before_it_ends(
    configuration: Configuration, store: Store, tmp_path: Path, days: int, status: str
) -> None:
    """A certificate that ends within a week is a warning, one that has ended is urgent."""
    issued = trustme.CA().issue_cert("letter.example.org", not_after=datetime.now(UTC) + timedelta(days=days, hours=1))
    (tmp_path / "c.pem").write_bytes(issued.cert_chain_pems[0].bytes())
    listener = configuration.listen["submission"].model_copy(
        update={"tls": "starttls", "certificate": tmp_path / "c.pem"}
    )
    found = facts(configuration.model_copy(update={"listen": {"submission": listener}}), store)
    assert found.status == status
    assert found.as_json()["certificate_days"] == {"submission": days}


def test_a_database_that_does_not_answer_is_urgent(configuration: Configuration, store: Store) -> None:
    """A store that is closed or gone is a fact, not an exception."""
    store.close()
    found = facts(configuration, store, commit_time=CommitProbe(store).seconds)
    assert found.status == "failing"
    assert found.commit is None


def test_asking_often_writes_seldom(configuration: Configuration, store: Store) -> None:
    """However often a monitor asks, the commit is timed once in ten seconds."""

    def probed() -> str:
        with store.read() as conn:
            return str(conn.execute(select(Meta.__table__.c.value)).scalar_one())  # type: ignore[attr-defined]

    probe = CommitProbe(store)
    with time_machine.travel(clock.now(), tick=False) as traveller:
        assert facts(configuration, store, commit_time=probe.seconds).commit is not None
        store.run(lambda _conn: None)  # the time that was taken is written behind it
        first = probed()
        traveller.shift(9)
        assert facts(configuration, store, commit_time=probe.seconds).commit is not None
        assert probed() == first
        traveller.shift(2)
        facts(configuration, store, commit_time=probe.seconds)
        assert probed() != first


def test_a_commit_that_does_not_end_is_urgent(configuration: Configuration, store: Store) -> None:
    """While another process holds everything up the page says so in time, and asks the database no second time."""
    held, release = threading.Event(), threading.Event()

    def stand_still(_conn: Connection) -> None:
        held.set()
        release.wait(30)

    probe = CommitProbe(store, patience=0.05)
    standing = store.submit(stand_still)
    assert held.wait(10)
    for _ in range(2):
        found = facts(configuration, store, commit_time=probe.seconds)
        assert found.status == "failing"
        assert "no commit has ended within 0.05 seconds" in found.problems[0].sentence
    release.set()
    standing.result(10)
    with time_machine.travel(clock.now() + timedelta(minutes=1)):
        assert facts(configuration, store, commit_time=CommitProbe(store).seconds).ok


def test_a_front_door_where_nobody_answers_is_urgent(configuration: Configuration, store: Store) -> None:
    """However well everything else is: while no relay takes mail, all is not well."""
    found = facts(configuration, store, silent=lambda: ["submission"])
    assert found.status == "failing"
    assert found.as_json()["problems"] == ["nobody answers at listen.submission: no mail is taken there"]
    assert found.as_json()["silent_listeners"] == ["submission"]
