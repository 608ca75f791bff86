"""The ends that waiting copies come to: sealed, sent as they are, dropped, returned. Each is a part of one commit.

The commit fails when somebody else decided first (OvertakenError): then it is decided anew, about what still waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Table, select

from relay.grouping import Grouping, Letter, Reader
from relay.mailings import Mailings
from relay.message.parts import Reading
from relay.message.reading import read
from relay.notices.holds import Decision, HoldNotices
from relay.plan import Observed, Part, Plan, Told, write
from relay.queue.held_mail import HeldMail, open_held
from relay.queue.holds import Held, HeldCopy, settle
from relay.queue.items import QueuedEnvelope
from relay.queue.recording import let_go
from relay.queue.spooling import Draft, Spooler
from relay.store.audit import Audit
from relay.store.events import Event
from relay.store.tables import QueuedMessage
from relay.store.tables.queue import Direction, EntryState, HoldState
from relay.store.writer import Store
from relay.vault.blobs import BlobStore
from relay.vault.keyring import Keyring
from relay.vault.vault import SealedDraft, Vault

_MESSAGE: Table = cast("Any", QueuedMessage).__table__

BY_SENDER, BY_ADMINISTRATOR, BY_TIME = "the sender", "an administrator", "nobody in time"  # words of the audit


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be written, and the finished sentences that say what was done.

    ``sealed`` is what was sealed: its secret belongs into the address at which the sender answers. ``left`` are
    the copies that wait still: about them the question can be answered again.
    """

    part: Part
    said: tuple[str, ...]
    sealed: SealedDraft | None = None
    left: tuple[HeldCopy, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Lets waiting copies go. Blocking; nothing is written but by `carry_out`.

    ``return_after`` is how many working days a sender has. LetterlockError or OSError leave where the message cannot be
    read any more; errors of sealing as in `relay.grouping`.
    """

    store: Store
    keyring: Keyring
    blobs: BlobStore
    vault: Vault
    audit: Audit
    grouping: Grouping
    mailings: Mailings
    notices: HoldNotices
    spooler: Spooler
    return_after: int

    def seal(self, held: Held, *, by: str, now: datetime, language: str = "") -> Decided:
        """Return the sealing of all copies that wait: they are read where pickup links lead."""
        mail = self.opened(held)
        readers = [Reader(copy.address, copy.visible) for copy in held.copies]
        part = self.end(held, held.copies, HoldState.RELEASED, outcome="sent sealed", by=by, now=now)
        part, sealed = self.with_sealed(part, mail, read(mail.original), readers, now)
        return Decided(part, (self.notices.say(Decision.SEALED, held.addresses, language=language),), sealed)

    def send(self, held: Held, copies: Sequence[HeldCopy], *, by: str, now: datetime, language: str = "") -> Decided:
        """Return the release of ``copies`` as they are. A person has vouched for them: they make familiar."""
        if not copies:
            return Decided(Part(), ())
        addresses = [copy.address for copy in copies]
        part = self.end(held, copies, HoldState.RELEASED, outcome="sent", by=by, now=now, entry_state=EntryState.DUE)
        said = self.notices.say(Decision.SENT, addresses, language=language)
        return Decided(replace(part, observed=self.observed(held.sender, addresses)), (said,))

    def drop(self, held: Held, *, by: str, now: datetime, language: str = "") -> Decided:
        """Return the end of all copies that wait: nobody gets them."""
        part = self.end(held, held.copies, HoldState.DROPPED, outcome="dropped", by=by, now=now)
        return Decided(part, (self.notices.say(Decision.DROPPED, held.addresses, language=language),))

    def give_back(self, held: Held, *, by: str, now: datetime) -> Part:
        """Return the end of copies that nobody let go: the sender gets them reported as undelivered."""
        part = self.end(held, held.copies, HoldState.RETURNED, outcome="returned", by=by, now=now)
        why = dict.fromkeys(reason for copy in held.copies for reason in copy.reasons)
        said = self.notices.why_returned(tuple(why), days=self.return_after if by == BY_TIME else None)
        report = self.mailings.returned(self.opened(held), said, now)
        return replace(part, drafts=(report,) if report else ())

    def carry_out(self, held: Held, part: Part, now: datetime) -> None:
        """Write a decision that did not come by mail; OvertakenError when somebody else was faster."""
        plan = Plan(held.message_id, now, (part,))
        self.store.run(partial(write, plan=plan, vault=self.vault, audit=self.audit))

    def opened(self, held: Held) -> HeldMail:
        """Return the message, as it came in."""
        with self.store.read() as conn:
            return open_held(conn, self.keyring, self.blobs, held)

    def with_sealed(
        self, part: Part, mail: HeldMail, reading: Reading, readers: Sequence[Reader], now: datetime
    ) -> tuple[Part, SealedDraft]:
        """Return the part with the message sealed for ``readers``, in its conversation where it has one already."""
        held = mail.held
        letter = Letter(held.message_id, reading, mail.original, held.sender, readers, now)
        grouped = self.grouping.seal_more(letter, [held.message_id, *self._same(mail)])
        told = tuple(Told(Event.SEALED, one.audit_facts, message_id=one.message_id) for one in grouped.sealed)
        notices = self.mailings.pickups(grouped.sealed, sender=held.sender, reading=reading, now=now)
        records = [self._record(mail, one, now) for one in grouped.sealed if one.message_id != held.message_id]
        part = replace(
            part,
            told=part.told + told,
            sealed=grouped.sealed,
            drafts=(*part.drafts, *records, *notices),
            changes=(*grouped.changes, *part.changes),
        )
        return part, grouped.sealed[0]

    def end(
        self,
        held: Held,
        copies: Sequence[HeldCopy],
        state: HoldState,
        *,
        outcome: str,
        by: str,
        now: datetime,
        entry_state: EntryState = EntryState.DROPPED,
    ) -> Part:
        """Return the end of the waiting of ``copies``, and the record of it."""
        people = {"sender": held.sender, "recipients": ", ".join(copy.address for copy in copies)}
        told = Told(Event.DECIDED, {"outcome": outcome, "by": by}, people, held.message_id)
        change = partial(_end, held=held, copies=tuple(copies), entry_state=entry_state, state=state, now=now)
        return Part(told=(told,), changes=(change,))

    def observed(self, sender: str, addresses: Sequence[str]) -> Observed:
        """Return what history learns of copies that leave as they are."""
        recipients = tuple(self.keyring.address_hash(address) for address in addresses)
        return Observed(self.keyring.address_hash(sender), recipients, sent=True)

    def _same(self, mail: HeldMail) -> list[bytes]:
        """Return the other transactions in which this message came."""
        if mail.key is None:
            return []
        with self.store.read() as conn:
            same = select(_MESSAGE.c.id).where(_MESSAGE.c.message_key == mail.key)
            return list(conn.execute(same.order_by(_MESSAGE.c.accepted_at)).scalars())

    def _record(self, mail: HeldMail, sealed: SealedDraft, now: datetime) -> Draft:
        return self.spooler.draft(
            QueuedEnvelope(mail.envelope.reverse_path),
            (),
            b"",
            now=now,
            message_id=sealed.message_id,
            parent=mail.held.message_id,
            direction=Direction.OUT,
            size=len(mail.original),
        )


def _end(
    conn: Connection,
    *,
    held: Held,
    copies: tuple[HeldCopy, ...],
    entry_state: EntryState,
    state: HoldState,
    now: datetime,
) -> None:
    settle(conn, held, copies, entry_state=entry_state, state=state, now=now)
    if entry_state is EntryState.DROPPED:
        let_go(conn, [held.message_id], now)
