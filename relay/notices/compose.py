"""What a stranger must be able to trust, and a colleague to understand, at a glance: pickup notice, code, receipt.

The code is not in the subject of its mail. Subjects are kept by message tracking logs and shown on locked
screens; a code is kept by neither when it is the first line of the text, and the preview shows it there all
the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from policies.model import Finding, RuleHit
from relay.languages import Language
from relay.message.headers import header_value, named_address
from relay.notices.letterhead import Composed, Letterhead, thread_fields

_FINDINGS = 5  # of one rule that a receipt shows


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """What happened to one recipient's copy: sealed until a day, or (``until`` None) relayed and worth a word.

    ``deciding`` are the rules that are the reason; ``milder`` held too and would not have done it.
    """

    recipient: str
    deciding: tuple[RuleHit, ...]
    until: datetime | None = None
    milder: tuple[RuleHit, ...] = ()


class Notices:
    """Writes these three. ``original_subject``: whether a notice may carry the subject of the sealed message."""

    def __init__(self, letterhead: Letterhead, *, original_subject: bool = False) -> None:
        self._letterhead = letterhead
        self._original_subject = original_subject

    def pickup(
        self,
        *,
        reader: str,
        sender: str,
        sender_name: str,
        link_path: str,
        until: datetime,
        now: datetime,
        subject: str = "",
        language: str = "",
    ) -> Composed:
        """Return the notice that a sealed message waits for ``reader``.

        ``link_path`` is the path of the pickup link, ``until`` the moment it expires, ``subject`` the
        original subject (used only where the configuration allows it). An answer to the notice goes to the
        sender: a person, not a dead address.
        """
        tag = self._letterhead.tag(language)
        _ = self._letterhead.languages[tag].gettext
        given = header_value(subject, 200) if self._original_subject else ""
        line = given or _("A message for you from %(organisation)s") % {"organisation": self._letterhead.organisation}
        return self._letterhead.write(
            "pickup",
            tag,
            to=reader,
            subject=line,
            now=now,
            more=[("Reply-To", named_address(sender_name, sender))] if sender.isascii() else [],
            to_sender=sender.isascii(),
            sender=header_value(sender, 254),
            sender_name=header_value(sender_name, 100),
            reader=header_value(reader, 254),
            link=self._letterhead.base_url + link_path,
            until=self._letterhead.languages[tag].date(until, self._letterhead.zone),
            original_subject=given,
        )

    def code(self, *, reader: str, code: str, until: datetime, now: datetime, language: str = "") -> Composed:
        """Return the mail with the one-time code of eight digits; ``until`` is the moment it lapses."""
        tag = self._letterhead.tag(language)
        _ = self._letterhead.languages[tag].gettext
        return self._letterhead.write(
            "code",
            tag,
            to=reader,
            subject=_("Your code for the message from %(organisation)s")
            % {"organisation": self._letterhead.organisation},
            now=now,
            code=f"{code[:4]} {code[4:]}",
            minutes=max(1, round((until - now).total_seconds() / 60)),
        )

    def receipt(
        self,
        *,
        sender: str,
        lines: Sequence[ReceiptLine],
        subject: str,
        original_message_id: str,
        now: datetime,
        language: str = "",
    ) -> Composed:
        """Return the receipt to the sender: for whom, by which rules and why, with masked evidence, until when.

        It is written in the thread of the original (``original_message_id`` with its angle brackets, or
        empty), and names the original's subject, because it goes to the person who wrote it.
        """
        tag = self._letterhead.tag(language)
        _ = self._letterhead.languages[tag].gettext
        original = header_value(subject, 200)
        sealed = any(line.until for line in lines)
        title = _("Sealed: %(subject)s") if sealed else _("For your attention: %(subject)s")
        return self._letterhead.write(
            "receipt",
            tag,
            to=sender,
            subject=title % {"subject": original or _("(no subject)")},
            now=now,
            more=thread_fields([original_message_id]),
            lines=[self._shown(line, self._letterhead.languages[tag]) for line in lines],
            any_sealed=sealed,
            original_subject=original,
        )

    def _shown(self, line: ReceiptLine, language: Language) -> dict[str, object]:
        return {
            "recipient": header_value(line.recipient, 254),
            "until": language.date(line.until, self._letterhead.zone) if line.until else "",
            "reasons": [
                {
                    "decided": hit in line.deciding,
                    "rule": header_value(hit.rule, 100),
                    "because": header_value(hit.because, 300),
                    "evidence": _evidence(hit, line.recipient),
                }
                for hit in (*line.deciding, *line.milder)
            ],
        }


def _evidence(hit: RuleHit, recipient: str) -> list[str]:
    """Return the first findings with their places; what the reason or the heading says already is not repeated."""
    return [
        header_value(f"{finding.where}: {finding.evidence}" if finding.where else finding.evidence, 200)
        for finding in hit.findings[:_FINDINGS]
        if finding.evidence and not _said(finding, hit.because) and finding.evidence.lower() != recipient.lower()
    ]


def _said(finding: Finding, because: str) -> bool:
    return finding.evidence in because and (finding.where in because or finding.where == "message")
