"""Opening what a pickup link opens: the portal's side of the vault. Needs the portal's keys only.

A wrong, expired or revoked link is a value. A message that fails a check is left out of what is shown and named in
``refused``; it never hides the others, and none of its bytes leave.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, select

from relay.store.tables import Sealed
from relay.store.tables import Stanza as StanzaTable
from relay.store.tables.sealed import ReaderState, SealedState
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring
from relay.vault.links import KEY, LIVE_KEYS, PARTICIPANT, LinkState, state_of
from relay.vault.sealing.bundle import Bundle, encode_bundle
from relay.vault.sealing.errors import Layer, SealingError
from relay.vault.sealing.header import Author, CoreHeader
from relay.vault.sealing.links import LINK_SECRET_LENGTH, KeyPair, link_pair, pair_from_private, same_key
from relay.vault.sealing.manifest import PartEntry, PartRole
from relay.vault.sealing.message import open_outer_key, open_stanza
from relay.vault.sealing.stanza import Stanza, StanzaType
from relay.vault.stored import OpenedMessage, StoredPart, open_stored, pieces_of, read_stored

__all__ = [
    "Author",
    "Link",
    "LinkState",
    "Opened",
    "OpenedMessage",
    "Opener",
    "PartEntry",
    "PartRole",
    "RefusedMessage",
    "SealingError",
    "StoredPart",
]

_SEALED: Table = cast("Any", Sealed).__table__
_STANZA: Table = cast("Any", StanzaTable).__table__


@dataclass(frozen=True, slots=True)
class Link:
    """A pickup link that was recognised by its secret. ``key`` is its private key, ``public`` the public one."""

    link_id: bytes
    conversation_id: bytes
    participant_id: bytes
    state: LinkState
    expires_at: datetime
    public: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message that failed a check. ``layer`` is the format's word for the check; ``kek``: its key was destroyed."""

    message_id: bytes
    layer: Layer


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link opens now, oldest first, and what was refused.

    ``elsewhere`` is when messages were written that another live link of the same reader opens and this one does not:
    the page names the older mail. ``to_share`` are the keys, by message id, of messages that one of those links lacks:
    handed to the relay, it gives them to the other links (request *reseal*); empty when there is nothing to ask for.
    """

    messages: tuple[OpenedMessage, ...]
    refused: tuple[RefusedMessage, ...]
    elsewhere: tuple[datetime, ...] = ()
    to_share: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)


class Opener:
    """Opens sealed messages with what a reader brings."""

    def __init__(self, keyring: Keyring, blobs: BlobStore) -> None:
        self._keyring = keyring
        self._blobs = blobs

    def find_link(self, connection: Connection, link_id: bytes, secret: bytes, now: datetime) -> Link | None:
        """Return the link if ``secret`` is its secret, else None.

        An unknown id and a wrong secret take the same path through the same work.
        """
        if len(secret) != LINK_SECRET_LENGTH:
            return None
        return self._recognise(connection, link_id, link_pair(secret, link_id), now)

    def link_by_id(self, connection: Connection, link_id: bytes, now: datetime, *, key: bytes) -> Link | None:
        """Return the link if ``key`` is its private key (out of a visit's row), else None."""
        return self._recognise(connection, link_id, pair_from_private(key), now)

    def anything_left(self, connection: Connection, link: Link, now: datetime) -> bool:
        """Say whether a message of the link's conversation can still be read: else no new link would open anything."""
        live = (_SEALED.c.state == SealedState.LIVE.value, _SEALED.c.expires_at > now)
        found = select(_SEALED.c.id).where(_SEALED.c.conversation_id == link.conversation_id, *live).limit(1)
        return connection.execute(found).first() is not None

    def open_messages(self, connection: Connection, link: Link, now: datetime) -> Opened:
        """Open everything that ``link`` still opens; nothing for a link that is not live.

        Small parts come along; large ones are read when ``read_part`` is called.
        """
        opened = self._open_all(connection, link, now, SealedState.LIVE)
        return opened if link.state is not LinkState.LIVE else _beside(connection, link, opened, now)

    def open_unfinished(self, connection: Connection, link: Link, now: datetime) -> Opened:
        """Open what the reader behind ``link`` is still writing: messages that nobody else was shown (drafts)."""
        return self._open_all(connection, link, now, SealedState.DRAFT)

    def read_part(
        self, opened: OpenedMessage, part_id: bytes, start: int = 0, stop: int | None = None
    ) -> Iterator[bytes]:
        """Yield the plain octets ``start`` to ``stop`` (exclusive; None: to the end) of a part, each chunk verified.

        SealingError (part) when the message has no such part, or from the first chunk that fails its check; StoreError
        when the blob store does not answer. ValueError for a range outside the part.
        """
        return read_stored(self._blobs, opened, part_id, start, stop)

    def export(self, connection: Connection, opened: OpenedMessage) -> bytes:
        """Return the message as an export bundle, still sealed: what link, server key and recovery key open.

        The whole message is in memory: offer it where that is bearable.
        """
        message_id = opened.header.message_id
        row = connection.execute(select(_SEALED).where(_SEALED.c.id == message_id)).one()
        rows = connection.execute(select(_STANZA).where(_STANZA.c.message_id == message_id)).all()
        stanzas = tuple(Stanza(one.type, one.key_id, one.message_id, one.ct) for one in rows)
        order = [row.manifest_part, *(entry.id for entry in opened.manifest.parts)]
        blobs = (b"".join(pieces_of(self._blobs, opened.stored[one], 0, opened.stored[one].length)) for one in order)
        return encode_bundle(Bundle(row.header, row.kek_id, row.wrapped, stanzas, tuple(blobs)))

    def _recognise(self, connection: Connection, link_id: bytes, pair: KeyPair, now: datetime) -> Link | None:
        row = connection.execute(
            select(KEY, PARTICIPANT.c.recalled_at, PARTICIPANT.c.state.label("reader_state"))
            .join(PARTICIPANT, PARTICIPANT.c.id == KEY.c.participant_id)
            .where(KEY.c.id == link_id)
        ).one_or_none()
        known = same_key(pair, row.pk if row is not None else bytes(32))
        if row is None or not known or row.type != StanzaType.LINK:
            return None
        # To a reader who was taken out for good it was taken back: no new link is to be asked for.
        removed_at = row.revoked_at if row.reader_state == ReaderState.REMOVED.value else None
        return Link(
            row.id,
            row.conversation_id,
            row.participant_id,
            state_of(row, now, row.recalled_at or removed_at),
            row.expires_at,
            pair.public,
            pair.private_bytes(),
        )

    def _open_all(self, connection: Connection, link: Link, now: datetime, state: SealedState) -> Opened:
        if link.state is not LinkState.LIVE:
            return Opened((), ())
        pair = pair_from_private(link.key)
        rows = connection.execute(
            select(_SEALED, _STANZA.c.type, _STANZA.c.key_id, _STANZA.c.ct)
            .join(_STANZA, _STANZA.c.message_id == _SEALED.c.id)
            .where(_STANZA.c.key_id == link.link_id, _SEALED.c.state == state.value, _SEALED.c.expires_at > now)
            .order_by(_SEALED.c.created_at, _SEALED.c.id)
        ).all()
        messages, refused = [], []
        for row in rows:
            try:
                messages.append(self._open(connection, row, link, pair))
            except SealingError as error:
                refused.append(RefusedMessage(row.id, error.layer))
        return Opened(tuple(messages), tuple(refused))

    def _open(self, connection: Connection, row: Row[Any], link: Link, pair: KeyPair) -> OpenedMessage:
        header = CoreHeader.decode(row.header)
        if (header.message_id, header.conversation_id) != (row.id, link.conversation_id):
            raise SealingError(Layer.HEADER, "the row differs from its header")
        if (header.author is Author.DRAFT) is not (row.state == SealedState.DRAFT.value):
            raise SealingError(Layer.AUTHOR_KIND, "a draft is no message, and a message is no draft")
        outer = open_outer_key(row.header, row.kek_id, row.wrapped, self._keyring.keks)
        key = open_stanza(row.header, outer, Stanza(row.type, row.key_id, row.id, row.ct), pair)
        return open_stored(connection, self._blobs, row, key)


def _beside(connection: Connection, link: Link, opened: Opened, now: datetime) -> Opened:
    """Compare what was opened with the other live links of the same reader, the eight newest."""
    others = connection.execute(
        select(KEY.c.id)
        .where(
            KEY.c.participant_id == link.participant_id,
            KEY.c.conversation_id == link.conversation_id,
            KEY.c.id != link.link_id,
            KEY.c.revoked_at.is_(None),
            KEY.c.expires_at > now,
        )
        .order_by(KEY.c.created_at.desc(), KEY.c.id)
        .limit(LIVE_KEYS)
    ).scalars()
    if not (ids := list(others)):
        return opened
    rows = connection.execute(
        select(_STANZA.c.key_id, _SEALED.c.id, _SEALED.c.created_at)
        .join(_SEALED, _SEALED.c.id == _STANZA.c.message_id)
        .where(_STANZA.c.key_id.in_(ids), _SEALED.c.state == SealedState.LIVE.value, _SEALED.c.expires_at > now)
    ).all()
    here = {one.header.message_id for one in opened.messages} | {one.message_id for one in opened.refused}
    elsewhere = {row.id: row.created_at for row in rows if row.id not in here}
    held = {(row.key_id, row.id) for row in rows}
    to_share = {
        one.header.message_id: one.message_key.dek
        for one in opened.messages
        if any((key_id, one.header.message_id) not in held for key_id in ids)
    }
    return replace(opened, elsewhere=tuple(sorted(elsewhere.values())), to_share=to_share)
