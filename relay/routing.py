"""From verdicts to ways out: each recipient's copy is relayed, sealed, held or refused. Pure; a table says what then.

Whether a copy is flagged is the rules' business (policies/); here the envelope's own laws are added: what a
refusal means for the whole transaction (RFC 5321 §4.2.5, §6.1), and that mail with the null reverse-path is
never answered with more mail (RFC 3834 §2, RFC 5321 §4.5.5).

    flagged mail of                seal             hold                     refuse
    a person inside                sealed, receipt  held, the person asked   refused
    a machine (Auto-Submitted)     sealed; one      refused: a machine       refused
                                   notice a day     answers no question
    a sender outside               sealed           refused: nobody we ask   refused
    the null sender                550              550                      550
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from policies.model import Action, Receipt, Verdict
from relay.queue.routes import PARTNER
from relay.smtp.values import ForwardPath, Reply


class Way(StrEnum):
    """How one recipient's copy leaves."""

    RELAY = "relay"
    SEAL = "seal"
    HOLD = "hold"
    REFUSE = "refuse"


WAYS = {
    Action.PASS: Way.RELAY,
    Action.NOTIFY: Way.RELAY,
    Action.SEAL: Way.SEAL,
    Action.HOLD: Way.HOLD,
    Action.REFUSE: Way.REFUSE,
}


@dataclass(frozen=True, slots=True)
class Routed:
    """One recipient of the envelope with the verdict and the way out; ``route`` names the next hops."""

    path: ForwardPath
    verdict: Verdict
    way: Way

    @property
    def route(self) -> str:
        """Return ``inside`` or ``outside``, the names of [route.…] in relay.toml, or a partner's route."""
        recipient = self.verdict.recipient
        if recipient.partner:
            return PARTNER + recipient.partner
        return "inside" if recipient.inside else "outside"

    @property
    def worth_a_word(self) -> bool:
        """Tell whether a receipt speaks of this copy: it left, a rule decided about it, and wants a receipt."""
        left = self.way in {Way.RELAY, Way.SEAL} and self.verdict.action is not Action.PASS
        return left and self.verdict.receipt is Receipt.ALWAYS


@dataclass(frozen=True, slots=True)
class Routing:
    """What becomes of one message.

    ``refusal`` is the reply when nothing at all is accepted; then nothing else counts. ``receipt`` says whether
    the sender is told of what was sealed or noticed; ``machine`` that a machine sent it, whose flagged mail of one day
    to one recipient belongs together.
    """

    copies: tuple[Routed, ...]
    refusal: Reply | None
    receipt: bool
    machine: bool = False

    def going(self, way: Way) -> tuple[Routed, ...]:
        """Return the copies that leave this way, in the envelope's order."""
        return tuple([copy for copy in self.copies if copy.way is way])


def route(
    paths: Sequence[ForwardPath],
    verdicts: Sequence[Verdict],
    *,
    null_sender: bool,
    auto_submitted: bool,
    sender_inside: bool,
) -> Routing:
    """Return the routing for the recipients of one envelope; ``verdicts`` stand in the same order as ``paths``.

    A recipient named twice gets one copy. A copy waits for a person only where there is one to ask: ``sender_inside``,
    and neither a machine nor the null sender. Else it is refused: a strict verdict never falls back to a weaker way.
    """
    askable = sender_inside and not null_sender and not auto_submitted
    once = {path.address: (path, verdict) for path, verdict in zip(paths, verdicts, strict=True)}
    copies = tuple([Routed(path, verdict, _way(verdict, askable=askable)) for path, verdict in once.values()])
    flagged = [copy for copy in copies if copy.way is not Way.RELAY]
    refusal = None
    if all(copy.way is Way.REFUSE for copy in copies):
        refusal = Reply(550, "5.7.1", f"Not accepted: {reasons(flagged)}")
    elif null_sender and flagged:
        # Nobody could be told what was sealed, and a report about a report is never sent.
        refusal = Reply(550, "5.7.1", f"Not accepted from the null sender: {reasons(flagged)}")
    # A refused copy has its own report; the receipt speaks of what left sealed, or left and deserves a word.
    # A held one has its question.
    worth_a_word = any(copy.worth_a_word for copy in copies)
    receipt = worth_a_word and sender_inside and not null_sender and not auto_submitted
    return Routing(copies, refusal, receipt=receipt, machine=auto_submitted)


def _way(verdict: Verdict, *, askable: bool) -> Way:
    way = WAYS[verdict.action]
    return Way.REFUSE if way is Way.HOLD and not askable else way


def reasons(copies: Sequence[Routed]) -> str:
    """Return why these copies were flagged, in the words of their rules, each reason once."""
    said = dict.fromkeys(f"{hit.because} (rule {hit.rule})" for copy in copies for hit in copy.verdict.deciding)
    return "; ".join(said) or "the organisation's rules do not allow this message"
