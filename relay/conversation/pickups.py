"""Notices to readers about a conversation that is there already: each with the reader's fresh link."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from relay.clock import new_queue_id
from relay.notices.compose import Notices
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.own_mail import own_message_id, reader_thread
from relay.queue.routes import Routes
from relay.queue.spooling import Draft, Lease, NewEntry, Spooler
from relay.store.tables.queue import Kind
from relay.vault.keyring import Keyring
from relay.vault.vault import PickupLink, SealedDraft


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote the message that a notice is about; ``name`` is empty where only the address is known."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pickups:
    """Writes these notices. ``domain`` is the gateway's."""

    keyring: Keyring
    notices: Notices
    spooler: Spooler
    routes: Routes
    domain: str

    def about(
        self,
        sealed: SealedDraft,
        writer: Writer,
        *,
        now: datetime,
        report_to: str = "",
        subject: str = "",
        lease: Lease | None = None,
    ) -> Iterable[Draft]:
        """Yield one notice for each fresh link of a sealed message, in the thread of the reader's earlier notices.

        Blocking only for what `Spooler.draft` blocks for.
        """
        links, until = sealed.links.values(), sealed.expires_at
        yield from self.for_links(
            links,
            writer,
            until=until,
            parent=sealed.message_id,
            now=now,
            report_to=report_to,
            subject=subject,
            lease=lease,
            further=True,
        )

    def for_links(
        self,
        links: Iterable[PickupLink],
        writer: Writer,
        *,
        until: datetime,
        parent: bytes,
        now: datetime,
        report_to: str = "",
        subject: str = "",
        lease: Lease | None = None,
        further: bool = False,
    ) -> Iterable[Draft]:
        """Yield one notice for each of these links, which open their conversation until ``until``.

        ``parent`` is the sealed message that the notice speaks of; ``report_to`` is who inside hears when it cannot be
        delivered, by default the writer. ``further`` says that there is a new message beside those that the reader was
        told of: not so with a fresh link, nor for who is only now added.
        """
        for link in links:
            queued_id = new_queue_id()
            composed = self.notices.pickup(
                reader=link.address,
                sender=writer.address,
                sender_name=writer.name,
                link_path=link.path,
                until=until,
                now=now,
                subject=subject,
                message_id=own_message_id(queued_id, self.domain),
                thread=reader_thread(self.keyring, link.participant_id, self.domain),
                further=further,
            )
            yield self.spooler.draft(
                QueuedEnvelope("", report_to=report_to or writer.address, smtputf8=not link.address.isascii()),
                [
                    NewEntry(
                        Kind.NOTICE,
                        self.routes.name_for(link.address),
                        EntryEnvelope(link.address),
                        link.participant_id,
                    )
                ],
                composed.content,
                now=now,
                message_id=queued_id,
                parent=parent,
                lease=lease,
            )
