"""What the portal asks of the relay: to mail a code, carry an answer, tell the sender, give keys to a new link.

The portal may not read addresses, enter rows under a MAC or write queue entries; it leaves a sealed request in a
transaction of its own. This module is both ends of the paper: the portal's functions write it, the relay's (`read`)
read it again. `relay.queue.errands` carries requests out.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from relay import clock
from relay.errors import LetterlockError
from relay.message.headers import header_value
from relay.store.tables import PortalRequest, QueuedMessage
from relay.vault.keyring import Keyring
from relay.vault.requests import seal_request

_REQUEST = PortalRequest.__table__  # type: ignore[attr-defined]
_MESSAGE = QueuedMessage.__table__  # type: ignore[attr-defined]
_KEY = 32  # octets of a message's key
_PEOPLE = 1000  # readers whom one answer may also go to
_NAME = 100  # characters


class RequestKind(IntEnum):
    """The kinds of request; part of what is authenticated, never reused."""

    CODE = 1
    REPLY = 2
    LOST_LINK = 3
    RESEAL = 4


class UnfitRequestError(LetterlockError):
    """A request that must not be carried out; the sentence goes to the audit."""


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """Mail this code to the reader behind this link, unless it has lapsed by then."""

    link_id: bytes
    participant_id: bytes
    code: str = field(repr=False)
    expires_at: datetime
    language: str


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """Carry a reader's finished answer to the sender, and to the readers in ``also_to`` (participant ids).

    ``pieces`` are the keys of what was written, by piece id. ``opened`` are the keys of the messages that the visit
    opened, by message id: they prove what the reader was shown, and from them the others' new links get the older
    messages. ``name`` is what the person called themself.
    """

    link_id: bytes
    participant_id: bytes
    pieces: Mapping[bytes, bytes] = field(repr=False)
    opened: Mapping[bytes, bytes] = field(repr=False)
    also_to: tuple[bytes, ...]
    name: str


@dataclass(frozen=True, slots=True)
class NewLinkRequest:
    """Tell the sender that this reader asks for a new link."""

    link_id: bytes
    participant_id: bytes


@dataclass(frozen=True, slots=True)
class ResealRequest:
    """Seal the messages that a visit opened, ``opened`` by message id, to the reader's other live links."""

    link_id: bytes
    participant_id: bytes
    opened: Mapping[bytes, bytes] = field(repr=False)


Request = CodeRequest | ReplyRequest | NewLinkRequest | ResealRequest


def request_code(
    conn: Connection,
    keyring: Keyring,
    *,
    link_id: bytes,
    participant_id: bytes,
    code: str,
    expires_at: datetime,
    language: str,
    now: datetime,
) -> bytes:
    """Leave a request to mail a code of eight digits; return its id, which becomes the queued message's id.

    For the portal, inside its own transaction, as all functions here that begin with ``request_``.
    """
    request_id = clock.new_id()
    fields = [link_id.hex(), participant_id.hex(), code, expires_at.timestamp(), language]
    _leave(conn, keyring, RequestKind.CODE, request_id, fields, now)
    return request_id


def request_reply(
    conn: Connection,
    keyring: Keyring,
    *,
    request_id: bytes,
    link_id: bytes,
    participant_id: bytes,
    pieces: Mapping[bytes, bytes],
    opened: Mapping[bytes, bytes],
    also_to: Sequence[bytes] = (),
    name: str = "",
    now: datetime,
) -> bool:
    """Leave a request to send what a reader has written; False, and nothing changes, when there was one of this id.

    ``request_id`` becomes the id of the answer, as a queued and as a sealed message; the form that was shown carries
    it, so that a page that is sent twice sends one answer. ``pieces`` is what `Drafts.hand_over` returned. ``opened``
    maps the ids of all messages that this visit opened to their keys (32 bytes), ``also_to`` are the participant ids of
    other readers whom the person chose. `relay.queue.reply_state.reply_state` says what became of it.
    SealingError (queue item) when there are more messages than 1 MiB of keys.
    """
    if conn.execute(select(exists().where(_MESSAGE.c.id == request_id))).scalar():
        return False
    fields = [
        link_id.hex(),
        participant_id.hex(),
        _written(pieces),
        _written(opened),
        [one.hex() for one in also_to],
        header_value(name, _NAME),
    ]
    return _leave(conn, keyring, RequestKind.REPLY, request_id, fields, now)


