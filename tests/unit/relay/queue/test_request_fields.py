"""Requests of the portal on paper: what was asked is what is read, and only what makes sense in every field."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from relay.queue.requests import (
    NewLinkRequest,
    ReplyRequest,
    RequestKind,
    ResealRequest,
    UnfitRequestError,
    read,
    request_new_link,
    request_reply,
    request_reseal,
)
from relay.store.tables import PortalRequest
from relay.store.writer import Store
from relay.vault.keyring import Keyring
from relay.vault.requests import open_request

REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
ANSWER, LINK, READER, BOB, PIECE, MESSAGE = (sign * 16 for sign in (b"a", b"l", b"r", b"b", b"p", b"m"))
KEY = b"k" * 32


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    Keyring.create(tmp_path / "keys")
    return Keyring.open(tmp_path / "keys", role="portal")


def left(store: Store, keys: Keyring) -> list[object]:
    relay = Keyring.open(keys.folder, role="relay")
    with store.read() as conn:
        rows = conn.execute(select(REQUEST)).all()
    return [read(row.kind, open_request(relay, row.kind, row.id, row.item)) for row in rows]


def ask(store: Store, keys: Keyring, now: datetime = NOW) -> bool:
    return store.run(
        lambda conn: request_reply(
            conn,
            keys,
            request_id=ANSWER,
            link_id=LINK,
            participant_id=READER,
            pieces={PIECE: KEY},
            opened={MESSAGE: KEY},
            also_to=[BOB, BOB],
            name="Jane\r\nBcc: x",
            now=now,
        )
    )


def test_an_answer_is_asked_for_once(store: Store, keys: Keyring) -> None:
    """A page that was sent twice leaves one request, on both databases; a name is one line."""
    assert ask(store, keys)
    assert not ask(store, keys, NOW + timedelta(seconds=1))
    assert left(store, keys) == [ReplyRequest(LINK, READER, {PIECE: KEY}, {MESSAGE: KEY}, (BOB,), "Jane Bcc: x")]


def test_a_new_link_is_asked_for_once_a_day(store: Store, keys: Keyring) -> None:
    """The second request of a day changes nothing, the next day is another day (UTC)."""

    def new_link(at: datetime) -> bool:
        return store.run(lambda conn: request_new_link(conn, keys, link_id=LINK, participant_id=READER, now=at))

    assert [new_link(NOW), new_link(NOW + timedelta(minutes=29)), new_link(NOW + timedelta(minutes=31))] == [
        True,
        False,
        True,
    ]
    assert left(store, keys) == [NewLinkRequest(LINK, READER)] * 2


def test_keys_for_other_links(store: Store, keys: Keyring) -> None:
    """What a visit opened is handed over message by message."""
    store.run(
        lambda conn: request_reseal(
            conn, keys, link_id=LINK, participant_id=READER, opened={MESSAGE: KEY, PIECE: KEY}, now=NOW
        )
    )
    assert left(store, keys) == [ResealRequest(LINK, READER, {MESSAGE: KEY, PIECE: KEY})]


_L, _R, _K = LINK.hex(), READER.hex(), KEY.hex()
NONSENSE = {
    "another length of an id": [_L, _R[:-2], {}, {}, [], ""],
    "no hex": [_L, "x" * 32, {}, {}, [], ""],
    "another length of a key": [_L, _R, {_L: _K[:-2]}, {}, [], ""],
    "keys in a list": [_L, _R, [_K], {}, [], ""],
    "readers in a text": [_L, _R, {}, {}, _R, ""],
    "too many readers": [_L, _R, {}, {}, [f"{number:032x}" for number in range(1001)], ""],
    "a name that is none": [_L, _R, {}, {}, [], 7],
    "a field too many": [_L, _R, {}, {}, [], "", ""],
    "no list": {"link": _L},
    "a number": 7,
}


@pytest.mark.parametrize("fields", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused(fields: object) -> None:
    """One field that is not what it should be refuses the whole request, with one kind of error."""
    with pytest.raises(UnfitRequestError):
        read(RequestKind.REPLY, json.dumps(fields).encode())


@pytest.mark.parametrize("kind", [0, 5, 255, *RequestKind])
@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[" * 100_000, b'"\xed\xa0\x80"'], ids=["no", "octets", "deep", "half"]
)
def test_what_is_no_json_is_refused(kind: int, payload: bytes) -> None:
    """Nothing but the one error leaves, for kinds that nobody knows too."""
    with pytest.raises(UnfitRequestError):
        read(kind, payload)
