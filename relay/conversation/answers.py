"""Answers by staff, from an ordinary mail client, into sealed conversations.

An answer to a reader's address, which only our mail gave them, is sealed for exactly the readers in its envelope. One
to a reader's real address that stands in the thread joins too, for whoever is a reader already; a header never adds
anybody. Everybody else whom such a message goes to is judged like all mail, and outside nobody gets it in the clear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from policies.model import Action, Receipt, Verdict
from relay.clock import new_queue_id
from relay.conversation.answered import Answered, Thread
from relay.conversation.pickups import Pickups, Writer
from relay.conversation.senders import Delegates
from relay.errors import RefusedError
from relay.judging import Judge, Judgement
from relay.message.headers import remove_authentication_results, remove_blind_copies
from relay.message.secret_address import SecretAddress
from relay.notices.receipts import ReceiptLine
from relay.plan import Arrival, Change, Part, Received, Told, decision
from relay.queue.items import QueuedEnvelope
from relay.queue.spooling import Draft, Spooler
from relay.receipts import Receipts
from relay.routing import Routing
from relay.smtp.values import ForwardPath, Reply
from relay.store.events import Event
from relay.store.tables.queue import Direction
from relay.store.writer import Store
from relay.vault.capability import Capability, by_sender_secret
from relay.vault.correspondence import Author, Correspondence
from relay.vault.keyring import Keyring
from relay.vault.people import Person, people, person
from relay.vault.threads import by_thread
from relay.vault.vault import SealedDraft

_FIRST_POSITION = 1000  # of decisions about answers: behind those about a message's ordinary recipients
_STRICT = (Action.HOLD, Action.REFUSE)

_NOT_AUTHORISED = Reply(550, "5.7.1", "Answers are taken only from the organisation's own mail servers and accounts")
_UNKNOWN = Reply(550, "5.1.1", "This reader is not known any more: the conversation has ended; write a new message")
_STALE = Reply(
    550, "5.7.1", "This reply address is not valid any more: answer the newest mail of the conversation, or write anew"
)
_NOT_YOURS = Reply(550, "5.7.1", "Only who takes part in this conversation, or acts for them, may answer in it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The desk for answers. ``host_name`` is ours in results of authentication, ``expiry`` how long an answer lives."""

    store: Store
    keyring: Keyring
    correspondence: Correspondence
    delegates: Delegates
    judge: Judge
    pickups: Pickups
    receipts: Receipts
    spooler: Spooler
    expiry: timedelta
    host_name: str

    def find(
        self, arrival: Arrival, addresses: Sequence[SecretAddress], ordinary: Sequence[ForwardPath]
    ) -> Answered | Reply:
        """Return which conversations a message answers in, or the reply that refuses it. Blocking.

        ``addresses`` are the readers' addresses in its envelope. SealingError (row) when a row was changed: then nobody
        is answered. What a machine sent answers nothing.
        """
        if addresses and not arrival.authorised:
            return _NOT_AUTHORISED
        if not arrival.authorised or _is_machines(arrival):
            return Answered()
        threads: dict[bytes, Thread] = {}
        for address in addresses:
            refusal = self._addressed(arrival, address, threads)
            if refusal is not None:
                return refusal
        joined, related = self._by_header(arrival, ordinary, threads) if ordinary else ((), False)
        if addresses and not threads:
            return _UNKNOWN
        return Answered(tuple(threads.values()), joined, related or bool(threads))

    def write(self, arrival: Arrival, answered: Answered) -> Part | Reply:
        """Return the sealing of a message into the conversations that `find` found, or its refusal. Blocking.

        OvertakenError when somebody named left meanwhile; StoreError and StoreFullError.
        """
        parts = []
        for thread in answered.threads:
            readers = self._new(arrival, thread)
            if not readers:
                continue  # the same message was here before, for all of them
            addresses = [one.address for one in readers]
            judgement = self.judge.judge(arrival.envelope.reverse_path, addresses, arrival.reading)
            if why := _forbidden(judgement.verdicts):
                return Reply(550, "5.7.1", f"Not accepted: {why}")
            try:
                parts.append(self._sealed(arrival, thread, readers, judgement))
            except RefusedError as error:
                return Reply(550, "5.7.1", str(error))
        return Part.joined(parts)

    def dropped(self, arrival: Arrival) -> Part | None:
        """Return the record of a machine's mail to readers' addresses, which answers nobody; None for a person's."""
        return (
            Part(told=(Told(Event.COMMAND_DROPPED, {"reason": "a machine sent it"}),))
            if _is_machines(arrival)
            else None
        )

    # --- finding ---

    def _addressed(self, arrival: Arrival, address: SecretAddress, threads: dict[bytes, Thread]) -> Reply | None:
        with self.store.read() as conn:
            reader = person(conn, self.keyring, address.id)
            if reader is None or not reader.reads:
                return _UNKNOWN
            conversation_id = reader.conversation_id
            brought = by_sender_secret(conn, self.keyring, conversation_id, address.secret, arrival.at)
            if brought is None:
                return _STALE
            everybody = people(conn, self.keyring, conversation_id)
        author = self.delegates.speaking_for(arrival, everybody)
        if author is None:
            return _NOT_YOURS
        if reader.recalled_at is not None:
            sentence = f"What you wrote to {reader.address} is recalled: answer a receipt with 'restore' first"
            return Reply(550, "5.7.1", sentence)
        thread = threads.setdefault(conversation_id, Thread(conversation_id, author, everybody))
        thread.capability = _together(thread.capability, brought)
        thread.add(reader)
        return None

    def _by_header(
        self, arrival: Arrival, ordinary: Sequence[ForwardPath], threads: dict[bytes, Thread]
    ) -> tuple[tuple[ForwardPath, ...], bool]:
        """Note the readers among ordinary recipients; return their paths, and whether there is a conversation."""
        reading = arrival.reading
        with self.store.read() as conn:
            conversation_id = by_thread(conn, self.keyring, (*reading.references, *reading.in_reply_to))
            if conversation_id is None:
                return (), False
            everybody = people(conn, self.keyring, conversation_id)
        author = self.delegates.speaking_for(arrival, everybody)
        if author is None:
            return (), True
        known = {self.keyring.address_hash(one.address): one for one in everybody if one.reads and not one.recalled_at}
        found = [(path, known.get(self.keyring.address_hash(path.address))) for path in ordinary]
        joining = [(path, reader) for path, reader in found if reader and not self._forbids(arrival, reader)]
        for _, reader in joining:
            threads.setdefault(conversation_id, Thread(conversation_id, author, everybody)).add(reader)
        return tuple(path for path, _ in joining), True

    def _forbids(self, arrival: Arrival, reader: Person) -> bool:
        """Say whether the rules would hold or refuse the copy: then it takes the ordinary way, which does that."""
        judgement = self.judge.judge(arrival.envelope.reverse_path, [reader.address], arrival.reading)
        return judgement.verdicts[0].action in _STRICT

    # --- writing ---

    def _new(self, arrival: Arrival, thread: Thread) -> list[Person]:
        known = arrival.earlier.recipients
        return [one for one in thread.readers.values() if self.keyring.address_hash(one.address) not in known]

    def _sealed(self, arrival: Arrival, thread: Thread, readers: Sequence[Person], judgement: Judgement) -> Part:
        flagged = [
            verdict
            for verdict in judgement.verdicts
            if verdict.action is not Action.PASS and verdict.receipt is Receipt.ALWAYS
        ]
        sealed = self.correspondence.seal_into(
            capability=thread.capability,
            conversation_id=thread.conversation_id,
            message_id=new_queue_id(),
            reading=arrival.reading,
            original=remove_blind_copies(remove_authentication_results(arrival.original, self.host_name)).octets,
            author=Author.STAFF,
            author_id=thread.author.participant_id,
            to=readers,
            now=arrival.at,
            expires_at=arrival.at + self.expiry,
            fresh_links=True,
            to_all=thread.to_all,
            notify_read=arrival.reading.read_receipt,
            secrets_for=[thread.author.participant_id] if flagged else (),
        )
        people_told = {"sender": judgement.sender, "recipients": ", ".join(one.address for one in readers)}
        return Part(
            told=(Told(Event.SEALED, sealed.audit_facts, people_told, sealed.message_id),),
            drafts=(self._record(arrival, sealed), *self._notices(arrival, thread, sealed)),
            sealed=(sealed,),
            changes=self._receipt(arrival, thread, judgement, sealed, readers) if flagged else (),
            decisions=self._decisions(arrival, readers, judgement.verdicts),
        )

    def _record(self, arrival: Arrival, sealed: SealedDraft) -> Draft:
        return self.spooler.draft(
            QueuedEnvelope(arrival.envelope.reverse_path),
            (),
            b"",
            now=arrival.at,
            message_id=sealed.message_id,
            parent=arrival.id,
            direction=Direction.OUT,
            size=len(arrival.content),
        )

    def _notices(self, arrival: Arrival, thread: Thread, sealed: SealedDraft) -> tuple[Draft, ...]:
        reading = arrival.reading
        inside = self.judge.inside(reading.from_)
        writer = Writer(reading.from_, reading.from_name) if inside else Writer(thread.author.address)
        return tuple(
            self.pickups.about(
                sealed,
                writer,
                report_to=thread.author.address,
                now=arrival.at,
                subject=reading.subject,
                lease=arrival.lease,
            )
        )

    def _receipt(
        self, arrival: Arrival, thread: Thread, judgement: Judgement, sealed: SealedDraft, readers: Sequence[Person]
    ) -> tuple[Change, ...]:
        lines = tuple(
            ReceiptLine.of(reader.address, verdict.deciding, sealed.expires_at, verdict.milder)
            for reader, verdict in zip(readers, judgement.verdicts, strict=True)
            if verdict.action is not Action.PASS
        )
        # It holds a secret of the author's: it goes to them, or to who acts for them, whoever else stands in From.
        told = replace(judgement, sender=self.delegates.spokesman(arrival, thread.author.address))
        received = Received(arrival, told, Routing((), None, receipt=True))
        return (self.receipts.part(received, [sealed], lines),)

    def _decisions(
        self, arrival: Arrival, readers: Sequence[Person], verdicts: Sequence[Verdict]
    ) -> tuple[dict[str, object], ...]:
        hashed = self.keyring.address_hash
        return tuple(
            decision(arrival.id, position, hashed(reader.address), verdict, arrival.at) | {"action": Action.SEAL.word}
            for position, (reader, verdict) in enumerate(zip(readers, verdicts, strict=True), _FIRST_POSITION)
        )


def _is_machines(arrival: Arrival) -> bool:
    return arrival.reading.auto_submitted or not arrival.envelope.reverse_path


def _forbidden(verdicts: Sequence[Verdict]) -> str:
    """Return why the rules want a copy held or refused, empty when they do not.

    A copy that waits for a person cannot wait in a conversation; to seal it all the same would be the weaker way.
    """
    said = dict.fromkeys(
        f"{hit.because} (rule {hit.rule})" for one in verdicts if one.action in _STRICT for hit in one.deciding
    )
    return "; ".join(said)


def _together(one: Capability | None, other: Capability) -> Capability:
    if one is None:
        return other
    return Capability(other.conversation_id, other.holder, {**one.messages, **other.messages})
