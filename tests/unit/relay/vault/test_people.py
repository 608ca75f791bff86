"""The people of a conversation: who is listed, in which order, and that a row that was changed lists nobody."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from relay.store.tables.sealed import ReaderState
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.links import PARTICIPANT
from relay.vault.people import Role, people, person
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.vault import SealedDraft

Seal = Callable[..., SealedDraft]


@pytest.fixture
def draft(seal: Seal) -> SealedDraft:
    """A conversation of a sender, a colleague, a reader and a blind reader."""
    return seal(
        readers=("jane@example.net", "bob@example.net"),
        blind=("bob@example.net",),
        colleagues=("kim@example.org",),
    )


def change(store: Store, participant_id: bytes, **values: object) -> None:
    statement = update(PARTICIPANT).where(PARTICIPANT.c.id == participant_id).values(values)
    store.run(lambda connection: connection.execute(statement) and None)


def test_everybody_is_listed_with_role_and_address(draft: SealedDraft, store: Store, keyring: Keyring) -> None:
    """Sender first, then the readers, then whoever has no key yet; a blind reader is marked as one."""
    with store.read() as connection:
        listed = people(connection, keyring, draft.conversation_id)
        assert people(connection, keyring, bytes(16)) == ()
    assert (listed[0].role, listed[0].address) == (Role.SENDER, "anna@example.org")
    assert {(one.address, one.role, one.blind) for one in listed[1:3]} == {
        ("jane@example.net", Role.READER, False),
        ("bob@example.net", Role.READER, True),
    }
    assert (listed[3].role, listed[3].address) == (Role.SENDER, "kim@example.org")
    assert all(one.state is ReaderState.WAITING and one.recalled_at is None for one in listed)
    assert [one.reads for one in listed] == [False, True, True, False]


def test_one_person_is_found_by_id(draft: SealedDraft, store: Store, keyring: Keyring) -> None:
    """The id in a reader's address leads to the reader and the conversation; an unknown one to nobody."""
    jane = draft.links["jane@example.net"]
    with store.read() as connection:
        found = person(connection, keyring, jane.participant_id)
        assert person(connection, keyring, bytes(16)) is None
    assert found is not None
    assert (found.address, found.conversation_id, found.removed) == (
        "jane@example.net",
        draft.conversation_id,
        False,
    )


def changes(keyring: Keyring) -> dict[str, dict[str, Any]]:
    return {
        "role": {"role": 1},
        "flags": {"flags": 1},
        "address": {"address": keyring.seal_address("thief@example.com")},
        "garbled": {"address": os.urandom(40)},
        "conversation": {"conversation_id": bytes(16)},
        "mac": {"mac": bytes(32)},
    }


@pytest.mark.parametrize("what", ["role", "flags", "address", "garbled", "conversation", "mac"])
def test_changed_row_is_nobody(draft: SealedDraft, store: Store, keyring: Keyring, what: str) -> None:
    """Whoever can write the database makes no reader, and unmasks no blind one."""
    jane = draft.links["jane@example.net"].participant_id
    change(store, jane, **changes(keyring)[what])
    with store.read() as connection, pytest.raises(SealingError) as caught:
        person(connection, keyring, jane)
    assert caught.value.layer is Layer.ROW
    if what != "conversation":
        with store.read() as connection, pytest.raises(SealingError):
            people(connection, keyring, draft.conversation_id)


def test_unknown_state_is_refused_not_guessed(draft: SealedDraft, store: Store, keyring: Keyring) -> None:
    """A state of a newer version is an error of the row, not a reader in some other state."""
    jane = draft.links["jane@example.net"].participant_id
    change(store, jane, state="shunned")
    with store.read() as connection, pytest.raises(SealingError, match="does not know"):
        person(connection, keyring, jane)


def test_moments_are_kept_per_person(draft: SealedDraft, store: Store, keyring: Keyring) -> None:
    """What was noted of one reader is not said of another."""
    jane, bob = (draft.links[address].participant_id for address in ("jane@example.net", "bob@example.net"))
    change(store, jane, state="removed")
    with store.read() as connection:
        first, second = person(connection, keyring, jane), person(connection, keyring, bob)
    assert first is not None
    assert second is not None
    assert (first.removed, first.reads, second.removed, second.reads) == (True, False, False, True)


def test_nobody_inside_is_entered_twice(seal: Seal, store: Store, keyring: Keyring) -> None:
    """The sender among the colleagues, or a colleague named in two spellings, is one participant."""
    same = ("anna@EXAMPLE.org", "kim@example.org", "Kim@Example.org")
    draft = seal(colleagues=same)
    with store.read() as connection:
        listed = people(connection, keyring, draft.conversation_id)
    assert sorted(one.address.lower() for one in listed) == [
        "anna@example.org",
        "jane@example.net",
        "kim@example.org",
    ]
