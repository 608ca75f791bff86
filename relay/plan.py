"""Everything that one commit writes for one message, and the writing of it: a handful of inserts.

A plan has parts, because one message may go several ways at once: copies relayed and sealed by the rules, an answer
into a conversation, a command to the gateway. Whatever it is, it happens in one transaction or not at all.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from policies.model import Verdict
from relay.clock import id_text
from relay.fail_points import reached
from relay.judging import Judgement
from relay.message.original import Original
from relay.message.parts import Reading
from relay.message.trace import received_field
from relay.queue.incoming import Incoming
from relay.queue.spooling import Draft, Lease, insert_message
from relay.routing import Routing
from relay.smtp.values import ClientFacts, ForwardPath, Reply, SmtpEnvelope
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.history import observe_received, observe_sent
from relay.store.tables import Decision
from relay.store.writer import insert_later
from relay.vault.vault import SealedDraft, Vault

_DECISION = Decision.__table__  # type: ignore[attr-defined]

_TO_BE_MADE = Original(b"")
Facts = Mapping[str, str | int | bool | list[str]]
Change = Callable[[Connection], None]  # raises OvertakenError when what the plan rests on is not so any more


def decision(
    message_id: bytes, position: int, recipient_hash: bytes, verdict: Verdict, at: datetime
) -> dict[str, object]:
    """Return the row about what was decided for one recipient; ``position`` tells those of a message apart."""
    return {
        "message_id": message_id,
        "position": position,
        "at": at,
        "recipient_hash": recipient_hash,
        "domain": verdict.recipient.domain,
        "inside": verdict.recipient.inside,
        "action": verdict.action.word,
        "rules": json.dumps([hit.rule for hit in verdict.deciding]),
        "shadow": json.dumps([[hit.rule, hit.action.word] for hit in verdict.shadow]),
    }


@dataclass(frozen=True, slots=True)
class Observed:
    """Who wrote to whom, as keyed hashes; ``sent`` is false for mail that came from outside."""

    sender: bytes
    recipients: tuple[bytes, ...]
    sent: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One audit event; ``personal`` facts are sealed under the message's own audit key.

    ``message_id`` is the message it is told of, where that is not the one in hand.
    """

    event: Event
    facts: Facts
    personal: Mapping[str, str] | None = None
    message_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What came of the same message before: ids of queue messages, oldest first, and keyed hashes of recipients."""

    messages: tuple[bytes, ...] = ()
    recipients: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message in hand, while it is not ours yet.

    ``content`` is what the client sent, ``reading`` the same read, ``at`` the moment we took it up; ``lease`` is set
    when this worker has room to send what it accepts at once. ``key`` is the keyed hash by which the same message is
    known again, None where there is none; ``earlier`` is what is known of it (`relay.recognition`). ``incoming`` is the
    content on disk: None where it is small, or not any more what the client sent. ``original`` is the content for
    those who look into it; made of it where it is not given.
    """

    id: bytes
    at: datetime
    envelope: SmtpEnvelope
    content: bytes
    client: ClientFacts
    reading: Reading
    lease: Lease | None = None
    key: bytes | None = None
    earlier: Earlier = Earlier()
    incoming: Incoming | None = None
    original: Original = field(default=_TO_BE_MADE, repr=False)

    def __post_init__(self) -> None:
        if self.original is _TO_BE_MADE:
            object.__setattr__(self, "original", Original(self.content))

    def rewritten(self, content: bytes, reading: Reading) -> "Arrival":
        """Return the message with other content."""
        return replace(self, content=content, reading=reading, incoming=None, original=Original(content))

    def to(self, recipients: tuple[ForwardPath, ...]) -> "Arrival":
        """Return the same message for these recipients only."""
        if recipients == self.envelope.recipients:
            return self
        return replace(self, envelope=replace(self.envelope, recipients=recipients))

    def trace(self, by: str, queue_id: bytes, recipients: Sequence[ForwardPath]) -> tuple[str, str]:
        """Return name and value of the Received field of a copy that is queued under this id (RFC 5321 section 4.4).

        ``by`` is our name; ``recipients`` are those of the transaction.
        """
        return received_field(
            helo=self.client.helo,
            client=self.client.ip,
            by=by,
            queue_id=id_text(queue_id),
            when=self.at,
            esmtp=self.client.esmtp,
            smtputf8=self.envelope.smtputf8,
            tls_version=self.client.tls_version,
            cipher=self.client.cipher,
            authenticated=bool(self.client.authenticated),
            recipients=tuple(one.address for one in recipients),
        )

    @property
    def authorised(self) -> bool:
        """Say whether the client may speak for the organisation's staff."""
        return self.client.trusted or bool(self.client.authenticated)


@dataclass(frozen=True, slots=True)
class Received:
    """A message in hand, judged and routed: its ordinary recipients, and what becomes of each copy."""

    arrival: Arrival
    judgement: Judgement
    routing: Routing


@dataclass(frozen=True, slots=True)
class Part:
    """What one reason to act wants written.

    ``changes`` run in the transaction after the rows were inserted; they touch nothing but the database, and may run
    more than once (only the last run counts).
    """

    told: tuple[Told, ...] = ()
    drafts: tuple[Draft, ...] = ()
    sealed: tuple[SealedDraft, ...] = ()
    changes: tuple[Change, ...] = ()
    decisions: tuple[dict[str, object], ...] = ()
    observed: Observed | None = None

    @classmethod
    def joined(cls, parts: Sequence["Part"]) -> "Part":
        """Return everything that ``parts`` want written as one; at most one of them has seen who wrote to whom."""
        return cls(
            told=tuple(told for part in parts for told in part.told),
            drafts=tuple(draft for part in parts for draft in part.drafts),
            sealed=tuple(sealed for part in parts for sealed in part.sealed),
            changes=tuple(change for part in parts for change in part.changes),
            decisions=tuple(decision for part in parts for decision in part.decisions),
            observed=next((part.observed for part in parts if part.observed), None),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written for one message, and what follows once it is durable.

    ``refusal`` is the reply where nothing was accepted; then only decisions and audit are written. ``actions`` are the
    words of what was decided, for the log.
    """

    message_id: bytes
    at: datetime
    parts: tuple[Part, ...]
    refusal: Reply | None = None
    actions: tuple[str, ...] = ()

    @property
    def drafts(self) -> tuple[Draft, ...]:
        """Return everything that is queued."""
        return tuple(draft for part in self.parts for draft in part.drafts)

    def joined(self, parts: tuple[Part, ...]) -> "Plan":
        """Return the plan with more parts."""
        return replace(self, parts=self.parts + parts) if parts else self


def write(conn: Connection, plan: Plan, vault: Vault, audit: Audit) -> None:
    """Write a plan into one transaction. Idempotent in what it does outside the database: it does nothing there.

    OvertakenError when the plan rests on something that has changed meanwhile: nothing may be committed then.
    """
    for part in plan.parts:
        for sealed in part.sealed:
            vault.insert(conn, sealed)
            reached("plan: sealed message written")
        for draft in part.drafts:
            insert_message(conn, draft)
            reached("plan: mail or notice queued")
        if part.decisions:
            insert_later(conn, _DECISION, list(part.decisions))
        if part.observed:
            observe = observe_sent if part.observed.sent else observe_received
            observe(conn, plan.at, part.observed.sender, part.observed.recipients)
        for change in part.changes:
            change(conn)
            reached("plan: change made")
        for told in part.told:
            audit.append(conn, told.event, told.message_id or plan.message_id, told.facts, told.personal, at=plan.at)
            reached("plan: audit written")
