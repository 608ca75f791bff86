"""Links: their path, and the rows that are checked before anything is mailed."""

import os
from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from relay.errors import StoreError
from relay.store.writer import Store
from relay.vault.holdings import Holdings
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT, LinkState, reader_of
from relay.vault.paths import link_path, parse_link
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.vault import SealedDraft

from .conftest import EXPIRES, NOW

Seal = Callable[..., SealedDraft]


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_path_says_id_and_secret(link_id: bytes, secret: bytes) -> None:
    """What is written into a notice is read back, in whatever letter case it arrives."""
    _, p, one, two = link_path(link_id, secret).split("/")
    assert (p, len(one), len(two)) == ("p", 26, 52)
    assert parse_link(one, two) == parse_link(one.upper(), two.upper()) == (link_id, secret)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_other_text_is_no_link(one: str, two: str) -> None:
    """Whatever stands in a path, reading it never raises."""
    found = parse_link(one, two)
    assert found is None or link_path(*found) == f"/p/{one.lower()}/{two.lower()}"


def test_each_secret_has_one_spelling() -> None:
    """Spare bits at the end of base32 must be zero: there are no two texts for one link."""
    _, _, one, two = link_path(bytes(16), bytes(32)).split("/")
    assert parse_link(one, two[:-1] + "b") is None
    assert parse_link(one[:-1] + "b", two) is None
    assert parse_link(one, two + "=") is None


def test_reader_of_a_link_is_known_by_address(seal: Seal, store: Store, keyring: Keyring) -> None:
    """The relay finds whom to mail a code to; an unknown link is nobody, an expired one says so."""
    link = seal().links["jane@example.net"]
    with store.read() as connection:
        reader = reader_of(connection, keyring, link.link_id, NOW)
        late = reader_of(connection, keyring, link.link_id, EXPIRES)
        assert reader_of(connection, keyring, bytes(16), NOW) is None
    assert reader is not None
    assert late is not None
    assert (reader.address, reader.participant_id, reader.state) == (
        "jane@example.net",
        link.participant_id,
        LinkState.LIVE,
    )
    assert late.state is LinkState.EXPIRED


def _swap_address(store: Store, keyring: Keyring, draft: SealedDraft) -> None:
    sealed = keyring.seal_address("thief@example.com")
    statement = update(PARTICIPANT).where(PARTICIPANT.c.id == draft.links["jane@example.net"].participant_id)
    store.run(lambda connection: connection.execute(statement.values(address=sealed)) and None)


def _garble_address(store: Store, _keyring: Keyring, draft: SealedDraft) -> None:
    statement = update(PARTICIPANT).where(PARTICIPANT.c.id == draft.links["jane@example.net"].participant_id)
    store.run(lambda connection: connection.execute(statement.values(address=os.urandom(40))) and None)


def _swap_participant(store: Store, _keyring: Keyring, draft: SealedDraft) -> None:
    other = draft.links["joe@example.net"].participant_id
    statement = update(KEY).where(KEY.c.id == draft.links["jane@example.net"].link_id)
    store.run(lambda connection: connection.execute(statement.values(participant_id=other)) and None)


def _swap_public_key(store: Store, _keyring: Keyring, draft: SealedDraft) -> None:
    statement = update(KEY).where(KEY.c.id == draft.links["jane@example.net"].link_id)
    store.run(lambda connection: connection.execute(statement.values(pk=os.urandom(31) + b"\0")) and None)


def _swap_role(store: Store, _keyring: Keyring, draft: SealedDraft) -> None:
    statement = update(PARTICIPANT).where(PARTICIPANT.c.id == draft.links["jane@example.net"].participant_id)
    store.run(lambda connection: connection.execute(statement.values(role=1)) and None)


def _remove_participant(store: Store, _keyring: Keyring, draft: SealedDraft) -> None:
    statement = PARTICIPANT.delete().where(PARTICIPANT.c.id == draft.links["jane@example.net"].participant_id)
    store.run(lambda connection: connection.execute(statement) and None)


@pytest.mark.parametrize(
    "tamper",
    [_swap_address, _garble_address, _swap_participant, _swap_public_key, _swap_role, _remove_participant],
)
def test_nothing_is_mailed_or_sealed_to_a_row_that_was_changed(
    seal: Seal, store: Store, keyring: Keyring, tamper: Callable[[Store, Keyring, SealedDraft], None]
) -> None:
    """Whoever can write the database cannot redirect a code or a later message."""
    draft = seal(readers=("jane@example.net", "joe@example.net"))
    with store.read() as connection:
        assert len(Holdings.load(connection, keyring, draft.conversation_id, NOW).people) == 3
    tamper(store, keyring, draft)
    with store.read() as connection:
        with pytest.raises(SealingError) as mailed:
            reader_of(connection, keyring, draft.links["jane@example.net"].link_id, NOW)
        with pytest.raises(SealingError) as sealed:
            Holdings.load(connection, keyring, draft.conversation_id, NOW)
    assert mailed.value.layer is sealed.value.layer is Layer.ROW


def test_only_live_keys_are_sealed_to(seal: Seal, store: Store, keyring: Keyring) -> None:
    """Revoked and expired keys get nothing; of a sender it is the sender key."""
    draft = seal()

    def live(now: datetime) -> list[int]:
        with store.read() as connection:
            holdings = Holdings.load(connection, keyring, draft.conversation_id, now)
        return [int(key.type) for one in holdings.people for key in holdings.live_keys(one)]

    assert live(NOW) == [2, 1]
    assert live(EXPIRES) == []
    revoke = update(KEY).where(KEY.c.id == draft.links["jane@example.net"].link_id).values(revoked_at=NOW)
    store.run(lambda connection: connection.execute(revoke) and None)
    assert live(NOW) == [2]


def test_public_keys_are_unique(seal: Seal, store: Store) -> None:
    """The database refuses a second row for one public key."""
    seal()

    def copy(connection: object) -> None:
        row = connection.execute(select(KEY)).first()  # type: ignore[attr-defined]
        connection.execute(KEY.insert(), [{**row._mapping, "id": bytes(16)}])  # type: ignore[attr-defined]

    with pytest.raises(StoreError, match="already there"):
        store.run(copy)