def request_new_link(
    conn: Connection, keyring: Keyring, *, link_id: bytes, participant_id: bytes, now: datetime
) -> bool:
    """Leave a request to tell the sender that the reader asks for a new link: one mail per link and day (UTC).

    ``link_id`` is of a link whose secret the person has shown; it may have expired or been replaced. False, and nothing
    changes, for a second request of a day.
    """
    day = keyring.text_hash("new link", link_id + f"{now.astimezone(UTC):%Y-%m-%d}".encode())
    if conn.execute(select(exists().where(_MESSAGE.c.id == day))).scalar():
        return False
    return _leave(conn, keyring, RequestKind.LOST_LINK, day, [link_id.hex(), participant_id.hex()], now)


def request_reseal(
    conn: Connection,
    keyring: Keyring,
    *,
    link_id: bytes,
    participant_id: bytes,
    opened: Mapping[bytes, bytes],
    now: datetime,
) -> None:
    """Leave a request to give the messages that this visit opened to the reader's other live links."""
    fields = [link_id.hex(), participant_id.hex(), _written(opened)]
    _leave(conn, keyring, RequestKind.RESEAL, clock.new_id(), fields, now)


def read(kind: int, payload: bytes) -> Request:
    """Return the request in an opened item; UnfitRequestError unless it is well-formed in every field."""
    reader = _READERS.get(kind)
    if reader is None:
        raise UnfitRequestError("nobody knows this kind of request")
    try:
        return reader(json.loads(payload))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UnfitRequestError("its content makes no sense") from error


def _leave(  # noqa: PLR0917  # what a row holds
    conn: Connection, keyring: Keyring, kind: RequestKind, request_id: bytes, fields: list[Any], now: datetime
) -> bool:
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    item = seal_request(keyring, kind, request_id, json.dumps(fields).encode())
    row = {"id": request_id, "kind": kind.value, "item": item, "created_at": now}
    statement = insert(_REQUEST).values(row).on_conflict_do_nothing(index_elements=["id"]).returning(_REQUEST.c.id)
    return conn.execute(statement).first() is not None


def _written(keys: Mapping[bytes, bytes]) -> dict[str, str]:
    return {message_id.hex(): key.hex() for message_id, key in keys.items()}


def _code(fields: list[Any]) -> CodeRequest:
    link, participant, code, expires_at, language = fields
    if not (isinstance(code, str) and code.isascii() and code.isdigit() and isinstance(language, str)):
        raise ValueError("a code is digits")
    return CodeRequest(_id(link), _id(participant), code, datetime.fromtimestamp(expires_at, UTC), language)


def _reply(fields: list[Any]) -> ReplyRequest:
    link, participant, pieces, opened, also_to, name = fields
    if not (isinstance(also_to, list) and len(also_to) <= _PEOPLE and isinstance(name, str)):
        raise ValueError("an answer goes to readers, and a name is text")
    return ReplyRequest(
        _id(link),
        _id(participant),
        _keys(pieces),
        _keys(opened),
        tuple(dict.fromkeys(map(_id, also_to))),
        header_value(name, _NAME),
    )


def _new_link(fields: list[Any]) -> NewLinkRequest:
    link, participant = fields
    return NewLinkRequest(_id(link), _id(participant))


def _reseal(fields: list[Any]) -> ResealRequest:
    link, participant, opened = fields
    return ResealRequest(_id(link), _id(participant), _keys(opened))


def _keys(written: dict[str, str]) -> dict[bytes, bytes]:
    return {_id(message_id): _octets(key, _KEY) for message_id, key in written.items()}


def _id(text: str) -> bytes:
    return _octets(text, clock.ID_LENGTH)


def _octets(text: str, length: int) -> bytes:
    octets = bytes.fromhex(text)
    if len(octets) != length:
        raise ValueError("an identifier or key has another length")
    return octets


_READERS: Mapping[int, Callable[[list[Any]], Request]] = {
    RequestKind.CODE: _code,
    RequestKind.REPLY: _reply,
    RequestKind.LOST_LINK: _new_link,
    RequestKind.RESEAL: _reseal,
}
