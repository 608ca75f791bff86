"""Mail for postmaster and abuse at the gateway's domain: passed on to a mailbox in which a person looks.

Every domain that takes mail has to have these two (RFC 5321 section 4.5.1, RFC 2142 section 4), and strangers may write
to them. Such mail comes in, so the rules, which watch what leaves, do not judge it; and it leaves with a reverse-path
of our own, so that whatever becomes of it, no stranger whose address was forged gets a mail for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.clock import id_text, new_id
from relay.message.headers import prepend
from relay.message.trace import received_field
from relay.plan import Arrival, Part, Told
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.routes import REPLIES, Routes
from relay.queue.spooling import NewEntry, Spooler
from relay.smtp.values import ForwardPath
from relay.store.events import Event
from relay.store.tables.queue import Kind


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Passes such mail on to ``mailbox``. ``host_name`` is what Received calls us."""

    spooler: Spooler
    routes: Routes
    mailbox: str
    host_name: str

    def take(self, arrival: Arrival, paths: Sequence[ForwardPath]) -> Part:
        """Return the copy for the mailbox: one, however many of the addresses were named. Blocking; StoreError."""
        envelope, client = arrival.envelope, arrival.client
        queued_id = new_id()
        trace = received_field(
            helo=client.helo,
            client=client.ip,
            by=self.host_name,
            queue_id=id_text(queued_id),
            when=arrival.at,
            esmtp=client.esmtp,
            smtputf8=envelope.smtputf8,
            tls_version=client.tls_version,
            cipher=client.cipher,
            authenticated=bool(client.authenticated),
            recipients=tuple(path.address for path in paths),
        )
        route = REPLIES if REPLIES in self.routes.names() else self.routes.name_for(self.mailbox)
        draft = self.spooler.draft(
            QueuedEnvelope("", smtputf8=envelope.smtputf8, body=envelope.body),
            [NewEntry(Kind.ALERT, route, EntryEnvelope(self.mailbox))],
            prepend([trace], arrival.content),
            now=arrival.at,
            message_id=queued_id,
            parent=arrival.id,
        )
        people = {"sender": envelope.reverse_path, "recipients": self.mailbox}
        return Part(told=(Told(Event.PASSED_ON, {"size": len(arrival.content)}, people),), drafts=(draft,))
