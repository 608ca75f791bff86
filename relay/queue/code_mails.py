"""The mail with a one-time code: composed only for a link that is live, and only to the address of its own reader."""

from dataclasses import dataclass

from sqlalchemy import Connection

from relay.notices.compose import Notices
from relay.queue.errands import Deed, Errand
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id
from relay.queue.requests import CodeRequest, UnfitRequestError
from relay.queue.routes import Routes
from relay.queue.spooling import NewEntry, Spooler
from relay.store.tables.queue import Kind
from relay.store.writer import Store
from relay.vault.authors import author_inside
from relay.vault.keyring import Keyring
from relay.vault.links import LinkState, reader_of


@dataclass(frozen=True, slots=True)
class CodeMails:
    """The clerk (`relay.queue.errands.Clerk`) for requests of kind CODE; ``domain`` is the gateway's."""

    store: Store
    keyring: Keyring
    notices: Notices
    spooler: Spooler
    routes: Routes
    domain: str

    def prepare(self, errand: Errand) -> Deed:
        """Return the mail; UnfitRequestError or SealingError when it must not be written."""
        request = errand.request
        if not isinstance(request, CodeRequest):
            raise UnfitRequestError("this is no request for a code")
        if request.expires_at <= errand.at:
            raise UnfitRequestError("its code had lapsed before it could be mailed")
        with self.store.read() as conn:
            reader = reader_of(conn, self.keyring, request.link_id, errand.at)
            sender = author_inside(conn, self.keyring, reader.conversation_id) if reader else None
        if reader is None or reader.state is not LinkState.LIVE or reader.participant_id != request.participant_id:
            raise UnfitRequestError("its link does not belong to that reader, or is not live")
        composed = self.notices.code(
            reader=reader.address,
            code=request.code,
            until=request.expires_at,
            now=errand.at,
            language=request.language,
            message_id=own_message_id(errand.id, self.domain),
        )
        entry = NewEntry(
            Kind.CODE, self.routes.name_for(reader.address), EntryEnvelope(reader.address), request.participant_id
        )
        # The reader sees on the page what became of the mail; that it reaches nobody, the sender hears.
        envelope = QueuedEnvelope(
            "",
            smtputf8=not reader.address.isascii(),
            until=request.expires_at,
            report_to=sender.address if sender else "",
        )
        draft = self.spooler.draft(
            envelope,
            [entry],
            composed.content,
            now=errand.at,
            message_id=errand.id,
            lease=errand.lease,
        )
        return Deed((draft,))

    def give_up(self, conn: Connection, request_id: bytes) -> None:
        """Leave it at that: a code that was not mailed lapses."""
