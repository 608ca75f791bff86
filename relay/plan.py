"""Everything that one commit writes for one message, and the writing of it: a handful of inserts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from relay.judging import Judgement
from relay.queue.items import Consignment
from relay.queue.spooling import Draft, Lease, insert_message
from relay.routing import Routing
from relay.smtp.values import ClientFacts, Reply, SmtpEnvelope
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.history import observe_received, observe_sent
from relay.store.tables import Decision
from relay.store.writer import insert_later
from relay.vault.vault import SealedDraft, Vault

_DECISION = Decision.__table__  # type: ignore[attr-defined]

Facts = Mapping[str, str | int | bool | list[str]]


@dataclass(frozen=True, slots=True)
class Observed:
    """Who wrote to whom, as keyed hashes; ``sent`` is false for mail that came from outside."""

    sender: bytes
    recipients: tuple[bytes, ...]
    sent: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One audit event; ``personal`` facts are sealed under the message's own audit key."""

    event: Event
    facts: Facts
    personal: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One message in hand, judged and routed, while it is not ours yet.

    ``content`` is what the client sent, ``at`` the moment we took it up; ``lease`` is set when this worker has room
    to send what it accepts at once.
    """

    id: bytes
    at: datetime
    envelope: SmtpEnvelope
    content: bytes
    client: ClientFacts
    judgement: Judgement
    routing: Routing
    lease: Lease | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written, and what follows once it is durable.

    ``refusal`` is the reply where nothing was accepted; then only decisions and audit are written.
    """

    message_id: bytes
    at: datetime
    decisions: list[dict[str, object]]
    told: tuple[Told, ...]
    drafts: tuple[Draft, ...] = ()
    sealed: SealedDraft | None = None
    observed: Observed | None = None
    refusal: Reply | None = None
    actions: tuple[str, ...] = ()

    @property
    def consignments(self) -> tuple[Consignment, ...]:
        """Return what a worker may send at once, without reading it back."""
        return tuple(consignment for draft in self.drafts for consignment in draft.consignments)


def write(conn: Connection, plan: Plan, vault: Vault, audit: Audit) -> None:
    """Write a plan into one transaction. Idempotent in what it does outside the database: it does nothing there."""
    if plan.sealed:
        vault.insert(conn, plan.sealed)
    for draft in plan.drafts:
        insert_message(conn, draft)
    insert_later(conn, _DECISION, plan.decisions)
    if plan.observed:
        observe = observe_sent if plan.observed.sent else observe_received
        observe(conn, plan.at, plan.observed.sender, plan.observed.recipients)
    for told in plan.told:
        audit.append(conn, told.event, plan.message_id, told.facts, told.personal, at=plan.at)
