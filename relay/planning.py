"""From a routed message to a plan: sealing, trace, notices, receipt, report, and the record of what was decided.

Planning is the slow half of accepting a message (sealing, composing) and runs before the commit.
"""

import json
from collections.abc import Sequence

from relay import clock
from relay.config.model import Configuration
from relay.judging import Judgement
from relay.mailings import Mailings
from relay.message.headers import prepend, remove_authentication_results, remove_field
from relay.message.trace import received_field
from relay.plan import Arrival, Facts, Observed, Part, Plan, Received, Told
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.spooling import Draft, NewEntry, Spooler
from relay.routing import Routed, Way
from relay.smtp.values import Reply
from relay.store.events import Event
from relay.store.tables.queue import Direction, Kind
from relay.vault.keyring import Keyring
from relay.vault.vault import SealedDraft, Vault


class Planner:
    """Turns routed messages into plans. Safe to call from several threads."""

    def __init__(
        self, configuration: Configuration, keyring: Keyring, vault: Vault, spooler: Spooler, mailings: Mailings
    ) -> None:
        self._name = configuration.gateway.host_name
        self._expiry = configuration.portal.expiry
        self._domains = frozenset(configuration.organisation.domains)
        self._keyring = keyring
        self._vault = vault
        self._spooler = spooler
        self._mailings = mailings

    def refuse(self, received: Received, reply: Reply) -> Plan:
        """Return the plan for a message that is refused as a whole: nothing but the record."""
        copies = received.routing.copies
        facts: Facts = {"reply": f"{reply.code} {reply.enhanced}", "rules": _rules(copies)}
        told = Told(Event.REFUSED, facts, _people(received.judgement, copies))
        part = Part(told=(told,), decisions=self._decisions(received))
        return Plan(received.arrival.id, received.arrival.at, (part,), refusal=reply)

    def turn_away(self, arrival: Arrival, reply: Reply) -> Plan:
        """Return the plan for a message that a desk refuses: nothing but the record."""
        told = Told(Event.REFUSED, {"reply": f"{reply.code} {reply.enhanced}"})
        return Plan(arrival.id, arrival.at, (Part(told=(told,)),), refusal=reply)

    def record(self, arrival: Arrival, direction: Direction) -> Plan:
        """Return the plan for a message without ordinary recipients: the record that it came."""
        facts: Facts = {
            "size": len(arrival.content),
            "listener": arrival.client.listener,
            "recipients": len(arrival.envelope.recipients),
        }
        draft = self._record(arrival, b"", (), direction)
        part = Part(told=(Told(Event.ACCEPTED, facts),), drafts=(draft,))
        return Plan(arrival.id, arrival.at, (part,), actions=(direction.value,))

    def accept(self, received: Received) -> Plan:
        """Return the plan for an accepted message. Blocking: sealed blobs are durable when it returns.

        Raises StoreError or StoreFullError when they cannot be.
        """
        arrival, routing, judgement = received.arrival, received.routing, received.judgement
        # A Bcc field that a client forgot to remove would tell everybody; our name on results that we did not make
        # would lend them our word. Nothing else is touched.
        clean = remove_field(remove_authentication_results(arrival.content, self._name), b"Bcc")
        sealed = self._seal(received, clean) if routing.going(Way.SEAL) else None
        drafts = [self._copies(received, clean)]
        if sealed:
            drafts += self._mailings.pickups(received, sealed)
        if routing.receipt and self._inside(judgement.sender):
            drafts.append(self._mailings.receipt(received, sealed))
        if routing.going(Way.REFUSE):
            drafts.append(self._mailings.report(received))
        part = Part(
            told=_told(received, sealed),
            drafts=tuple(drafts),
            sealed=(sealed,) if sealed else (),
            decisions=self._decisions(received),
            observed=self._observed(judgement, routing.going(Way.RELAY)),
        )
        actions = tuple(sorted({copy.verdict.action.word for copy in routing.copies}))
        return Plan(arrival.id, arrival.at, (part,), actions=actions)

    def _seal(self, received: Received, clean: bytes) -> SealedDraft:
        return self._vault.seal(
            message_id=received.arrival.id,
            reading=received.judgement.reading,
            original=clean,
            sender=received.judgement.sender,
            readers=[copy.path.address for copy in received.routing.going(Way.SEAL)],
            now=received.arrival.at,
            expires_at=received.arrival.at + self._expiry,
        )

    def _copies(self, received: Received, clean: bytes) -> Draft:
        """Return the message itself with an entry for each copy that is relayed; with none, just its record."""
        entries = [
            NewEntry(Kind.MAIL, copy.route, EntryEnvelope(copy.path.address, copy.path.orcpt, copy.path.notify))
            for copy in received.routing.going(Way.RELAY)
        ]
        content = prepend([self._trace(received.arrival)], clean) if entries else b""
        return self._record(received.arrival, content, entries, Direction.OUT)

    def _record(self, arrival: Arrival, content: bytes, entries: Sequence[NewEntry], direction: Direction) -> Draft:
        envelope = arrival.envelope
        return self._spooler.draft(
            QueuedEnvelope(envelope.reverse_path, envelope.ret, envelope.envid, envelope.smtputf8, envelope.body),
            entries,
            content,
            now=arrival.at,
            message_id=arrival.id,
            direction=direction,
            message_id_hash=self._keyring.text_hash("message-id", arrival.reading.message_id),
            size=len(arrival.content),
            lease=arrival.lease,
        )

    def _trace(self, arrival: Arrival) -> tuple[str, str]:
        envelope, client = arrival.envelope, arrival.client
        return received_field(
            helo=client.helo,
            client=client.ip,
            by=self._name,
            queue_id=clock.id_text(arrival.id),
            when=arrival.at,
            esmtp=client.esmtp,
            smtputf8=envelope.smtputf8,
            tls_version=client.tls_version,
            cipher=client.cipher,
            authenticated=bool(client.authenticated),
            recipients=tuple(one.address for one in envelope.recipients),
        )

    def _decisions(self, received: Received) -> tuple[dict[str, object], ...]:
        return tuple(
            {
                "message_id": received.arrival.id,
                "position": position,
                "at": received.arrival.at,
                "recipient_hash": self._keyring.address_hash(copy.path.address),
                "domain": copy.verdict.recipient.domain,
                "inside": copy.verdict.recipient.inside,
                "action": copy.verdict.action.word,
                "rules": json.dumps([hit.rule for hit in copy.verdict.deciding]),
                "shadow": json.dumps([[hit.rule, hit.action.word] for hit in copy.verdict.shadow]),
            }
            for position, copy in enumerate(received.routing.copies)
        )

    def _observed(self, judgement: Judgement, relayed: Sequence[Routed]) -> Observed | None:
        """Return what history learns. A copy that was sealed or refused makes nobody familiar: it may be a slip."""
        if not judgement.sender or not relayed:
            return None
        recipients = tuple(self._keyring.address_hash(copy.path.address) for copy in relayed)
        return Observed(self._keyring.address_hash(judgement.sender), recipients, self._inside(judgement.sender))

    def _inside(self, address: str) -> bool:
        return address.rpartition("@")[2].lower() in self._domains


def _rules(copies: Sequence[Routed]) -> list[str]:
    """Return the rules that decided about these copies; a rule that held and asked for less is not among them."""
    return sorted({hit.rule for copy in copies for hit in copy.verdict.deciding})


def _people(judgement: Judgement, copies: Sequence[Routed]) -> dict[str, str]:
    return {"sender": judgement.sender, "recipients": ", ".join(copy.path.address for copy in copies)}


def _told(received: Received, sealed: SealedDraft | None) -> tuple[Told, ...]:
    copies, judgement = received.routing.copies, received.judgement
    facts: Facts = {
        "size": len(received.arrival.content),
        "listener": received.arrival.client.listener,
        "recipients": len(copies),
    }
    told = [Told(Event.ACCEPTED, facts, _people(judgement, copies))]
    for way in Way:
        if going := received.routing.going(way):
            facts = {"way": way.value, "copies": len(going), "rules": _rules(going)}
            told.append(Told(Event.JUDGED, facts, _people(judgement, going)))
    if sealed:
        told.append(Told(Event.SEALED, sealed.audit_facts))
    return tuple(told)
