"""From a routed message to a plan: sealing, holding, trace, notices, receipt, report, and what was decided.

Planning is the slow half of accepting a message (sealing, composing) and runs before the commit.
"""

from collections.abc import Sequence
from functools import partial
from zoneinfo import ZoneInfo

from relay import clock
from relay.config.model import Configuration
from relay.grouping import Grouped, Grouping, Letter, Reader
from relay.judging import Judgement
from relay.mailings import Mailings, receipt_lines
from relay.message.headers import remove_authentication_results, remove_blind_copies
from relay.message.loop_evidence import mark
from relay.message.original import Original
from relay.plan import Arrival, Change, Facts, Observed, Part, Plan, Received, Told, decision
from relay.queue.holds import Held, HeldCopy, insert_hold, new_hold
from relay.queue.incoming import Reheaded, reheaded
from relay.queue.items import EntryEnvelope, QueuedEnvelope
from relay.queue.spooling import Draft, NewEntry, Spooler
from relay.receipts import Receipts
from relay.recognition import loop_tag
from relay.routing import Routed, Way
from relay.smtp.values import ForwardPath, Reply
from relay.store.events import Event
from relay.store.tables.queue import Direction, Kind
from relay.vault.keyring import Keyring
from relay.working_days import after_working_days


class Planner:
    """Turns routed messages into plans. Safe to call from several threads."""

    def __init__(  # noqa: PLR0917  # the services that it uses
        self,
        configuration: Configuration,
        keyring: Keyring,
        grouping: Grouping,
        spooler: Spooler,
        mailings: Mailings,
        receipts: Receipts,
    ) -> None:
        self._name = configuration.gateway.host_name
        self._domains = frozenset(configuration.organisation.domains)
        self._zone = ZoneInfo(configuration.organisation.time_zone)
        self._return_after = configuration.holding.return_after
        self._keyring = keyring
        self._loop_tag = loop_tag(keyring)
        self._grouping = grouping
        self._spooler = spooler
        self._mailings = mailings
        self._receipts = receipts

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

    def unknown(self, arrival: Arrival) -> tuple[ForwardPath, ...]:
        """Return the recipients of a message that came before for whom nothing was decided then."""
        known = arrival.earlier.recipients
        return tuple(
            path for path in arrival.envelope.recipients if self._keyring.address_hash(path.address) not in known
        )

    def repeat(self, arrival: Arrival) -> Plan:
        """Return the plan for a message that came before, for recipients who are known: nobody gets a second copy.

        The client hears the id of the first.
        """
        first = arrival.earlier.messages[0]
        return Plan(first, arrival.at, (Part(told=(Told(Event.REPEATED, {}),)),), actions=("repeated",))

    def accept(self, received: Received) -> Plan:
        """Return the plan for an accepted message. Blocking: sealed blobs are durable when it returns.

        Raises StoreError or StoreFullError when they cannot be, OvertakenError when the conversation that it joins
        changed meanwhile.
        """
        arrival, routing, judgement = received.arrival, received.routing, received.judgement
        # A Bcc field that a client forgot to remove would tell everybody; our name on results that we did not make
        # would lend them our word. Nothing else is touched.
        clean = remove_blind_copies(remove_authentication_results(arrival.original, self._name))
        grouped = self._seal(received, clean.octets) if routing.going(Way.SEAL) else Grouped()
        copies, held = self._copies(received, clean)
        drafts = [copies, *self._records(received, grouped)]
        drafts += self._mailings.pickups(
            grouped.sealed, sender=judgement.sender, reading=judgement.reading, now=arrival.at, lease=arrival.lease
        )
        changes = [*grouped.changes, *self._receipt(received, grouped)]
        if held:
            drafts.append(self._mailings.question(held, arrival.at, arrival.lease))
            changes.append(partial(insert_hold, keyring=self._keyring, held=held))
        if (report := self._mailings.report(received)) is not None:
            drafts.append(report)
        part = Part(
            told=_told(received, grouped, held),
            drafts=tuple(drafts),
            changes=tuple(changes),
            sealed=grouped.sealed,
            decisions=self._decisions(received),
            observed=self._observed(judgement, routing.going(Way.RELAY)),
        )
        actions = tuple(sorted({copy.verdict.action.word for copy in routing.copies}))
        return Plan(arrival.id, arrival.at, (part,), actions=actions)

    def _seal(self, received: Received, clean: bytes) -> Grouped:
        arrival, routing = received.arrival, received.routing
        relayed = [copy for copy in routing.copies if copy.way in {Way.RELAY, Way.HOLD}]
        letter = Letter(
            arrival.id,
            received.judgement.reading,
            clean,
            received.judgement.sender,
            [Reader(copy.path.address, copy.verdict.recipient.visible) for copy in routing.going(Way.SEAL)],
            arrival.at,
            # A blind copy is told to nobody, colleagues no less than others.
            [one.path.address for one in relayed if one.verdict.recipient.inside and one.verdict.recipient.visible],
        )
        if routing.machine:
            return self._grouping.seal_of_machine(letter)
        if arrival.earlier.messages:
            return self._grouping.seal_more(letter, arrival.earlier.messages)
        return self._grouping.seal(letter)

    def _records(self, received: Received, grouped: Grouped) -> list[Draft]:
        """Return the record of each sealed message that has an id of its own: in `message` each has its row."""
        arrival = received.arrival
        return [
            self._spooler.draft(
                QueuedEnvelope(arrival.envelope.reverse_path),
                (),
                b"",
                now=arrival.at,
                message_id=one.message_id,
                parent=arrival.id,
                direction=Direction.OUT,
                size=len(arrival.content),
            )
            for one in grouped.sealed
            if one.message_id != arrival.id
        ]

    def _receipt(self, received: Received, grouped: Grouped) -> tuple[Change, ...]:
        """Return what notes the sender's receipt; nothing where nobody is told."""
        if not received.routing.receipt:
            return ()
        return (self._receipts.part(received, grouped.sealed, receipt_lines(received, grouped.until)),)

    def _copies(self, received: Received, clean: Original) -> tuple[Draft, Held | None]:
        """Return the message itself with an entry for each copy that is relayed or waits, and what waits.

        With no such copy there is just the record.
        """
        arrival = received.arrival
        going = [copy for copy in received.routing.copies if copy.way in {Way.RELAY, Way.HOLD}]
        entries = [
            NewEntry(
                Kind.MAIL,
                copy.route,
                EntryEnvelope(copy.path.address, copy.path.orcpt, copy.path.notify),
                held=copy.way is Way.HOLD,
            )
            for copy in going
        ]
        if not entries:
            return self._record(arrival, b"", entries, Direction.OUT), None
        loop, rest = mark(clean, clock.id_text(arrival.id), arrival.at, self._loop_tag)
        trace = arrival.trace(self._name, arrival.id, arrival.envelope.recipients)
        draft = self._record(
            arrival, reheaded(arrival.incoming, arrival.content, rest, [trace, loop]), entries, Direction.OUT
        )
        waiting = [
            _held_copy(copy, row["id"])
            for copy, row in zip(going, draft.entry_rows, strict=True)
            if copy.way is Way.HOLD
        ]
        return draft, self._hold(received, waiting, len(rest)) if waiting else None

    def _hold(self, received: Received, waiting: Sequence[HeldCopy], size: int) -> Held:
        arrival = received.arrival
        return new_hold(
            message_id=arrival.id,
            now=arrival.at,
            until=after_working_days(arrival.at, self._return_after, self._zone),
            sender=received.judgement.sender,
            subject=arrival.reading.subject,
            message_id_text=arrival.reading.message_id,
            size=size,
            copies=waiting,
        )

    def _record(
        self, arrival: Arrival, content: bytes | Reheaded, entries: Sequence[NewEntry], direction: Direction
    ) -> Draft:
        envelope = arrival.envelope
        return self._spooler.draft(
            QueuedEnvelope(envelope.reverse_path, envelope.ret, envelope.envid, envelope.smtputf8, envelope.body),
            entries,
            content,
            now=arrival.at,
            message_id=arrival.id,
            direction=direction,
            message_id_hash=self._keyring.text_hash("message-id", arrival.reading.message_id),
            message_key=arrival.key,
            size=len(arrival.content),
            lease=arrival.lease,
            body=arrival.original.digest() if entries else None,
        )

    def _decisions(self, received: Received) -> tuple[dict[str, object], ...]:
        hashed, arrival = self._keyring.address_hash, received.arrival
        return tuple(
            decision(arrival.id, position, hashed(copy.path.address), copy.verdict, arrival.at)
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


def _held_copy(copy: Routed, entry_id: bytes) -> HeldCopy:
    verdict = copy.verdict
    return HeldCopy(
        entry_id,
        copy.path.address,
        copy.route,
        # The sender may wonder why it is not simply sealed: what would have sealed it stands there too.
        tuple((hit.rule, hit.because) for hit in (*verdict.deciding, *verdict.milder)),
        verdict.may_go_plain,
        verdict.recipient.visible,
    )


def _told(received: Received, grouped: Grouped, held: Held | None) -> tuple[Told, ...]:
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
            # Where all copies go one way, whose they are has just been said.
            whose = _people(judgement, going) if len(going) < len(copies) else None
            told.append(Told(Event.JUDGED, facts, whose))
    told += [Told(Event.SEALED, one.audit_facts, message_id=one.message_id) for one in grouped.sealed]
    if held:
        facts = {"until": held.until.isoformat(timespec="seconds")}
        told.append(Told(Event.HELD, facts, _people(judgement, received.routing.going(Way.HOLD))))
    return tuple(told)
