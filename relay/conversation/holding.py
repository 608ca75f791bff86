"""What a sender's answer does to copies that wait, and what happens when there is none in time.

send sealed    sealed for those recipients, with a notice to each    the copy in the queue is destroyed
send           leaves as it is, where the rules allow that
drop           nobody gets it                                        destroyed
to y@…         judged again for y: relayed, sealed, asked, refused   the copy for the wrong address is destroyed
(no answer)    reported as undelivered                               destroyed
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, cast

import structlog
from sqlalchemy import Connection, Table, func, select

from policies.model import RuleHit
from relay import clock
from relay.conversation.answered import FLOOR
from relay.conversation.control.commands import Command, Verb
from relay.conversation.release import BY_SENDER, BY_TIME, Decided, Release
from relay.errors import LetterlockError
from relay.grouping import Reader
from relay.judging import Judge
from relay.message.parts import Reading
from relay.message.reading import read
from relay.notices.holds import Decision
from relay.plan import Change, Part, decision
from relay.queue.holds import Held, HeldCopy, find_hold, insert_hold, list_holds, new_hold, settle
from relay.queue.items import EntryEnvelope
from relay.queue.routes import Routes
from relay.queue.spooling import NewEntry, insert_entry
from relay.routing import Routed, Way, reasons, route
from relay.smtp.values import ForwardPath
from relay.store.tables import Decision as DecisionRow
from relay.store.tables.queue import EntryState, HoldState, Kind
from relay.vault.threads import by_thread

_DECISION: Table = cast("Any", DecisionRow).__table__
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Holding:
    """Decides about copies that wait. Blocking; nothing is written but by `return_due`."""

    release: Release
    judge: Judge
    routes: Routes

    def find(self, hold_id: bytes) -> Held | None:
        """Return a hold with what still waits, None when there is none; LetterlockError when it cannot be read."""
        with self.release.store.read() as conn:
            return find_hold(conn, self.release.keyring, hold_id)

    def decide(self, held: Held, command: Command, *, now: datetime, language: str = "") -> Decided:
        """Return what the sender's command does. What cannot be done says so, and nothing is written for it.

        ``language`` is that of the sentences. Errors as of `Release`.
        """
        say = partial(self.release.notices.say, language=language)
        if not held.copies:
            return Decided(Part(), (say(Decision.OVER),))
        match command.verb:
            case Verb.SEND_SEALED:
                return self.release.seal(held, by=BY_SENDER, now=now, language=language)
            case Verb.SEND:
                return self._send(held, now, language)
            case Verb.DROP:
                return self.release.drop(held, by=BY_SENDER, now=now, language=language)
            case Verb.TO:
                return self._correct(held, command.addresses, now, language)
        return Decided(Part(), (say(Decision.WRONG_COMMAND),), left=held.copies)

    def any_due(self, now: datetime) -> bool:
        """Say whether the time of a question is over."""
        with self.release.store.read() as conn:
            return bool(list_holds(conn, self.release.keyring, due=now, limit=1))

    def return_due(self, now: datetime) -> int:
        """Return what nobody decided about in time; return how many holds. One that fails keeps no other back."""
        with self.release.store.read() as conn:
            due = list_holds(conn, self.release.keyring, due=now)
        done = 0
        for held in due:
            try:
                self.release.carry_out(held, self._given_up(held, now), now)
                done += 1
            except (LetterlockError, OSError) as error:
                queue_id = clock.id_text(held.message_id)
                _log.warning("a held message was not returned", queue_id=queue_id, reason=str(error))
            except Exception:  # noqa: BLE001  # a defect of ours concerns this message alone
                _log.exception("a held message was not returned", queue_id=clock.id_text(held.message_id))
        return done

    def _given_up(self, held: Held, now: datetime) -> Part:
        if held.copies:
            return self.release.give_back(held, by=BY_TIME, now=now)
        # What waited was taken out of the queue by hand, or its key is gone: nothing is left to ask about.
        closed = partial(
            settle, held=held, copies=(), entry_state=EntryState.DROPPED, state=HoldState.RETURNED, now=now
        )
        return Part(changes=(closed,))

    def _send(self, held: Held, now: datetime, language: str) -> Decided:
        plain = [copy for copy in held.copies if copy.plain]
        rest = tuple(copy for copy in held.copies if not copy.plain)
        sent = self.release.send(held, plain, by=BY_SENDER, now=now, language=language)
        if not rest:
            return sent
        said = self.release.notices.say(Decision.ONLY_SEALED, [copy.address for copy in rest], language=language)
        return replace(sent, said=(*sent.said, said), left=rest)

    def _correct(self, held: Held, addresses: Sequence[str], now: datetime, language: str) -> Decided:
        say = partial(self.release.notices.say, language=language)
        *wrong, right = addresses
        if not wrong and len(held.copies) > 1:
            return Decided(Part(), (say(Decision.WHICH, held.addresses),), left=held.copies)
        hashes = {self._hash(one) for one in wrong}
        copies = [copy for copy in held.copies if not wrong or self._hash(copy.address) in hashes]
        if not copies:
            return Decided(Part(), (say(Decision.NOT_WAITING, wrong),), left=held.copies)
        if self._known(held, right):
            return Decided(Part(), (say(Decision.KNOWN, right=right),), left=held.copies)
        corrected = self._judged_again(held, copies[0], right, now, language)
        return replace(corrected, left=tuple(copy for copy in held.copies if copy is not copies[0]))

    def _known(self, held: Held, address: str) -> bool:
        """Say whether the message was for this address already: nobody gets two copies."""
        among = (_DECISION.c.message_id == held.message_id, _DECISION.c.recipient_hash == self._hash(address))
        with self.release.store.read() as conn:
            return conn.execute(select(_DECISION.c.position).where(*among).limit(1)).first() is not None

    def _judged_again(self, held: Held, wrong: HeldCopy, right: str, now: datetime, language: str) -> Decided:
        """Return what the rules say about the right address; the copy for the wrong one is destroyed in any case."""
        mail = self.release.opened(held)
        reading = read(mail.original)
        judgement = self.judge.judge(mail.envelope.reverse_path, [right], reading, floor=self._floor(reading))
        [routed] = route(
            [ForwardPath(right)], judgement.verdicts, null_sender=False, auto_submitted=False, sender_inside=True
        ).copies
        state = HoldState.DROPPED if routed.way is Way.REFUSE else HoldState.RELEASED
        outcome = f"corrected ({routed.way.value})"
        part = self.release.end(held, [wrong], state, outcome=outcome, by=BY_SENDER, now=now)
        row = decision(held.message_id, 0, self._hash(routed.path.address), routed.verdict, now)
        part = _first(part, partial(_note, row=row))
        say = partial(self.release.notices.say, addresses=[wrong.address], right=right, language=language)
        match routed.way:
            case Way.SEAL:
                readers = [Reader(right, wrong.visible)]
                part, sealed = self.release.with_sealed(part, mail, reading, readers, now)
                return Decided(part, (say(Decision.CORRECTED_SEALED),), sealed)
            case Way.RELAY:
                row = self.release.spooler.further_entry(held.message_id, self._entry(routed), now)
                part = replace(part, observed=self.release.observed(held.sender, [right]))
                return Decided(_first(part, partial(insert_entry, row=row)), (say(Decision.CORRECTED_SENT),))
            case Way.HOLD:
                part = self._asked_again(part, held, routed, wrong, now)
                return Decided(part, (say(Decision.CORRECTED_HELD),))
        return Decided(part, (say(Decision.CORRECTED_REFUSED, reasons=reasons([routed])),))

    def _floor(self, reading: Reading) -> RuleHit | None:
        """Return the rule for everybody outside where a message belongs to a sealed conversation, as at its arrival."""
        with self.release.store.read() as conn:
            named = by_thread(conn, self.release.keyring, (*reading.references, *reading.in_reply_to))
        return FLOOR if named is not None else None

    def _asked_again(self, part: Part, held: Held, routed: Routed, wrong: HeldCopy, now: datetime) -> Part:
        entry = replace(self._entry(routed), held=True)
        row = self.release.spooler.further_entry(held.message_id, entry, now)
        verdict = routed.verdict
        why = tuple((hit.rule, hit.because) for hit in (*verdict.deciding, *verdict.milder))
        copy = HeldCopy(row["id"], routed.path.address, entry.route, why, verdict.may_go_plain, wrong.visible)
        again = new_hold(
            message_id=held.message_id,
            now=now,
            until=now + (held.until - held.created_at),
            sender=held.sender,
            subject=held.subject,
            message_id_text=held.message_id_text,
            size=held.size,
            copies=[copy],
        )
        note = partial(insert_hold, keyring=self.release.keyring, held=again)
        part = _first(part, partial(insert_entry, row=row), note)
        return replace(part, drafts=(*part.drafts, self.release.mailings.question(again, now)))

    def _entry(self, routed: Routed) -> NewEntry:
        address = routed.path.address
        return NewEntry(Kind.MAIL, self.routes.name_for(address), EntryEnvelope(address))

    def _hash(self, address: str) -> bytes:
        return self.release.keyring.address_hash(address)


def _note(conn: Connection, *, row: dict[str, object]) -> None:
    """Record what was decided for an address that was not among the recipients at first."""
    last = select(func.max(_DECISION.c.position)).where(_DECISION.c.message_id == row["message_id"])
    position = conn.execute(last).scalar_one()
    conn.execute(_DECISION.insert(), [row | {"position": 0 if position is None else position + 1}])


def _first(part: Part, *changes: Change) -> Part:
    """Return the part with changes in front: what is still needed must be there before anything is let go."""
    return replace(part, changes=(*changes, *part.changes))
