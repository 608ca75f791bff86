"""The audit: chains, checkpoints, and what their check finds."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, event, text

from relay.errors import RefusedError
from relay.store.audit import Audit, forget_until
from relay.store.checkpoints import Record, checkpoint, records
from relay.store.events import _SENTENCES, Event, sentence
from relay.store.verification import Report, verify
from relay.store.writer import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MESSAGE = bytes(range(16))


class Keys:
    """The two keys that the audit needs."""

    audit_key = bytes(32)

    @cached_property
    def signing_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.generate()


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def audit(keys: Keys) -> Audit:
    return Audit(keys, "relay-0")


def record(store: Store, audit: Audit, count: int, *, start: int = 0) -> None:
    for number in range(start, start + count):
        store.run(partial(accepted, audit, NOW + timedelta(seconds=number)))


def accepted(audit: Audit, at: datetime, connection: Connection) -> None:
    audit.append(connection, Event.ACCEPTED, MESSAGE, {"size": 1}, at=at)


def sign(store: Store, keys: Keys) -> str:
    line = store.run(lambda connection: checkpoint(connection, keys, NOW))
    assert line is not None
    return line


def check(store: Store, keys: Keys, exported: Sequence[str] = ()) -> Report:
    with store.read() as connection:
        return verify(connection, keys.signing_key.public_key(), exported)


def told(store: Store, keys: Keys) -> tuple[Record, ...]:
    with store.read() as connection:
        return records(connection, keys.signing_key.public_key(), Event.ACCEPTED, MESSAGE)


def tamper(store: Store, statement: str) -> None:
    """Change the database as somebody with access to it could."""
    store.run(lambda connection: connection.exec_driver_sql(statement) and None)


def test_untouched_chains_have_no_problem(store: Store, keys: Keys, audit: Audit) -> None:
    """Several writers' events under two checkpoints are all proven."""
    other = Audit(keys, "portal-0")
    record(store, audit, 5)
    sign(store, keys)
    record(store, other, 3)
    record(store, audit, 2, start=5)
    sign(store, keys)
    assert check(store, keys) == Report(10, 10, 0, 2, NOW, ())


def test_events_after_the_last_checkpoint_are_unproven(store: Store, keys: Keys, audit: Audit) -> None:
    """What is newer than the last checkpoint is reported as such."""
    record(store, audit, 3)
    sign(store, keys)
    record(store, audit, 2)
    report = check(store, keys)
    assert (report.proven, report.unproven, report.problems) == (3, 2, ())


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit SET facts = '{\"size\":2}' WHERE seq = 3", "event 3 was changed"),
        ("UPDATE audit SET event = 'refused' WHERE seq = 3", "event 3 was changed"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 3", "event 3 was changed"),
        ("UPDATE audit SET message_id = NULL WHERE seq = 3", "event 3 was changed"),
        ("DELETE FROM audit WHERE seq = 3", "events 3 to 3 are missing"),
        ("DELETE FROM audit WHERE seq = 1", "events 1 to 1 are missing"),
        ("DELETE FROM audit WHERE seq >= 4", "it was cut off"),
        ("DELETE FROM audit", "the whole chain is missing"),
        ("UPDATE audit SET seq = 9 - seq WHERE seq IN (4, 5)", "event 3 was changed, or 4 does not follow it"),
        ("UPDATE audit SET writer = 'relay-9'", "the whole chain is missing"),
        ("UPDATE checkpoint SET heads = '{}'", "not signed by this installation's key"),
        ("UPDATE checkpoint SET at = at + 1", "not signed by this installation's key"),
        ("UPDATE checkpoint SET seq = 2", "does not follow"),
    ],
)
def test_every_change_of_what_was_signed_is_found(
    store: Store, keys: Keys, audit: Audit, statement: str, words: str
) -> None:
    """Editing, deleting, moving and cutting off are named with their place."""
    record(store, audit, 5)
    sign(store, keys)
    if "9 - seq" in statement:  # swapping needs a free place on the way
        tamper(store, "UPDATE audit SET seq = 40 WHERE seq = 4")
        tamper(store, "UPDATE audit SET seq = 4 WHERE seq = 5")
        tamper(store, "UPDATE audit SET seq = 5 WHERE seq = 40")
    else:
        tamper(store, statement)
    assert words in " | ".join(check(store, keys).problems)


