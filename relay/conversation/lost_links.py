"""A reader asks for a new link, and one for older messages: what else the portal asks of the relay.

Whoever still holds an old link may ask the sender to send a new one; the sender decides. And a visit with an old link
gives the reader's newer links what they lack (docs/sealed-format.md, re-sealing).
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from relay.clock import id_text
from relay.notices.replies import ReplyNotices
from relay.queue.errands import Deed, Errand
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import about_message, own_message_id
from relay.queue.requests import NewLinkRequest, ResealRequest, UnfitRequestError
from relay.queue.routes import Routes
from relay.queue.spooling import NewEntry, Spooler
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import Sealed
from relay.store.tables.queue import Kind
from relay.store.tables.sealed import SealedState
from relay.store.writer import Store
from relay.vault.authors import author_inside
from relay.vault.capability import by_visit
from relay.vault.issuing import insert_resealed, reseal
from relay.vault.keyring import Keyring
from relay.vault.links import LinkState, reader_of
from relay.vault.people import person

_SEALED = Sealed.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostLinks:
    """The clerk that tells the sender that a reader asks for a new link."""

    store: Store
    keyring: Keyring
    notices: ReplyNotices
    spooler: Spooler
    routes: Routes
    domain: str

    def prepare(self, errand: Errand) -> Deed:
        """Return the mail to whoever wrote the reader's newest message; errors as `Clerk.prepare`."""
        request = errand.request
        if not isinstance(request, NewLinkRequest):
            raise UnfitRequestError("this asks for no link")
        with self.store.read() as conn:
            link = reader_of(conn, self.keyring, request.link_id, errand.at)
            reader = person(conn, self.keyring, link.participant_id) if link is not None else None
            if reader is None or reader.participant_id != request.participant_id or not reader.reads:
                raise UnfitRequestError("its link does not belong to that reader")
            if reader.recalled_at is not None:
                raise UnfitRequestError("what the reader asks for was recalled")
            newest = conn.execute(
                select(_SEALED.c.id, _SEALED.c.created_at)
                .where(
                    _SEALED.c.conversation_id == reader.conversation_id,
                    _SEALED.c.state == SealedState.LIVE.value,
                    _SEALED.c.expires_at > errand.at,
                )
                .order_by(_SEALED.c.created_at.desc())
                .limit(1)
            ).one_or_none()
            if newest is None:
                raise UnfitRequestError("everything in its conversation has expired")
            sender = author_inside(conn, self.keyring, reader.conversation_id, newest.id)
            found = about_message(conn, newest.id)
        if sender is None:
            raise UnfitRequestError("there is nobody inside to ask")
        composed = self.notices.new_link(
            to=sender.address,
            reader=reader.address,
            written_at=newest.created_at,
            now=errand.at,
            message_id=own_message_id(errand.id, self.domain),
            thread=found.thread(self.domain) if found is not None else (),
        )
        entry = NewEntry(Kind.CONTROL, self.routes.name_for(sender.address), EntryEnvelope(sender.address))
        draft = self.spooler.draft(
            QueuedEnvelope("", smtputf8=not sender.address.isascii()),
            [entry],
            composed.content,
            now=errand.at,
            message_id=errand.id,
            parent=newest.id,
        )
        return Deed((draft,))

    def give_up(self, conn: Connection, request_id: bytes) -> None:
        """Leave it at that: the page said that the sender is asked, not that a link comes."""


@dataclass(frozen=True, slots=True)
class Resealing:
    """The clerk that gives a reader's other live links what a visit opened."""

    store: Store
    keyring: Keyring
    audit: Audit

    def prepare(self, errand: Errand) -> Deed:
        """Return the stanzas; nothing where no link lacks any. Errors as `Clerk.prepare`."""
        request = errand.request
        if not isinstance(request, ResealRequest):
            raise UnfitRequestError("this brings no keys")
        with self.store.read() as conn:
            link = reader_of(conn, self.keyring, request.link_id, errand.at)
            if link is None or link.state is not LinkState.LIVE or link.participant_id != request.participant_id:
                raise UnfitRequestError("its link does not belong to that reader, or is not live")
            capability = by_visit(conn, self.keyring, request.participant_id, request.opened, errand.at)
            resealed = reseal(conn, self.keyring, capability, errand.at)

        def write(conn: Connection) -> None:
            insert_resealed(conn, resealed)
            for message_id in resealed.messages:
                facts = {"participant": id_text(request.participant_id)}
                self.audit.append(conn, Event.RESEALED, message_id, facts, at=errand.at)

        return Deed(write=write)

    def give_up(self, conn: Connection, request_id: bytes) -> None:
        """Leave it at that: the page names the older messages that another link opens."""
