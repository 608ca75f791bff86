"""Mail for postmaster and abuse at the gateway's domain: passed on to a mailbox in which a person looks.

Every domain that takes mail has to have these two (RFC 5321 section 4.5.1, RFC 2142 section 4), and strangers may write
to them. Such mail comes in, so the rules, which watch what leaves, do not judge it; and it leaves with a reverse-path
of our own, so that whatever becomes of it, no stranger whose address was forged gets a mail for it.

Nobody else's mail is kept for a stranger. So strangers together may have only so much of it, and one network of theirs
only a part: room in the queue, and a mailbox in which a person still finds something.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from relay.clock import new_queue_id
from relay.config.amounts import size_text
from relay.message.headers import prepend, remove_authentication_results
from relay.plan import Arrival, Part, Told
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.routes import REPLIES, Routes
from relay.queue.spooling import NewEntry, Spooler
from relay.smtp.access import crowd_of
from relay.smtp.values import ForwardPath, Reply
from relay.store.events import Event
from relay.store.tables.queue import Kind

MOST_OCTETS = 1 << 20  # of a stranger's mail: complaints come with a message attached, hardly with files
MOST_MAILS, WINDOW = 60, timedelta(hours=1)  # of all strangers together, for each relay process
MOST_OF_ONE = 15  # of one network of theirs

_TOO_LARGE = Reply(552, "5.3.4", f"Mail for postmaster may have {size_text(MOST_OCTETS)}: please leave out attachments")
_TOO_MUCH = Reply(451, "4.7.1", "Too much mail for postmaster has come within an hour: try again later")


@dataclass(frozen=True, slots=True)
class Postmaster:
    """Passes such mail on to ``mailbox``. ``host_name`` is what Received calls us."""

    spooler: Spooler
    routes: Routes
    mailbox: str
    host_name: str
    _strangers: deque[tuple[datetime, str]] = field(
        default_factory=lambda: deque(maxlen=MOST_MAILS), init=False, repr=False
    )

    def take(self, arrival: Arrival, paths: Sequence[ForwardPath]) -> Part | Reply:
        """Return the copy for the mailbox: one, however many of the addresses were named. Blocking; StoreError.

        The reply refuses what is too large, or too much, from a client that may send through us to nobody else.
        """
        if not arrival.authorised:
            if len(arrival.content) > MOST_OCTETS:
                return _TOO_LARGE
            crowd = crowd_of(arrival.client.ip)
            recent = [network for at, network in self._strangers if arrival.at - at < WINDOW]
            if len(recent) >= MOST_MAILS or recent.count(crowd) >= MOST_OF_ONE:
                return _TOO_MUCH
            self._strangers.append((arrival.at, crowd))
        envelope = arrival.envelope
        queued_id = new_queue_id()
        trace = arrival.trace(self.host_name, queued_id, paths)
        route = REPLIES if REPLIES in self.routes.names() else self.routes.name_for(self.mailbox)
        draft = self.spooler.draft(
            QueuedEnvelope("", smtputf8=envelope.smtputf8, body=envelope.body),
            [NewEntry(Kind.ALERT, route, EntryEnvelope(self.mailbox))],
            prepend([trace], remove_authentication_results(arrival.original, self.host_name).octets),
            now=arrival.at,
            message_id=queued_id,
            parent=arrival.id,
        )
        people = {"sender": envelope.reverse_path, "recipients": self.mailbox}
        return Part(told=(Told(Event.PASSED_ON, {"size": len(arrival.content)}, people),), drafts=(draft,))
