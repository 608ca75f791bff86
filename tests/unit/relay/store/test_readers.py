"""Connections that read are lent again and again."""

from typing import Any, cast

import pytest
from sqlalchemy import Connection, Table, select, text

from relay.errors import StoreError
from relay.store.tables import Meta
from relay.store.writer import Store

META: Table = cast("Any", Meta).__table__


def _put(store: Store, name: str) -> None:
    def work(connection: Connection) -> None:
        connection.execute(META.insert(), [{"name": name, "value": ""}])

    store.run(work)


def _names(connection: Connection) -> set[str]:
    return set(connection.execute(select(META.c.name)).scalars())


def test_each_block_sees_what_was_committed_before_it(store: Store) -> None:
    """Whichever connection it is lent, and whatever the block before it did: nothing, too."""
    expected: set[str] = set()
    for number in range(4):
        with store.read():
            pass
        with store.read() as connection, store.read() as beside:
            assert _names(connection) == _names(beside) == expected
            _put(store, f"{number}")
            assert _names(connection) == expected
        expected.add(f"{number}")
    with store.read() as connection:
        assert _names(connection) == expected


def test_an_error_in_a_block_spoils_no_later_one(store: Store) -> None:
    """One of the database's becomes a StoreError; one of the block's own leaves as it is."""
    _put(store, "a")
    with pytest.raises(StoreError), store.read() as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))
    with pytest.raises(KeyError), store.read() as connection:
        raise KeyError(_names(connection).pop())
    _put(store, "b")
    with store.read() as connection:
        assert _names(connection) == {"a", "b"}
