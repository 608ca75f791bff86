"""How a conversation stands, as its sender is told."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from relay.store.tables import MessageRead
from relay.store.tables.sealed import ReaderState
from relay.vault.control import recall, remove
from relay.vault.correspondence import Author
from relay.vault.keyring import Keyring
from relay.vault.reader_names import seal_name
from relay.vault.sealing.errors import SealingError
from relay.vault.status import ConversationStatus, FirstRead, status

from .letters import EXPIRES, NOW
from .talk import SEALED, Talk

JANE, JOE, ANNA = "jane@example.net", "joe@example.net", "anna@example.org"
READ = MessageRead.__table__  # type: ignore[attr-defined]


def status_of(talk: Talk, now: object = None) -> ConversationStatus:
    with talk.store.read() as connection:
        return status(connection, talk.keyring, talk.conversation_id, now or talk.now)  # type: ignore[arg-type]


def read(talk: Talk, who: str, message_id: bytes, name: str = "", *, for_other: bool = False) -> None:
    """Note a first reading as the portal does."""
    portal = Keyring.open(talk.keyring.folder, role="portal")
    reader = talk.person(who).participant_id
    sealed = seal_name(portal, bytes(16) if for_other else message_id, reader, name)
    row = {"message_id": message_id, "participant_id": reader, "at": NOW + timedelta(hours=1), "name": sealed}
    talk.run(lambda connection: connection.execute(READ.insert().values(row)))


def test_each_message_says_who_can_read_it_and_who_has(talk: Talk) -> None:
    """Names come out for the relay; a private message names only its reader."""
    first = talk.begin(JANE, JOE, notify_read=True)
    private = talk.answer(JANE)
    read(talk, JANE, first.message_id, "Dr Jane Ford")
    read(talk, JOE, first.message_id)
    found = status_of(talk)
    jane, joe = (talk.person(one).participant_id for one in (JANE, JOE))
    one, two = found.messages
    at = NOW + timedelta(hours=1)
    assert (one.id, one.author, one.to_all, one.notify_read, one.readable) == (
        first.message_id,
        Author.STAFF,
        True,
        True,
        True,
    )
    assert one.readers == {jane, joe}
    assert one.read == {jane: FirstRead(at, "Dr Jane Ford"), joe: FirstRead(at, "")}
    assert (two.id, two.readers, two.read, two.to_all) == (private.message_id, {jane}, {}, False)
    assert [message.id for message in found.unread(talk.person(JANE))] == [private.message_id]
    assert found.unread(talk.person(JOE)) == ()
    assert found.expires_at == EXPIRES


def test_everybody_is_listed_with_what_happened_to_them(talk: Talk) -> None:
    """Recalled and removed readers are told with the others, and nobody inside counts as a reader."""
    talk.begin(JANE, JOE, "bob@example.net")
    talk.mark(JANE, state="notified", notified_at=NOW)
    bob = talk.person("bob@example.net")
    talk.run(lambda connection: recall(connection, [talk.person(JOE).participant_id], NOW))
    talk.run(lambda connection: remove(connection, talk.keyring, bob, NOW))
    found = status_of(talk)
    readers = {one.address: one for one in found.readers}
    assert readers[JANE].state is ReaderState.NOTIFIED
    assert readers[JANE].notified_at == NOW
    assert readers[JOE].recalled_at == NOW
    assert readers[bob.address].removed
    assert [one.address for one in found.senders] == [ANNA]
    assert bob.participant_id not in found.messages[0].readers


def test_own_answers_and_unfinished_ones_do_not_count_as_unread(talk: Talk) -> None:
    """Jane has read what she wrote; what she is still writing is nobody's business."""
    talk.begin(JANE)
    jane = talk.person(JANE).participant_id
    own = talk.answer(JANE, author=Author.READER, author_id=jane)
    unfinished = talk.answer(JANE, author=Author.DRAFT, author_id=jane)
    row = update(SEALED).where(SEALED.c.id == unfinished.message_id)
    talk.run(lambda connection: connection.execute(row.values(state="draft")))
    assert [message.id for message in status_of(talk).messages] == list(talk.named("1", "2"))
    assert own.message_id not in {message.id for message in status_of(talk).unread(talk.person(JANE))}
    talk.run(lambda connection: connection.execute(row.values(state="live")))  # by hand: a draft stays a draft
    assert [message.id for message in status_of(talk).messages] == list(talk.named("1", "2"))


def test_expired_messages_are_still_told_of(talk: Talk) -> None:
    """Nothing can be read any more; the moments of reading stay until the conversation is swept."""
    first = talk.begin(JANE)
    read(talk, JANE, first.message_id, "Jane")
    gone = update(SEALED).values(state="expired", wrapped=b"")
    talk.run(lambda connection: connection.execute(gone))
    found = status_of(talk, EXPIRES)
    (message,) = found.messages
    assert (found.expires_at, message.readable, message.readers) == (None, False, frozenset())
    assert [one.name for one in message.read.values()] == ["Jane"]


def test_damage_is_told_apart(talk: Talk) -> None:
    """A name of another row is none, a damaged header has no author; a changed participant stops everything."""
    first = talk.begin(JANE)
    read(talk, JANE, first.message_id, "Mallory", for_other=True)
    assert [one.name for one in status_of(talk).messages[0].read.values()] == [""]
    talk.run(lambda connection: connection.execute(update(SEALED).values(header=bytes(96))))
    (message,) = status_of(talk).messages
    assert (message.author, message.readable) == (None, False)
    talk.mark(JANE, flags=1)
    with pytest.raises(SealingError):
        status_of(talk)


def test_unknown_conversation_has_nobody(talk: Talk) -> None:
    """No conversation, no people, no messages, no end."""
    found = status_of(talk)
    assert (found.expires_at, found.senders, found.readers, found.messages) == (None, (), (), ())
