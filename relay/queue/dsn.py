"""Reports of delivery (RFC 3464), as multipart/report: words for people, fields for machines, headers of the original.

The original's body is never returned, whatever RET says: a report may travel ways that the message was not
meant for. The headers are enough to tell which message it was (RFC 3461 section 6.2 g allows it for large
messages).
"""

import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from email.utils import format_datetime
from ipaddress import ip_address

from relay.languages import Language, negotiate
from relay.message.block import fields as header_fields
from relay.message.header_facts import subject
from relay.message.headers import header_value, named_address
from relay.message.xtext import decode_xtext, embedded
from relay.notices.mime import message, multipart, new_message_id, text_part
from relay.queue.outcomes import Answer
from relay.queue.settling import Report
from relay.store.tables.queue import Kind

_PORT = re.compile(r":\d+$")
HEADER_LIMIT = 32 * 1024  # octets of the original's header section that are returned


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What happened to one recipient.

    ``orcpt`` is the parameter as received. ``until`` is when we give up, for a delay. ``kind`` says what did not
    arrive: the sender's own mail, or what we wrote to a reader about it.
    """

    address: str
    action: Report
    answer: Answer
    at: datetime
    orcpt: str = ""
    until: datetime | None = None
    kind: Kind = Kind.MAIL


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who writes the reports: names of this gateway, languages and time zone of its people.

    A report is written in the one of ``offered`` that the original says its sender reads, else in ``language``.
    """

    organisation: str
    domain: str
    host_name: str
    language: Language
    zone: tzinfo = UTC
    offered: Mapping[str, Language] = field(default_factory=dict)

    def compose(
        self,
        *,
        to: str,
        recipients: Sequence[ReportedRecipient],
        headers: bytes,
        arrival: datetime,
        now: datetime,
        envid: str = "",
        message_id: str = "",
        thread: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Return the report as bytes, to be sent with the null reverse-path.

        At least one recipient; ``headers`` is the original's header section
        (`relay.queue.content.header_section`), empty where it is not at hand any more;
        ``arrival`` is when we accepted it, ``envid`` the parameter as received, ``thread`` the fields that put the
        report into a thread (`relay.notices.letterhead.thread_fields`); ``message_id`` is drawn where none is given
        (`relay.queue.own_mail`).
        """
        worst = min((one.action for one in recipients), key=list(Report).index)
        language = self._language_of(headers)
        words = _Words(language, self.organisation, self.zone)
        return message(
            from_=named_address(self.organisation, f"mailer-daemon@{self.domain}"),
            to=to,
            subject=words.subject(worst, recipients),
            now=now,
            message_id=message_id or new_message_id(self.domain),
            more=thread,
            body=multipart(
                "report",
                [
                    text_part("plain", words.text(recipients, _subject(headers), arrival)),
                    self._status(recipients, arrival, envid),
                    *([_returned(headers)] if headers else []),
                ],
                " report-type=delivery-status;",
            ),
        )

    def _language_of(self, headers: bytes) -> Language:
        """Return the sender's language, as mail programs note it (RFC 3282): what one reads, else what one wrote."""
        noted = {found.name: found.value.decode("ascii", "replace") for found in header_fields(headers)}
        offered = {self.language.tag: self.language, **self.offered}
        for name in (b"accept-language", b"content-language"):
            tag = negotiate(header_value(noted.get(name, ""), 200), ("", *offered))
            if tag:
                return offered[tag]
        return self.language

    def _status(self, recipients: Sequence[ReportedRecipient], arrival: datetime, envid: str) -> bytes:
        """Return message/delivery-status: one block for the message, one for each recipient."""
        general = [("Reporting-MTA", f"dns; {self.host_name}"), ("Arrival-Date", format_datetime(arrival))]
        if envid:
            general.insert(0, ("Original-Envelope-Id", decode_xtext(envid)))
        blocks = [general, *(_recipient_fields(one) for one in recipients)]
        lines = [
            "".join(f"{name}: {embedded(header_value(value, 900))}\r\n" for name, value in block) for block in blocks
        ]
        return b"Content-Type: message/delivery-status\r\n\r\n" + "\r\n".join(lines).encode("ascii")


class _Words:
    """The part for people, in the language of the organisation."""

    def __init__(self, language: Language, organisation: str, zone: tzinfo) -> None:
        self._ = language.gettext
        self._language = language
        self._organisation = organisation
        self._zone = zone

    def subject(self, action: Report, recipients: Sequence[ReportedRecipient]) -> str:
        _ = self._
        unreached = [one.address for one in recipients if one.kind is not Kind.MAIL]
        if unreached:
            return _("Not reached: %(readers)s") % {"readers": header_value(", ".join(unreached), 200)}
        return {
            Report.FAILED: _("Your message could not be delivered"),
            Report.DELAYED: _("Your message is delayed"),
            Report.RELAYED: _("Your message was handed on"),
        }[action]

    def text(self, recipients: Sequence[ReportedRecipient], subject: str, arrival: datetime) -> str:
        _ = self._
        paragraphs = [_("This is the mail gateway of %(organisation)s.") % {"organisation": self._organisation}]
        if subject:
            paragraphs.append(f"{_('Subject:')} {subject}")
        paragraphs += ["\n".join([header_value(one.address, 254), *self._said(one)]) for one in recipients]
        unreached = next((one for one in recipients if one.kind is not Kind.MAIL), None)
        if unreached is not None:  # its subject is sealed: only the time tells which message it was
            sent = self._language.moment(arrival, self._zone)
            paragraphs.append(_("It is the message that you sent on %(moment)s.") % {"moment": sent})
            paragraphs.append(self._what_now(header_value(unreached.address, 254)))
        return "\n\n".join(paragraphs) + "\n"

    def _what_now(self, reader: str) -> str:
        _ = self._
        return "\n".join(
            (
                _("Please check the address, and answer the receipt of that message (not this report) with one line:"),
                f"  {_('resend %(reader)s') % {'reader': reader}}",
                f"    {_('send a notice with a new link')}",
                f"  {_('add carol@example.com')}",
                f"    {_('let somebody else read it, too')}",
            )
        )

    def _said(self, one: ReportedRecipient) -> list[str]:
        _ = self._
        said = {
            Report.FAILED: _("Your message could not be delivered to this address. It will not be tried again."),
            Report.DELAYED: _("Your message could not be delivered to this address yet. You need not do anything."),
            Report.RELAYED: _("Your message was handed on to a mail server that does not report on delivery."),
        }[one.action]
        lines = [_unreached(_).get(one.kind, said)]
        if one.action is Report.DELAYED and one.until is not None:
            until = self._language.moment(one.until, self._zone)
            lines.append(_("We go on trying until %(until)s.") % {"until": until})
        if one.action is not Report.RELAYED:
            if one.answer.code:
                answer = header_value(f"{one.answer.code} {one.answer.said}", 600)
                lines.append(_("The mail server answered: %(answer)s") % {"answer": answer})
            else:  # our own words; their enhanced code stands in the part for machines
                lines.append(_("The reason: %(reason)s") % {"reason": header_value(one.answer.text, 600)})
        return lines


def _subject(headers: bytes) -> str:
    """Return the original's subject, on one line; empty where it has none, or its header is not at hand."""
    return header_value(
        subject({b"subject": [one.value for one in header_fields(headers) if one.name == b"subject"]}), 200
    )


def _unreached(gettext: Callable[[str], str]) -> dict[Kind, str]:
    """Return what it means that a mail of ours to a reader did not arrive."""
    _ = gettext
    return {
        Kind.NOTICE: _(
            "Your message was sealed, but the notice to this address could not be delivered: "
            "the recipient does not know of it."
        ),
        Kind.CODE: _(
            "Your message was sealed and this recipient has the link, but the code for it could not be delivered: "
            "the message cannot be opened."
        ),
        Kind.REMINDER: _(
            "Your message was sealed and is still unread, and the reminder to this address could not be delivered."
        ),
    }


def _recipient_fields(one: ReportedRecipient) -> list[tuple[str, str]]:
    fields = []
    if one.orcpt:
        kind, _, address = one.orcpt.partition(";")
        fields.append(("Original-Recipient", f"{kind}; {decode_xtext(address)}"))
    fields += [
        ("Final-Recipient", f"{'rfc822' if one.address.isascii() else 'utf-8'}; {one.address}"),
        ("Action", one.action.value),
        ("Status", _status_of(one)),
    ]
    if one.answer.code and one.answer.next_hop:
        fields.append(("Remote-MTA", f"dns; {_host(one.answer.next_hop)}"))
    if one.answer.code:
        fields.append(("Diagnostic-Code", f"smtp; {one.answer.code} {one.answer.said}"))
    fields.append(("Last-Attempt-Date", format_datetime(one.at)))
    if one.until is not None and one.action is Report.DELAYED:
        fields.append(("Will-Retry-Until", format_datetime(one.until)))
    return fields


def _status_of(one: ReportedRecipient) -> str:
    """Return the status of a recipient: class 4 as long as it is tried, whatever was said (RFC 3463 section 3.1)."""
    return f"4{one.answer.enhanced[1:]}" if one.action is Report.DELAYED else one.answer.enhanced


def _host(next_hop: str) -> str:
    """Return the name of a next hop without its port; an address as a literal (RFC 3464 section 2.1.2)."""
    host = _PORT.sub("", next_hop)
    name = host if host.startswith("[") else host.partition("[")[0]
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return name
    return f"[IPv6:{address}]" if ":" in str(address) else f"[{address}]"


def _returned(headers: bytes) -> bytes:
    """Return the original's header section as a part: RFC 6533's type where it is not ASCII."""
    cut = headers[:HEADER_LIMIT]
    if len(headers) > HEADER_LIMIT:
        cut = cut[: cut.rfind(b"\r\n") + 2]
    kind = b"text/rfc822-headers" if cut.isascii() else b"message/global-headers"
    if cut.isascii() and all(len(line) <= 998 for line in cut.split(b"\r\n")):  # noqa: PLR2004  # RFC 5322
        return b"Content-Type: %s\r\n\r\n%s" % (kind, cut)
    encoded = binascii.b2a_base64(cut, newline=False)
    lines = b"\r\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))
    return b"Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n" % (kind, lines)
