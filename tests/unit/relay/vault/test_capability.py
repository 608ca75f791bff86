"""Capabilities: what S opens, what a visit's keys open, and who is turned away."""

import secrets
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import Connection, select, update

from relay.errors import NotFoundError, RefusedError
from relay.store.tables import Stanza
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault.capability import Capability, by_sender_secret, by_visit
from relay.vault.growth import SEALED
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, PARTICIPANT
from relay.vault.opener import Opened
from relay.vault.people import Role
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.vault import SealedDraft

from .conftest import EXPIRES, NOW

Seal = Callable[..., SealedDraft]
OpenAll = Callable[..., Opened]
STANZA = Stanza.__table__  # type: ignore[attr-defined]


def execute(store: Store, statement: object) -> None:
    store.run(lambda connection: connection.execute(statement) and None)  # type: ignore[call-overload]


@pytest.fixture
def with_secret(store: Store, keyring: Keyring) -> Callable[..., Capability | None]:
    """Bring a secret; by default the one of the draft's own receipt, now."""

    def do(draft: SealedDraft, secret: bytes | None = None, now: object = NOW) -> Capability | None:
        with store.read() as connection:
            return by_sender_secret(
                connection,
                keyring,
                draft.conversation_id,
                draft.sender_secret if secret is None else secret,
                now,  # type: ignore[arg-type]
            )

    return do


WithSecret = Callable[..., Capability | None]


def keys_of(opened: Opened) -> dict[bytes, bytes]:
    return {one.header.message_id: one.message_key.dek for one in opened.messages}


def test_secret_of_the_receipt_opens_the_message(seal: Seal, with_secret: WithSecret, open_all: OpenAll) -> None:
    """S is a capability to what was sealed to it, and says whose it is."""
    draft = seal()
    found = with_secret(draft)
    assert found is not None
    assert (found.holder.address, found.holder.role) == ("anna@example.org", Role.SENDER)
    assert {one: key.dek for one, key in found.messages.items()} == keys_of(open_all(draft))
    assert found.messages[draft.message_id].dek.hex() not in repr(found)


def test_any_other_secret_is_none(seal: Seal, with_secret: WithSecret) -> None:
    """A wrong S, one with a bit flipped, one of another length, and one of another conversation open nothing."""
    draft, other = seal(), seal()
    flipped = bytes([draft.sender_secret[0] ^ 1]) + draft.sender_secret[1:]
    for secret in (secrets.token_bytes(20), flipped, other.sender_secret, b"", draft.sender_secret + b"\0"):
        assert with_secret(draft, secret) is None
    assert with_secret(other, draft.sender_secret) is None


def test_links_secret_is_no_senders(seal: Seal, with_secret: WithSecret) -> None:
    """The secret of a link, cut to the length of S, is not a sender's."""
    draft = seal()
    assert with_secret(draft, draft.links["jane@example.net"].secret[:20]) is None


def test_secret_dies_with_its_key_row(seal: Seal, with_secret: WithSecret, store: Store) -> None:
    """Revoked or expired, S is none; the sender's row gone from the conversation, too."""
    draft = seal()
    assert with_secret(draft, now=EXPIRES) is None
    own = KEY.c.participant_id == draft.sender_participant_id
    execute(store, update(KEY).where(own).values(revoked_at=NOW))
    assert with_secret(draft) is None
    execute(store, update(KEY).where(own).values(revoked_at=None))
    assert with_secret(draft) is not None
    execute(store, update(PARTICIPANT).where(PARTICIPANT.c.id == draft.sender_participant_id).values(state="removed"))
    assert with_secret(draft) is None


@pytest.mark.parametrize("what", ["role", "address", "key mac", "key participant", "no participant"])
def test_nobody_is_obeyed_whose_row_was_changed(
    seal: Seal, with_secret: WithSecret, store: Store, keyring: Keyring, what: str
) -> None:
    """The right S beside a changed row is an error to be looked at, not a sender."""
    draft = seal()
    sender, jane = draft.sender_participant_id, draft.links["jane@example.net"].participant_id
    row = update(PARTICIPANT).where(PARTICIPANT.c.id == sender)
    key = update(KEY).where(KEY.c.participant_id == sender)
    execute(
        store,
        {
            "role": row.values(role=2),
            "address": row.values(address=keyring.seal_address("mallory@example.org")),
            "key mac": key.values(mac=bytes(32)),
            "key participant": key.values(participant_id=jane),
            "no participant": PARTICIPANT.delete().where(PARTICIPANT.c.id == sender),
        }[what],
    )
    with pytest.raises(SealingError) as caught:
        with_secret(draft)
    assert caught.value.layer is Layer.ROW


