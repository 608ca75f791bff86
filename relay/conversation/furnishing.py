"""Builds what a conversation passes through, from the configuration: the desks for staff, the clerks for readers."""

from collections.abc import Mapping
from dataclasses import dataclass

from relay.config.model import Configuration
from relay.conversation.answers import Answers
from relay.conversation.control.answers import Answers as CommandAnswers
from relay.conversation.control.desk import Controls
from relay.conversation.control.orders import Bounds
from relay.conversation.control.permission import Permission
from relay.conversation.holding import Holding
from relay.conversation.lost_links import LostLinks, Resealing
from relay.conversation.pickups import Pickups
from relay.conversation.release import Release
from relay.conversation.replies import Replies
from relay.conversation.senders import Delegates
from relay.grouping import Grouping
from relay.judging import Judge
from relay.mailings import Mailings
from relay.notices.compose import Notices
from relay.notices.controls import ControlNotices
from relay.notices.holds import HoldNotices
from relay.notices.letterhead import Letterhead
from relay.notices.replies import ReplyNotices
from relay.notices.reply_mail import ReplyMail
from relay.outgoing import letterhead_of, lost_replies_of, notices_of, reporter_of, routes_of, spooler_of
from relay.queue.code_mails import CodeMails
from relay.queue.errands import Clerk
from relay.queue.lost_replies import LostReplies
from relay.queue.requests import RequestKind
from relay.queue.routes import Routes
from relay.queue.spooling import Spooler
from relay.receipts import Receipts
from relay.store.audit import Audit
from relay.store.writer import Store
from relay.vault.blobs import BlobStore
from relay.vault.correspondence import Correspondence
from relay.vault.keyring import Keyring
from relay.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Workroom:
    """The services that all of it shares."""

    configuration: Configuration
    store: Store
    keyring: Keyring
    blobs: BlobStore
    letterhead: Letterhead
    notices: Notices
    spooler: Spooler
    routes: Routes

    @property
    def _domain(self) -> str:
        return self.configuration.gateway.domain

    def _pickups(self) -> Pickups:
        return Pickups(self.keyring, self.notices, self.spooler, self.routes, self._domain)

    def _correspondence(self) -> Correspondence:
        limit = self.configuration.storage.inline_limit
        return Correspondence(self.keyring, self.blobs, self.store, inline_limit=limit)

    def answers(self, judge: Judge, receipts: Receipts) -> Answers:
        """Return the desk for answers by staff."""
        return Answers(
            store=self.store,
            keyring=self.keyring,
            correspondence=self._correspondence(),
            delegates=Delegates.of(self.configuration.organisation.delegates),
            judge=judge,
            pickups=self._pickups(),
            receipts=receipts,
            spooler=self.spooler,
            expiry=self.configuration.portal.expiry,
            host_name=self.configuration.gateway.host_name,
        )

    def controls(self, judge: Judge, holding: Holding) -> Controls:
        """Return the desk for commands by mail."""
        return Controls(
            store=self.store,
            keyring=self.keyring,
            delegates=Delegates.of(self.configuration.organisation.delegates),
            permission=Permission(self.blobs, judge),
            answers=CommandAnswers(
                self.keyring, ControlNotices(self.letterhead), self._pickups(), self.spooler, self.routes, self._domain
            ),
            holding=holding,
            bounds=Bounds(frozenset(self.configuration.organisation.domains), self.configuration.portal.longest_expiry),
        )

    def lost_replies(self) -> LostReplies:
        """Return what gives undeliverable answers to the organisation's own mailbox."""
        return lost_replies_of(self.configuration, self.letterhead, self.store, self.keyring, self.spooler, self.routes)

    def clerks(self, vault: Vault, audit: Audit) -> Mapping[RequestKind, Clerk]:
        """Return who carries out which of the portal's requests."""
        return {
            RequestKind.CODE: CodeMails(
                self.store, self.keyring, self.notices, self.spooler, self.routes, self._domain
            ),
            RequestKind.REPLY: Replies(
                store=self.store,
                keyring=self.keyring,
                blobs=self.blobs,
                vault=vault,
                correspondence=self._correspondence(),
                mail=ReplyMail(self.letterhead),
                pickups=self._pickups(),
                spooler=self.spooler,
                audit=audit,
                domain=self._domain,
                expiry=self.configuration.portal.expiry,
            ),
            RequestKind.LOST_LINK: LostLinks(
                store=self.store,
                keyring=self.keyring,
                notices=ReplyNotices(self.letterhead),
                spooler=self.spooler,
                routes=self.routes,
                domain=self._domain,
            ),
            RequestKind.RESEAL: Resealing(self.store, self.keyring, audit),
        }


def release_of(configuration: Configuration, store: Store, keyring: Keyring, blobs: BlobStore, audit: Audit) -> Release:
    """Return what lets copies go that wait for a person, with all that it takes: sealing, notices, the queue."""
    inline_limit = configuration.storage.inline_limit
    letterhead = letterhead_of(configuration)
    holds = HoldNotices(letterhead)
    spooler = spooler_of(configuration, store, keyring, blobs)
    vault = Vault(keyring, blobs, store, inline_limit=inline_limit)
    correspondence = Correspondence(keyring, blobs, store, inline_limit=inline_limit)
    mailings = Mailings(
        keyring,
        notices_of(configuration, letterhead),
        holds,
        reporter_of(configuration, letterhead),
        spooler,
        routes=routes_of(configuration),
        own=configuration.gateway.domain,
    )
    return Release(
        store=store,
        keyring=keyring,
        blobs=blobs,
        vault=vault,
        audit=audit,
        grouping=Grouping(keyring, store, vault, correspondence, configuration.portal.expiry),
        mailings=mailings,
        notices=holds,
        spooler=spooler,
        return_after=configuration.holding.return_after,
    )