def test_rewritten_chain_does_not_match_its_signature(store: Store, keys: Keys, audit: Audit) -> None:
    """Who rewrites a whole chain with correct hashes still cannot sign it."""
    record(store, audit, 3)
    sign(store, keys)
    tamper(store, "DELETE FROM audit")
    record(store, audit, 3, start=10)
    assert "event 3 is not the one that a checkpoint signed" in check(store, keys).problems[0]


def test_years_are_checked_page_by_page(
    store: Store, keys: Keys, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has gathered, neither events nor checkpoints are read all at once, and nothing is overlooked for it."""
    monkeypatch.setattr("relay.store.checkpoints._PAGE", 2)
    record(store, Audit(keys, "cli"), 1)
    for number in range(5):
        record(store, audit, 3, start=3 * number)
        sign(store, keys)
    record(store, Audit(keys, "portal-0"), 1)
    asked: list[str] = []
    with store.read() as connection:
        note = lambda *facts: asked.append(facts[2])  # noqa: E731
        event.listen(connection.engine, "before_cursor_execute", note)
        report = verify(connection, keys.signing_key.public_key())
        event.remove(connection.engine, "before_cursor_execute", note)
    assert report == Report(17, 16, 1, 5, NOW, ())
    assert len(asked) > 10
    assert all("LIMIT" in one or "min(" in one for one in asked)
    tamper(store, "UPDATE audit SET facts = '{}' WHERE writer = 'relay-0' AND seq = 7")
    assert "event 7 was changed" in check(store, keys).problems[0]


def test_a_chain_that_was_written_anew_is_named_a_hundred_times_at_most(store: Store, keys: Keys, audit: Audit) -> None:
    """Who changes everything does not fill the memory of whoever checks."""
    for waiting in [store.submit(partial(accepted, audit, NOW)) for _ in range(150)]:  # they share commits
        waiting.result()
    sign(store, keys)
    tamper(store, "UPDATE audit SET facts = '{}'")
    assert len(check(store, keys).problems) == 100


def test_exported_checkpoint_shows_that_later_ones_were_cut_off(store: Store, keys: Keys, audit: Audit) -> None:
    """Cutting events and checkpoints off together is seen by who keeps the exported lines."""
    record(store, audit, 3)
    first = sign(store, keys)
    record(store, audit, 3)
    second = sign(store, keys)
    tamper(store, "DELETE FROM audit WHERE seq > 3")
    tamper(store, "DELETE FROM checkpoint WHERE seq = 2")
    assert check(store, keys).problems == ()
    assert check(store, keys, [first]).problems == ()
    assert "exported checkpoint is not in the database" in check(store, keys, [first, second]).problems[0]


def test_exported_line_that_the_log_cut_is_compared_as_far_as_it_goes(store: Store, keys: Keys, audit: Audit) -> None:
    """A line of very many writers is cut by the log; its rest still speaks for or against the database."""
    record(store, audit, 3)
    line = sign(store, keys)
    front = line[: line.index("{") + 30]
    assert check(store, keys, [f"{front}…"]).problems == ()
    (problem,) = check(store, keys, [f"{front[:-1]}#…"]).problems
    assert problem.startswith("an exported checkpoint is not in the database")


def test_a_record_is_proven_by_the_first_checkpoint_over_it(store: Store, keys: Keys, audit: Audit) -> None:
    """Before a checkpoint a record is unproven; after it, it is proven, whatever comes later."""
    record(store, audit, 2)
    assert [one.signed_at for one in told(store, keys)] == [None, None]
    sign(store, keys)
    record(store, audit, 3, start=2)
    assert [one.signed_at for one in told(store, keys)] == [NOW, NOW, None, None, None]
    assert told(store, keys)[1].facts == {"size": 1}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET facts = '{\"size\":9}' WHERE seq = 1",
        "UPDATE audit SET facts = '{\"size\":9}' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE checkpoint SET heads = replace(heads, '[3', '[4')",
        "DELETE FROM checkpoint",
    ],
)
def test_a_record_is_unproven_when_its_chain_or_signature_was_changed(
    store: Store, keys: Keys, audit: Audit, statement: str
) -> None:
    """An edit, a gap or a false signature between a record and its checkpoint leaves nothing proven."""
    record(store, audit, 3)
    sign(store, keys)
    tamper(store, statement)
    assert told(store, keys)[0].signed_at is None


def test_quiet_time_makes_no_checkpoint(store: Store, keys: Keys, audit: Audit) -> None:
    """Nothing is signed when nothing happened."""
    assert store.run(lambda connection: checkpoint(connection, keys, NOW)) is None
    record(store, audit, 1)
    sign(store, keys)
    assert store.run(lambda connection: checkpoint(connection, keys, NOW)) is None


def test_event_of_a_failed_transaction_is_not_recorded(store: Store, keys: Keys, audit: Audit) -> None:
    """An event shares the fate of its transaction, and the chain has no gap."""

    def fails(connection: Connection) -> None:
        audit.append(connection, Event.SEALED, MESSAGE, at=NOW)
        raise RefusedError("no")

    futures = [store.submit(fails) if number == 1 else None for number in range(3)]
    record(store, audit, 2)
    with pytest.raises(RefusedError):
        futures[1].result(10)  # type: ignore[union-attr]
    sign(store, keys)
    assert check(store, keys) == Report(2, 2, 0, 1, NOW, ())


def test_two_processes_under_one_name_do_not_fork_a_chain(
    store: Store, open_another: Callable[[], Store], keys: Keys, audit: Audit
) -> None:
    """Two command lines at the same time continue one chain."""
    other = open_another()
    futures = [
        writer.submit(lambda connection: audit.append(connection, Event.RETRIED, MESSAGE, at=NOW))
        for _ in range(20)
        for writer in (store, other)
    ]
    for future in futures:
        future.result(20)
    sign(store, keys)
    assert check(store, keys) == Report(40, 40, 0, 1, NOW, ())


def test_personal_facts_are_readable_until_forgotten(store: Store, keys: Keys, audit: Audit) -> None:
    """Whom an event names is read with the audit key, stands nowhere in clear, and goes with its key alone."""
    personal = {"sender": "jane@example.org", "recipients": "joe@example.net"}
    store.run(lambda connection: audit.append(connection, Event.ACCEPTED, MESSAGE, {"size": 3}, personal, at=NOW))
    sign(store, keys)
    with store.read() as connection:
        assert b"jane" not in b"".join(map(repr_bytes, connection.execute(text("SELECT * FROM audit")).all()))
        (line,) = audit.events_of(connection, MESSAGE)
    assert line.personal == personal
    assert line.sentence == "accepted from jane@example.org for joe@example.net, 3 octets"
    store.run(lambda connection: forget_until(connection, NOW + timedelta(seconds=1)))
    with store.read() as connection:
        (line,) = audit.events_of(connection, MESSAGE)
    assert line.personal is None
    assert line.sentence == "accepted, 3 octets"
    assert check(store, keys).problems == ()


def repr_bytes(row: object) -> bytes:
    return repr(row).encode()


def test_personal_facts_need_a_message(audit: Audit, store: Store) -> None:
    """Without a message there is nothing under which they could be forgotten."""
    with pytest.raises(ValueError, match="belong to a message"):
        store.run(lambda connection: audit.append(connection, Event.READ, None, {}, {"name": "Jane"}, at=NOW))


@pytest.mark.parametrize("event", list(Event))
def test_every_event_has_its_sentence(event: Event) -> None:
    """The vocabulary and the sentences are complete; a sentence reads with and without its facts."""
    assert event in _SENTENCES
    assert sentence(event.value, {})
    facts = {name: "x" for segment in _SENTENCES[event] for name in json.dumps(segment).split() if name}
    assert "{" not in sentence(event.value, facts)


def test_event_of_a_newer_version_is_shown_by_its_word() -> None:
    """A word that this version does not know is no error."""
    assert sentence("held", {}) == "held"


def test_chain_is_verified_by_an_independent_reading_of_the_layout(sqlite_url: str, audit: Audit) -> None:
    """The documented layout of an event's hash is what is computed."""
    import hashlib  # noqa: PLC0415 (only this reader of the documentation needs these)
    import struct  # noqa: PLC0415

    from relay.store.writer import open_store  # noqa: PLC0415

    store = open_store(sqlite_url)
    record(store, audit, 2)
    store.close()
    rows = (
        sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
        .execute("SELECT writer, seq, prev, at, event, message_id, facts FROM audit ORDER BY seq")
        .fetchall()
    )
    writer, seq, prev, at, event, message_id, facts = rows[0]
    one = b"letterlock/1 audit event\0"
    one += struct.pack(">H", len(writer)) + writer.encode() + struct.pack(">Q", seq) + prev + struct.pack(">q", at)
    one += struct.pack(">H", len(event)) + event.encode() + bytes([16]) + message_id
    one += struct.pack(">I", len(facts)) + facts.encode() + struct.pack(">I", 0)
    assert hashlib.sha256(one).digest() == rows[1][2]
