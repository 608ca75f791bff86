"""Staff and readers who write to each other: a desk for staff's answers, the clerks for readers', and the portal."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection

from policies.ruleset import RuleSpec, compile_rules
from relay.clock import new_id
from relay.conversation.answers import Answers
from relay.conversation.lost_links import LostLinks, Resealing
from relay.conversation.pickups import Pickups
from relay.conversation.real_addresses import RealAddresses
from relay.conversation.reception import Reception, Sorted
from relay.conversation.replies import Replies
from relay.conversation.senders import Delegates
from relay.judging import Judge
from relay.message.extraction import Extractor
from relay.message.reading import read
from relay.notices.compose import Notices
from relay.notices.letterhead import Letterhead
from relay.notices.receipts import ReceiptNotices
from relay.notices.replies import ReplyNotices
from relay.notices.reply_mail import ReplyMail
from relay.queue.errands import Deed, Errand
from relay.queue.lost_replies import LostReplies
from relay.queue.requests import NewLinkRequest, ReplyRequest, ResealRequest
from relay.queue.spooling import Draft, insert_message
from relay.receipts import Receipts
from relay.smtp.values import ClientFacts, Reply
from relay.store.writer import Store
from relay.vault.blobs import FileBlobs
from relay.vault.correspondence import Correspondence
from relay.vault.drafts import DraftLimits, Drafts
from relay.vault.keyring import Keyring
from relay.vault.opener import Link, Opened, Opener
from relay.vault.participants import PickupLink
from relay.vault.pen import Pen
from relay.vault.people import Person, people
from relay.vault.vault import SealedDraft
from tests.unit.relay.conversation.office import ANNA, DOMAIN, NOW, Office

STAFF = ClientFacts("10.0.0.7", 25, "mail.example.org", esmtp=True, trusted=True)
BEN, PA, HIDDEN = "ben@example.org", "pa@example.org", "hidden@example.edu"
LETTER = (
    b"From: Anna <anna@example.org>\r\nTo: jane@example.net, bob@example.net\r\nCc: ben@example.org\r\n"
    b"Subject: Results\r\nMessage-ID: <1@desk.example.org>\r\n\r\nfirst\r\n"
)
RULES = [
    {"name": "never", "because": "it must not leave", "when": {"keywords": ["nightjar"]}, "action": "refuse"},
    {"name": "word", "because": "it holds a word", "when": {"keywords": ["canary"]}, "action": "seal"},
]


@dataclass
class Exchange:
    """One conversation. ``links`` are the links of each address, newest last; ``secret`` is the S of Anna's receipt."""

    office: Office
    replies: Replies
    reception: Reception
    opener: Opener
    drafts: Drafts
    lost: LostReplies
    lost_links: LostLinks
    resealing: Resealing
    conversation_id: bytes = b""
    links: dict[str, list[PickupLink]] = field(default_factory=dict)
    secret: bytes = b""
    mails: int = 0

    @classmethod
    def open(cls, store: Store, folder: Path) -> "Exchange":
        office = Office.open(store, folder)
        keyring, blobs = office.keyring, FileBlobs(folder / "blobs")
        letterhead = Letterhead(
            organisation="Example Council", contact="Help desk", domain=DOMAIN, base_url="https://letter.example.org"
        )
        pickups = Pickups(keyring, Notices(letterhead), office.spooler, office.routes, DOMAIN)
        correspondence = Correspondence(keyring, blobs, store)
        rules = compile_rules([RuleSpec.model_validate(one) for one in RULES], lists={}, groups={})
        answers = Answers(
            store=store,
            keyring=keyring,
            correspondence=correspondence,
            delegates=Delegates.of({ANNA: [PA]}),
            judge=Judge(rules, cast("Extractor", None), ["example.org"], seconds=1, history=None),
            pickups=pickups,
            receipts=Receipts(
                store,
                keyring,
                ReceiptNotices(letterhead),
                office.spooler,
                office.routes,
                domain=DOMAIN,
                wait=timedelta(0),
            ),
            spooler=office.spooler,
            expiry=timedelta(days=30),
            host_name="gw.example.org",
        )
        replies = Replies(
            store=store,
            keyring=keyring,
            blobs=blobs,
            vault=office.vault,
            correspondence=correspondence,
            mail=ReplyMail(letterhead),
            pickups=pickups,
            spooler=office.spooler,
            audit=office.audit,
            domain=DOMAIN,
            expiry=timedelta(days=30),
        )
        notices = ReplyNotices(letterhead)
        portal = Keyring.open(folder / "keys", role="portal")
        opener = Opener(portal, blobs)
        return cls(
            office,
            replies,
            Reception(DOMAIN, {}, answers=answers, real=RealAddresses(store, keyring, DOMAIN)),
            opener,
            Drafts(portal, opener, blobs, store, inline_limit=1 << 16, limits=DraftLimits()),
            LostReplies(store, keyring, notices, office.spooler, office.routes, "post@example.org", DOMAIN),
            LostLinks(
                store=store,
                keyring=keyring,
                notices=notices,
                spooler=office.spooler,
                routes=office.routes,
                domain=DOMAIN,
            ),
            Resealing(store, keyring, office.audit),
        )

    def begin(self, *readers: str, blind: tuple[str, ...] = (), colleagues: tuple[str, ...] = ()) -> SealedDraft:
        """Seal Anna's first letter."""
        sealed = self.office.vault.seal(
            message_id=new_id(),
            reading=read(LETTER),
            original=LETTER,
            sender=ANNA,
            readers=(*readers, *blind),
            blind=blind,
            colleagues=colleagues,
            now=NOW,
            expires_at=NOW + timedelta(days=30),
        )
        self.office.store.run(lambda conn: self.office.vault.insert(conn, sealed))
        self.conversation_id, self.secret = sealed.conversation_id, sealed.sender_secret
        self._keep(sealed.links)
        return sealed

    def next_moment(self) -> datetime:
        """Return a moment after everything that was written so far."""
        self.mails += 1
        return NOW + timedelta(seconds=self.mails)

    # --- readers ---

    def link(self, address: str, number: int = -1) -> Link:
        """Recognise a link of a reader, as a visit does."""
        one = self.links[address][number]
        with self.office.store.read() as conn:
            found = self.opener.find_link(conn, one.link_id, one.secret, NOW)
        assert found is not None
        return found

    def opened(self, address: str, number: int = -1) -> Opened:
        """Return what a link of a reader opens."""
        with self.office.store.read() as conn:
            return self.opener.open_messages(conn, self.link(address, number), NOW)

    def reads(self, address: str, number: int = -1) -> list[str]:
        """Return the texts that a link of a reader opens, oldest first."""
        texts = []
        for message in self.opened(address, number).messages:
            [part] = [one for one in message.manifest.parts if one.kind == "text"]
            texts.append(b"".join(self.opener.read_part(message, part.id)).decode().strip())
        return texts

    def keys(self, address: str, number: int = -1) -> Mapping[bytes, bytes]:
        """Return what a visit hands to the relay."""
        return {one.header.message_id: one.message_key.dek for one in self.opened(address, number).messages}

    def request(self, address: str, text: str, *, also: tuple[str, ...] = (), name: str = "", **more: Any) -> Errand:
        """Write an answer in the portal and ask for it to be carried; ``more`` changes the request."""
        answer_id, link = new_id(), self.link(address)
        pen = Pen.of(link)
        assert pen is not None
        if text:
            self.drafts.save_text(pen, text, NOW)
        for file_name, content in more.pop("files", ()):
            self.drafts.add_file(pen, file_name, "text/plain", [content], NOW)

        def hand_over(conn: Connection) -> Mapping[bytes, bytes]:
            return self.drafts.hand_over(conn, pen, self.drafts.open(conn, link, NOW), answer_id)

        pieces = self.office.store.run(hand_over)
        request = ReplyRequest(
            link.link_id,
            link.participant_id,
            pieces,
            self.keys(address),
            tuple(self.person(one).participant_id for one in also),
            name,
        )
        return Errand(answer_id, replace(request, **more), self.next_moment())

    def send(self, errand: Errand) -> list[EmailMessage]:
        """Carry an answer out; return the mail that it causes: to people inside, then notices."""
        return self.write(self.replies.prepare(errand))

    def write(self, deed: Deed) -> list[EmailMessage]:
        """Write what a clerk prepared."""

        def work(conn: Connection) -> None:
            if deed.write is not None:
                deed.write(conn)
            for draft in deed.drafts:
                insert_message(conn, draft)

        self.office.store.run(work)
        return [mail(draft) for draft in deed.drafts]

    def new_link(self, address: str) -> Errand:
        """Ask for a new link."""
        link = self.links[address][-1]
        return Errand(new_id(), NewLinkRequest(link.link_id, link.participant_id), NOW)

    def reseal(self, address: str, number: int) -> None:
        """Give what one link opens to the reader's others."""
        link = self.links[address][number]
        request = ResealRequest(link.link_id, link.participant_id, self.keys(address, number))
        self.write(self.resealing.prepare(Errand(new_id(), request, NOW)))

    # --- staff ---

    def sort(
        self, *to: str, text: str = "answer", by: str = ANNA, client: ClientFacts = STAFF, more: str = ""
    ) -> Sorted | Reply:
        """Hand a mail of staff to the reception, and write what it wants written."""
        header = f"From: {by}\r\nTo: {', '.join(to)}\r\nSubject: Re: Results\r\nMessage-ID: <{new_id().hex()}@desk>\r\n"
        content = f"{header}{more}\r\n{text}\r\n".encode()
        arrival = self.office.arrival(content, *to, client=client, reverse_path=by)
        arrival = replace(arrival, at=self.next_moment())
        outcome = self.reception.sort(arrival)
        if isinstance(outcome, Sorted):
            for part in outcome.parts:
                self.office.commit(arrival, part)
                for sealed in part.sealed:
                    self._keep(sealed.links)
        return outcome

    def person(self, address: str) -> Person:
        """Return one participant."""
        with self.office.store.read() as conn:
            return next(
                one for one in people(conn, self.office.keyring, self.conversation_id) if one.address == address
            )

    def _keep(self, links: Mapping[str, PickupLink]) -> None:
        for address, link in links.items():
            self.links.setdefault(address, []).append(link)


def mail(draft: Draft) -> EmailMessage:
    """Return a drafted mail as its reader gets it."""
    content = b"".join(draft.consignments[0].content.pieces())
    return message_from_bytes(content, policy=policy.default)
