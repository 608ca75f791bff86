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
from relay.plan import Facts, Observed, Plan, Received, Told
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
        return Plan(received.id, received.at, self._decisions(received), (told,), refusal=reply)

    def accept(self, received: Received) -> Plan:
        """Return the plan for an accepted message. Blocking: sealed blobs are durable when it returns.

        Raises StoreError or StoreFullError when they cannot be.
        """
        routing, judgement = received.routing, received.judgement
        # A Bcc field that a client forgot to remove would tell everybody; our name on results that we did not make
        # would lend them our word. Nothing else is touched.
        clean = remove_field(remove_authentication_results(received.content, self._name), b"Bcc")
        sealed = self._seal(received, clean) if routing.going(Way.SEAL) else None
        drafts = [self._copies(received, clean)]
        if sealed:
            drafts += self._mailings.pickups(received, sealed)
        if routing.receipt and self._inside(judgement.sender):
            drafts.append(self._mailings.receipt(received, sealed))
        if routing.going(Way.REFUSE):
            drafts.append(self._mailings.report(received))
        return Plan(
            received.id,
            received.at,
            self._decisions(received),
            _told(received, sealed),
            drafts=tuple(drafts),
            sealed=sealed,
            observed=self._observed(judgement, routing.going(Way.RELAY)),
            actions=tuple(sorted({copy.verdict.action.word for copy in routing.copies})),
        )

    def _seal(self, received: Received, clean: bytes) -> SealedDraft:
        return self._vault.seal(
            message_id=received.id,
            reading=received.judgement.reading,
            original=clean,
            sender=received.judgement.sender,
            readers=[copy.path.address for copy in received.routing.going(Way.SEAL)],
            now=received.at,
            expires_at=received.at + self._expiry,
        )

    def _copies(self, received: Received, clean: bytes) -> Draft:
        """Return the message itself with an entry for each copy that is relayed; with none, just its record."""
        envelope, client = received.envelope, received.client
        relayed = received.routing.going(Way.RELAY)
        trace = received_field(
            helo=client.helo,
            client=client.ip,
            by=self._name,
            queue_id=clock.id_text(received.id),
            when=received.at,
            esmtp=client.esmtp,
            smtputf8=envelope.smtputf8,
            tls_version=client.tls_version,
            cipher=client.cipher,
            authenticated=bool(client.authenticated),
            recipients=tuple(one.address for one in envelope.recipients),
        )
        entries = [
            NewEntry(Kind.MAIL, copy.route, EntryEnvelope(copy.path.address, copy.path.orcpt, copy.path.notify))
            for copy in relayed
        ]
        return self._spooler.draft(
            QueuedEnvelope(envelope.reverse_path, envelope.ret, envelope.envid, envelope.smtputf8, envelope.body),
            entries,
            prepend([trace], clean) if relayed else b"",
            now=received.at,
            message_id=received.id,
            direction=Direction.OUT,
            message_id_hash=self._keyring.text_hash("message-id", received.judgement.reading.message_id),
            size=len(received.content),
            lease=received.lease,
        )

    def _decisions(self, received: Received) -> list[dict[str, object]]:
        return [
            {
                "message_id": received.id,
                "position": position,
                "at": received.at,
                "recipient_hash": self._keyring.address_hash(copy.path.address),
                "domain": copy.verdict.recipient.domain,
                "inside": copy.verdict.recipient.inside,
                "action": copy.verdict.action.word,
                "rules": json.dumps([hit.rule for hit in copy.verdict.deciding]),
                "shadow": json.dumps([[hit.rule, hit.action.word] for hit in copy.verdict.shadow]),
            }
            for position, copy in enumerate(received.routing.copies)
        ]

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
        "size": len(received.content),
        "listener": received.client.listener,
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
