"""What putting a message into the queue leaves in the tables."""

from sqlalchemy import func, select

from relay.queue.spooling import insert_message
from relay.store.tables import Entry, QueuedMessage, Spool
from relay.store.tables.queue import Direction
from tests.unit.relay.queue.yard import Yard


def test_a_record_without_copies_keeps_no_content(any_yard: Yard) -> None:
    """A message that was sealed for everybody leaves its record alone: no spooled bytes, so no epoch key is held."""
    draft = any_yard.draft(content=b"", direction=Direction.OUT)
    any_yard.store.run(lambda conn: insert_message(conn, draft))
    with any_yard.store.read() as conn:
        counts = [
            conn.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (QueuedMessage, Spool, Entry)
        ]
    assert counts == [1, 0, 0]
