"""Recognises what was here before: our own mail in a circle, a message sent again, one message in several pieces.

Clients send again after a 250 that they did not hear. Exchange hands one mail over in several transactions, each with
some of the recipients. Both bring the same message key within a day: recipients who are known get nothing more, new
ones join what there is.

Nearly all mail is new. So a message is planned as new, and its commit looks (one indexed query) whether that is true;
only when it is not, what came before is looked up, and the message is planned again.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, select, text

from relay.errors import OvertakenError
from relay.message.identity import message_key
from relay.message.loop_evidence import MAX_PASSES, Tag, find_evidence
from relay.plan import Arrival, Change, Earlier
from relay.smtp.values import Reply
from relay.store.prepared import Prepared
from relay.store.tables import Decision, QueuedMessage
from relay.store.writer import Store, claim
from relay.vault.keyring import Keyring

_MESSAGE: Table = cast("Any", QueuedMessage).__table__
_DECISION: Table = cast("Any", Decision).__table__

WINDOW = timedelta(hours=24)
_LOOP = Reply(554, "5.4.6", "Mail loop: this message left here a moment ago and keeps coming back")

_SAME = select(_MESSAGE.c.id).where(
    _MESSAGE.c.message_key == bindparam("key"), _MESSAGE.c.accepted_at > bindparam("since")
)
_OF_THE_SAME_KEY = Prepared(_SAME)
_WAIT = Prepared(text("SELECT pg_advisory_xact_lock(:number)"))


class Recognition:
    """Knows messages again. Safe to call from several threads."""

    def __init__(self, keyring: Keyring, store: Store) -> None:
        self._keyring = keyring
        self._store = store
        self._tag = loop_tag(keyring)

    def recognise(self, arrival: Arrival, *, again: bool) -> Arrival | Reply:
        """Return the arrival with its key, or the reply that ends a circle.

        ``again`` says that the commit found it known: then what is known of it is read from the store. A message that
        carries our own evidence has come back, as forwarded mail does: it is no repetition and has no key. Nor has one
        without a Message-ID: two equal alarms of a machine are two.
        """
        evidence = find_evidence(arrival.original, arrival.at, self._tag)
        if evidence is not None:
            return _LOOP if evidence.passes >= MAX_PASSES else arrival
        if not arrival.reading.message_id:
            return arrival
        same = message_key(arrival.envelope.reverse_path, arrival.original)
        key = self._keyring.text_hash("message key", same)
        return replace(arrival, key=key, earlier=self._earlier(key, arrival.at) if again else Earlier())

    def _earlier(self, key: bytes, now: datetime) -> Earlier:
        same = _SAME.add_columns(_DECISION.c.recipient_hash)
        joined = same.outerjoin(_DECISION, _DECISION.c.message_id == _MESSAGE.c.id).order_by(_MESSAGE.c.accepted_at)
        with self._store.read() as connection:
            rows = connection.execute(joined, {"key": key, "since": now - WINDOW}).all()
        messages = dict.fromkeys(row.id for row in rows)
        return Earlier(tuple(messages), frozenset(row.recipient_hash for row in rows if row.recipient_hash is not None))


def still_so(arrival: Arrival) -> tuple[Change, ...]:
    """Return the look, inside the commit, whether nothing more of the same message came meanwhile."""
    return (partial(_look, arrival=arrival),) if arrival.key is not None else ()


def loop_tag(keyring: Keyring) -> Tag:
    """Return the MAC of loop evidence; role relay."""
    return partial(keyring.address_tag, "loop")


def _look(connection: Connection, arrival: Arrival) -> None:
    key = arrival.key
    assert key is not None  # noqa: S101  # still_so
    if connection.dialect.name == "postgresql":
        # Another relay may be writing the same message; SQLite has one writer. READ COMMITTED: what it wrote is seen.
        _WAIT.rows(connection, {"number": int.from_bytes(key[:8], "big", signed=True)})
    found = {id_ for (id_,) in _OF_THE_SAME_KEY.rows(connection, {"key": key, "since": arrival.at - WINDOW})}
    # What this batch leaves to be inserted at its end no query sees yet.
    if not claim(connection, ("message key", key)) or not found - {arrival.id} <= set(arrival.earlier.messages):
        raise OvertakenError("more of the same message was accepted meanwhile")
