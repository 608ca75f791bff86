"""Statements compiled once: the same rows, values and transactions as through SQLAlchemy, on both databases."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import Table, bindparam, select, text, update

from relay.errors import StoreError
from relay.store.faults import is_database_error
from relay.store.prepared import Prepared, PreparedForKeys, insertion
from relay.store.tables import Decision, Entry
from relay.store.writer import Store, open_store

ENTRY: Table = cast("Any", Entry).__table__
DECISION: Table = cast("Any", Decision).__table__
AT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
BY_MESSAGE = select(DECISION).where(DECISION.c.message_id == bindparam("of_id")).order_by(DECISION.c.position)


def decision(message_id: bytes, position: int = 0, *, inside: bool = True) -> dict[str, Any]:
    """One row of a table with moments, octets, truth and text."""
    return {
        "message_id": message_id,
        "position": position,
        "at": AT,
        "recipient_hash": b"\x00\xff" * 8,
        "domain": "exämple.org",
        "inside": inside,
        "action": "pass",
        "rules": "[]",
        "shadow": "100 %s",
    }


def insert(store: Store, *rows: dict[str, Any]) -> None:
    """Insert rows of the decision table in one transaction."""
    store.run(lambda conn: insertion(DECISION, tuple(rows[0])).many(conn, rows))


def test_rows_come_out_as_sqlalchemy_gives_them(store: Store) -> None:
    """What was inserted on the driver is read by both ways alike, with the types of the columns."""
    insert(store, decision(b"a" * 16, inside=False), decision(b"a" * 16, 1))
    with store.read() as conn:
        prepared = Prepared(BY_MESSAGE).rows(conn, {"of_id": b"a" * 16})
        ordinary = conn.execute(BY_MESSAGE, {"of_id": b"a" * 16}).all()
    assert (
        prepared
        == [tuple(row) for row in ordinary]
        == [
            (b"a" * 16, number, AT, b"\x00\xff" * 8, "exämple.org", bool(number), "pass", "[]", "100 %s")
            for number in (0, 1)
        ]
    )


def test_columns_left_out_get_their_constant_defaults(store: Store) -> None:
    """A row may leave out what its table fills in, as with SQLAlchemy's own insert."""
    row = {
        "id": b"e" * 16,
        "message_id": b"m" * 16,
        "kind": "mail",
        "route": "outside",
        "domain": "example.org",
        "recipient_hash": b"h" * 16,
        "envelope": b"",
        "state": "due",
        "created_at": AT,
        "due_at": AT,
    }
    store.run(lambda conn: insertion(ENTRY, tuple(row)).many(conn, [row]))
    with store.read() as conn:
        assert conn.execute(select(ENTRY.c.attempts, ENTRY.c.lease_epoch, ENTRY.c.last_code)).all() == [(0, 0, None)]


def test_a_change_tells_how_many_rows_it_met(store: Store) -> None:
    """The number of changed rows is what fencing rests on."""
    insert(store, decision(b"b" * 16), decision(b"b" * 16, 1))
    statement = Prepared(
        update(DECISION).where(DECISION.c.message_id == bindparam("of_id")).values(action=bindparam("new"), rules="[1]")
    )
    assert store.run(lambda conn: statement.run(conn, {"of_id": b"b" * 16, "new": "seal"})) == 2
    assert store.run(lambda conn: statement.run(conn, {"of_id": b"c" * 16, "new": "seal"})) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 200])
def test_any_number_of_rows_is_inserted_once(store: Store, count: int) -> None:
    """However rows are put together into statements, each arrives once and as it was given."""
    rows = [decision(b"r" * 16, number, inside=number % 3 == 0) for number in range(count)]
    insert(store, *rows)
    with store.read() as conn:
        assert Prepared(BY_MESSAGE).rows(conn, {"of_id": b"r" * 16}) == [tuple(row.values()) for row in rows]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 8, 9, 20])
def test_lists_of_any_length_find_each_key_once(store: Store, count: int) -> None:
    """Short lists are filled up with their last key and long ones cut: neither shows in the rows."""
    insert(store, *(decision(bytes([number]) * 16) for number in range(24)))
    keys = [bytes([number]) * 16 for number in range(count)]
    statement = PreparedForKeys(
        lambda ids: select(DECISION.c.message_id).where(
            DECISION.c.message_id.in_(ids), DECISION.c.domain == bindparam("of_domain")
        ),
        most=8,
    )
    with store.read() as conn:
        assert sorted(statement.rows(conn, keys, {"of_domain": "exämple.org"})) == [(key,) for key in keys]
        assert statement.rows(conn, keys, {"of_domain": "other"}) == []


def test_a_failed_transaction_takes_prepared_rows_back(store: Store) -> None:
    """Rows written on the driver share the fate of the transaction around them."""

    def spoil(conn: Any) -> None:
        insertion(DECISION, tuple(decision(b"d" * 16))).many(conn, [decision(b"d" * 16)])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.run(spoil)
    with store.read() as conn:
        assert Prepared(BY_MESSAGE).rows(conn, {"of_id": b"d" * 16}) == []


def test_the_drivers_complaint_is_a_sentence(store: Store) -> None:
    """A row that is there already is refused with our words: no statement and no value leaves."""
    insert(store, decision(b"e" * 16))
    with pytest.raises(StoreError, match="already there"):
        insert(store, decision(b"e" * 16))


def test_a_reader_cannot_write(store: Store) -> None:
    """What protects a reader's connection protects it on the driver too."""
    with pytest.raises(StoreError), store.read() as conn:
        insertion(DECISION, tuple(decision(b"f" * 16))).many(conn, [decision(b"f" * 16)])


@pytest.mark.postgresql
def test_a_lost_connection_is_an_error_of_the_database(postgresql_url: str) -> None:
    """A session that ends inside a transaction is told as such, and the next transaction has a session of its own."""
    store = open_store(postgresql_url)

    def lose_it(conn: Any) -> None:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with store.read() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        insertion(DECISION, tuple(decision(b"g" * 16))).many(conn, [decision(b"g" * 16)])

    with pytest.raises(StoreError, match=r"connection to the database was lost|stopping or starting"):
        store.run(lose_it)
    insert(store, decision(b"h" * 16))
    store.close()


def test_a_list_of_values_cannot_be_prepared(store: Store) -> None:
    """SQLAlchemy writes such a statement anew for each list; here that is a mistake to be noticed at once."""
    statement = Prepared(select(DECISION.c.position).where(DECISION.c.action.in_(["seal"])))
    with store.read() as conn, pytest.raises(TypeError, match="cannot be prepared"):
        statement.rows(conn, {})


def test_a_missing_value_is_noticed(store: Store) -> None:
    """A parameter without a value is a mistake, never an empty column."""
    with store.read() as conn, pytest.raises(KeyError):
        Prepared(BY_MESSAGE).rows(conn, {})


def test_only_the_databases_errors_count_as_such() -> None:
    """A programming error is not taken for trouble with the database."""
    assert not is_database_error(KeyError("of_id"))
