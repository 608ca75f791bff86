"""What a sender is told unasked: the receipt of what was sealed or noticed, and that a sealed message was read.

Both go to the person who wrote the message, in its thread. Commands are answers to the receipt: it has the secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from policies.model import Finding, RuleHit
from relay.message.headers import header_value
from relay.notices.letterhead import Composed, Letterhead, thread_fields

_FINDINGS = 5  # of one rule that a receipt shows


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that held. ``decided`` says that it is why; others held too and would not have done it.

    ``evidence`` is masked, with its place in front.
    """

    decided: bool
    rule: str
    because: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """What happened to one recipient's copy: sealed until a moment, or (``until`` None) relayed and worth a word.

    ``partner`` names the partner over whose proven transport it was relayed.
    """

    recipient: str
    reasons: tuple[Reason, ...]
    until: datetime | None = None
    partner: str = ""

    @classmethod
    def of(
        cls,
        recipient: str,
        deciding: Sequence[RuleHit],
        until: datetime | None = None,
        milder: Sequence[RuleHit] = (),
        partner: str = "",
    ) -> "ReceiptLine":
        """Return the line for a verdict's hits: those that decided, then the milder ones."""
        reasons = [(True, hit) for hit in deciding] + [(False, hit) for hit in milder]
        return cls(
            recipient,
            tuple(Reason(decided, hit.rule, hit.because, _evidence(hit, recipient)) for decided, hit in reasons),
            until,
            partner,
        )


@dataclass(frozen=True, slots=True)
class ReadLine:
    """That a reader has read the message: when, and who it was where several people share the mailbox."""

    reader: str
    at: datetime
    name: str = ""


class ReceiptNotices:
    """Writes them. ``control`` is the address that answers to a receipt go to."""

    def __init__(self, letterhead: Letterhead) -> None:
        self._letterhead = letterhead

    def receipt(
        self,
        *,
        to: str,
        control: str,
        lines: Sequence[ReceiptLine],
        subject: str,
        original_message_id: str,
        now: datetime,
        message_id: str = "",
    ) -> Composed:
        """Return the receipt: for whom, by which rules and why, with masked evidence, until when, and what can be done.

        It is written in the thread of the original (``original_message_id`` with its angle brackets, or
        empty), and names the original's subject, because it goes to the person who wrote it.
        """
        tag = self._letterhead.tag()
        _ = self._letterhead.languages[tag].gettext
        sealed = [line.recipient for line in lines if line.until]
        title = _("Sealed: %(subject)s") if sealed else _("For your attention: %(subject)s")
        return self._letterhead.write(
            "receipt",
            tag,
            to=to,
            subject=title % {"subject": header_value(subject, 200) or _("(no subject)")},
            now=now,
            message_id=message_id,
            more=[*self.answered_at(control), *thread_fields([original_message_id])],
            lines=[self._shown(line, tag) for line in lines],
            any_sealed=bool(sealed),
            reader=header_value(sealed[0], 254) if sealed else "",
            original_subject=header_value(subject, 200),
        )

    def read(
        self,
        *,
        to: str,
        lines: Sequence[ReadLine],
        thread: Sequence[str],
        now: datetime,
        message_id: str = "",
    ) -> Composed:
        """Return the mail that a message was read, for a sender who asked to be told (RFC 8098 section 2.1).

        The subject is not named: it stands under the seal, and nobody has brought a key.
        """
        tag = self._letterhead.tag()
        language_of = self._letterhead.languages[tag]
        _ = language_of.gettext
        readers = ", ".join(line.reader for line in lines)
        return self._letterhead.write(
            "read",
            tag,
            to=to,
            subject=_("Read by %(readers)s") % {"readers": header_value(readers, 200)},
            now=now,
            message_id=message_id,
            more=thread_fields(thread),
            lines=[
                {
                    "reader": header_value(line.reader, 254),
                    "name": header_value(line.name, 100),
                    "at": language_of.moment(line.at, self._letterhead.zone),
                }
                for line in lines
            ],
        )

    def answered_at(self, control: str) -> list[tuple[str, str]]:
        """Return the field that leads an answer to us.

        Only that: From stays the organisation's one address, and the secret is not in what programs quote.
        """
        return [("Reply-To", self._letterhead.sender_at(control))]

    def _shown(self, line: ReceiptLine, tag: str) -> dict[str, object]:
        language = self._letterhead.languages[tag]
        return {
            "recipient": header_value(line.recipient, 254),
            "until": language.moment(line.until, self._letterhead.zone) if line.until else "",
            "partner": header_value(line.partner, 100),
            "reasons": [
                {
                    "decided": reason.decided,
                    "rule": header_value(reason.rule, 100),
                    "because": header_value(reason.because, 300),
                    "evidence": [header_value(one, 200) for one in reason.evidence],
                }
                for reason in line.reasons
            ],
        }


def _evidence(hit: RuleHit, recipient: str) -> tuple[str, ...]:
    """Return the first findings with their places; what the reason or the heading says already is not repeated."""
    return tuple(
        header_value(f"{finding.where}: {finding.evidence}" if finding.where else finding.evidence, 200)
        for finding in hit.findings[:_FINDINGS]
        if finding.evidence and not _said(finding, hit.because) and finding.evidence.lower() != recipient.lower()
    )


def _said(finding: Finding, because: str) -> bool:
    return finding.evidence in because and (finding.where in because or finding.where == "message")
