"""Notices as bytes: what a stranger must be able to trust, and a colleague to understand, at a glance.

Every value that came from outside goes through the one function that makes text harmless (R20) before a
template sees it: no control characters, no bidi marks, a bounded length. HTML is escaped by the template
engine, and each foreign value stands in ``<bdi>`` so that right-to-left text cannot reorder what is around
it.

The code is not in the subject of its mail. Subjects are kept by message tracking logs and shown on locked
screens; a code is kept by neither when it is the first line of the text, and the preview shows it there all
the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from policies.model import Finding, RuleHit
from relay.languages import Language, load_languages
from relay.message.headers import header_value, named_address
from relay.notices.mime import message, multipart, new_message_id, text_part

FOLDER = Path(__file__).parent
LOCALE = FOLDER / "locale"
NOTICES = ("pickup", "code", "receipt")
LOCAL_PART = "notices"  # of the address in From
_FINDINGS = 5  # of one rule that a receipt shows


@dataclass(frozen=True, slots=True)
class Composed:
    """A finished mail and the Message-ID that it carries."""

    message_id: str
    content: bytes


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
    """Writes the notices of one organisation.

    ``contact`` is how a stranger checks that a notice is genuine; ``domain`` is ``[gateway] domain``;
    ``base_url`` is where pickup links begin, without a slash at the end. ``tags`` are the languages, the
    first is the default. ``original_subject``: whether a notice may carry the subject of the sealed message.
    """

    def __init__(
        self,
        *,
        organisation: str,
        contact: str,
        domain: str,
        base_url: str,
        tags: Sequence[str] = ("en",),
        original_subject: bool = False,
        zone: tzinfo = UTC,
    ) -> None:
        self._organisation = header_value(organisation, 100)
        self._contact = header_value(contact, 200)
        self._domain = domain
        self._base_url = base_url.rstrip("/")
        self._original_subject = original_subject
        self._zone = zone
        self._tags = tuple(tags)
        self.languages: Mapping[str, Language] = load_languages([LOCALE], self._tags)
        self._templates = {tag: _templates(language) for tag, language in self.languages.items()}
        self._from = named_address(self._organisation, f"{LOCAL_PART}@{domain}")

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
        tag = self._tag(language)
        _ = self.languages[tag].gettext
        given = header_value(subject, 200) if self._original_subject else ""
        line = given or _("A message for you from %(organisation)s") % {"organisation": self._organisation}
        return self._composed(
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
            link=self._base_url + link_path,
            until=self.languages[tag].date(until, self._zone),
            original_subject=given,
        )

    def code(self, *, reader: str, code: str, until: datetime, now: datetime, language: str = "") -> Composed:
        """Return the mail with the one-time code of eight digits; ``until`` is the moment it lapses."""
        tag = self._tag(language)
        _ = self.languages[tag].gettext
        return self._composed(
            "code",
            tag,
            to=reader,
            subject=_("Your code for the message from %(organisation)s") % {"organisation": self._organisation},
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
        tag = self._tag(language)
        _ = self.languages[tag].gettext
        original = header_value(subject, 200)
        sealed = any(line.until for line in lines)
        title = _("Sealed: %(subject)s") if sealed else _("For your attention: %(subject)s")
        reference = header_value(original_message_id, 500)
        threaded = reference.isascii() and reference.startswith("<") and reference.endswith(">")
        return self._composed(
            "receipt",
            tag,
            to=sender,
            subject=title % {"subject": original or _("(no subject)")},
            now=now,
            more=[("In-Reply-To", reference), ("References", reference)] if threaded else [],
            lines=[self._shown(line, self.languages[tag]) for line in lines],
            any_sealed=sealed,
            original_subject=original,
        )

    def _composed(
        self,
        notice: str,
        tag: str,
        *,
        to: str,
        subject: str,
        now: datetime,
        more: Sequence[tuple[str, str]] = (),
        **values: object,
    ) -> Composed:
        common = {
            "organisation": self._organisation,
            "contact": self._contact,
            "base_url": self._base_url,
            "lang": tag,
            "subject": subject,
            **values,
        }
        text, html = (template.render(common) for template in self._templates[tag][notice])
        message_id = new_message_id(self._domain)
        content = message(
            from_=self._from,
            to=to,
            subject=subject,
            now=now,
            message_id=message_id,
            more=[*more, ("Content-Language", tag)],
            body=multipart("alternative", [text_part("plain", text), text_part("html", html)]),
        )
        return Composed(message_id, content)

    def _shown(self, line: ReceiptLine, language: Language) -> dict[str, object]:
        return {
            "recipient": header_value(line.recipient, 254),
            "until": language.date(line.until, self._zone) if line.until else "",
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

    def _tag(self, language: str) -> str:
        return language if language in self.languages else self._tags[0]


def _evidence(hit: RuleHit, recipient: str) -> list[str]:
    """Return the first findings with their places; what the reason or the heading says already is not repeated."""
    return [
        header_value(f"{finding.where}: {finding.evidence}" if finding.where else finding.evidence, 200)
        for finding in hit.findings[:_FINDINGS]
        if finding.evidence and not _said(finding, hit.because) and finding.evidence.lower() != recipient.lower()
    ]


def _said(finding: Finding, because: str) -> bool:
    return finding.evidence in because and (finding.where in because or finding.where == "message")


def _templates(language: Language) -> dict[str, tuple[Template, Template]]:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith("html.j2"),  # noqa: S701  # text.j2 is no HTML
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)  # type: ignore[attr-defined]
    return {
        notice: (environment.get_template(f"{notice}/text.j2"), environment.get_template(f"{notice}/html.j2"))
        for notice in NOTICES
    }