@pytest.mark.parametrize("what", ["stanza", "header", "wrapped", "expired", "state"])
def test_message_that_fails_hides_no_other(seal: Seal, with_secret: WithSecret, store: Store, what: str) -> None:
    """S opens what is whole and live; the rest is left out, and S is still right."""
    draft = seal()

    def damage(connection: Connection) -> None:
        own = SEALED.c.id == draft.message_id
        row = connection.execute(select(SEALED).where(own)).one()
        stanza = connection.execute(select(STANZA).where(STANZA.c.type == 2)).one()
        flipped = stanza.ct[:-1] + bytes([stanza.ct[-1] ^ 1])
        connection.execute(
            {
                "stanza": update(STANZA).where(STANZA.c.key_id == stanza.key_id).values(ct=flipped),
                "header": update(SEALED).where(own).values(header=row.header[:56] + b"\x04" + row.header[57:]),
                "wrapped": update(SEALED).where(own).values(wrapped=b""),
                "expired": update(SEALED).where(own).values(expires_at=NOW),
                "state": update(SEALED).where(own).values(state=SealedState.EXPIRED.value),
            }[what]
        )

    store.run(damage)
    found = with_secret(draft)
    assert found is not None
    assert found.messages == {}


@pytest.fixture
def visiting(store: Store, keyring: Keyring) -> Callable[..., Capability]:
    """Bring what a visit of Jane's opened."""

    def do(draft: SealedDraft, deks: Mapping[bytes, bytes], now: object = NOW) -> Capability:
        participant_id = draft.links["jane@example.net"].participant_id
        with store.read() as connection:
            return by_visit(connection, keyring, participant_id, deks, now)  # type: ignore[arg-type]

    return do


def test_visit_brings_what_it_opened(
    seal: Seal, open_all: OpenAll, visiting: Callable[..., Capability], store: Store
) -> None:
    """The keys that the portal passes on are the reader's capability; what expired or was taken away since is not."""
    draft = seal()
    deks = keys_of(open_all(draft))
    found = visiting(draft, deks)
    assert (found.holder.address, set(found.messages)) == ("jane@example.net", {draft.message_id})
    assert visiting(draft, {}).messages == {}
    assert visiting(draft, deks | {bytes(16): bytes(32)}).messages.keys() == deks.keys()
    assert visiting(draft, deks, EXPIRES).messages == {}
    execute(store, update(SEALED).values(state=SealedState.EXPIRED.value))
    assert visiting(draft, deks).messages == {}


def test_wrong_key_of_a_visit_is_refused_whole(
    seal: Seal, open_all: OpenAll, visiting: Callable[..., Capability]
) -> None:
    """A key that the header does not commit to, or a message of another conversation, spoils the request."""
    draft, other = seal(), seal()
    deks = keys_of(open_all(draft))
    (dek,) = deks.values()
    wrong = {draft.message_id: bytes([dek[0] ^ 1]) + dek[1:]}
    short = {draft.message_id: dek[:31]}
    foreign = deks | keys_of(open_all(other))
    for given, layer in ((wrong, Layer.COMMITMENT), (short, Layer.COMMITMENT), (foreign, Layer.HEADER)):
        with pytest.raises(SealingError) as caught:
            visiting(draft, given)
        assert caught.value.layer is layer


def test_only_a_reader_visits(seal: Seal, store: Store, keyring: Keyring) -> None:
    """Nobody, a sender, and a reader who was removed meanwhile bring nothing."""
    draft = seal()
    jane = draft.links["jane@example.net"].participant_id
    with store.read() as connection:
        with pytest.raises(NotFoundError):
            by_visit(connection, keyring, bytes(16), {}, NOW)
        with pytest.raises(RefusedError):
            by_visit(connection, keyring, draft.sender_participant_id or b"", {}, NOW)
    execute(store, update(PARTICIPANT).where(PARTICIPANT.c.id == jane).values(state="removed"))
    with store.read() as connection, pytest.raises(RefusedError, match="was removed"):
        by_visit(connection, keyring, jane, {}, NOW)
