"""Which conversation an answer belongs to."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from relay.store.tables import Conversation
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.threads import by_thread, remember

from .conftest import NOW

FIRST, SECOND, THIRD = b"1" * 16, b"2" * 16, b"3" * 16


def test_the_nearest_message_decides_and_the_oldest_conversation(store: Store, key_folder: Path) -> None:
    """What was answered counts, not what stood further up; a Message-ID written again draws nothing to itself."""
    keyring = Keyring.open(key_folder, role="relay")
    for days, conversation_id in enumerate((FIRST, SECOND, THIRD)):
        row = {"id": conversation_id, "created_at": NOW + timedelta(days=days)}
        store.run(partial(_begin, row=row))
    known = ((FIRST, "<a@x.example>"), (SECOND, "<b@x.example>"), (THIRD, "<a@x.example>"), (THIRD, "<c@x.example>"))
    for conversation_id, message_id in known:
        store.run(partial(remember, keyring=keyring, conversation_id=conversation_id, message_id=message_id))
    with store.read() as conn:
        assert by_thread(conn, keyring, ["<a@x.example>"]) == FIRST
        assert by_thread(conn, keyring, ["<a@x.example>", "<b@x.example>"]) == SECOND
        assert by_thread(conn, keyring, ["<b@x.example>", "<c@x.example>", "<unknown@x.example>"]) == THIRD
        assert by_thread(conn, keyring, ["<unknown@x.example>", ""]) is None
        assert by_thread(conn, keyring, []) is None


def _begin(conn: Connection, row: dict[str, Any]) -> None:
    conn.execute(insert(Conversation).values(row))
