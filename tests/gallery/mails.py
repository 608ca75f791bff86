"""Every kind of mail that Letterlock writes, by the code that writes it, with made-up people and values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from policies.model import Action, Finding, RuleHit
from relay.alerts import alert_mail
from relay.config.model import Gateway
from relay.health import Problem
from relay.languages import load_languages
from relay.notices.compose import Notices
from relay.notices.controls import Asked, ControlNotices, Done, Misunderstanding, Outcome, Progress, Read, RecipientLine
from relay.notices.holds import Choices, Decision, HoldNotices, Waiting
from relay.notices.letterhead import Letterhead, catalogue_folders
from relay.notices.receipts import ReadLine, ReceiptLine, ReceiptNotices
from relay.notices.reminders import ReminderNotices, Silent
from relay.notices.replies import ReplyNotices
from relay.notices.reply_mail import Enclosure, Heading, ReplyMail
from relay.queue.dsn import ReportedRecipient, Reporter
from relay.queue.outcomes import Answer, local_answer
from relay.queue.settling import Report
from relay.store.tables.queue import Kind

LANGUAGES = ("en", "nl", "de", "fr")
ANNA, BEN = "anna.baker@example.org", "ben.carter@example.org"
JANE, JOHN, CLINIC = "jane@example.net", "john.smith@example.net", "intake@clinic.example.com"
DOMAIN = "letter.example.org"
PATH = "/p/k3b5q2x7m4d6zj3w5yhc2tva6e/o4gq2n7rxk5jw3h6bzt2mc4yvd7pfa5sl3eq6xk2hj4gw5bn7dma"
SUBJECT = "Your appointment at the memory clinic"
ZONE = ZoneInfo("Europe/London")
SENT = datetime(2026, 11, 23, 9, 2, tzinfo=UTC)
LATER = SENT + timedelta(days=3, hours=1)
UNTIL = SENT + timedelta(days=30)


def _letterhead(*tags: str) -> Letterhead:
    return Letterhead(
        organisation="Example Council",
        contact="Help desk, +44 20 7946 0000",
        domain=DOMAIN,
        base_url=f"https://{DOMAIN}",
        tags=tags,
        zone=ZONE,
    )


_LETTERHEAD = _letterhead(*LANGUAGES)
_REPORTER = Reporter(
    "Example Council", DOMAIN, "gate.example.org", load_languages(catalogue_folders(), LANGUAGES)["en"], ZONE
)
_NOTICES, _RECEIPTS, _CONTROLS = Notices(_LETTERHEAD), ReceiptNotices(_LETTERHEAD), ControlNotices(_LETTERHEAD)
_HOLDS, _REMINDERS, _REPLIES = HoldNotices(_LETTERHEAD), ReminderNotices(_LETTERHEAD), ReplyNotices(_LETTERHEAD)
_CONTROL = f"c.k3b5q2x7m4d6zj3w5yhc2tva6e.mt4vq7n2xk5jw3h6bzt2mc4yvd7pfa5s@{DOMAIN}"
_NHS = RuleHit(
    "nhs-numbers",
    "the message contains an NHS number",
    Action.SEAL,
    (Finding("nhs", "visits.xlsx, sheet 1", "999 *** ***9"), Finding("nhs", "text", "999 *** ***9")),
)
_TAG = RuleHit("secure-tag", "you marked the message with [secure]", Action.SEAL, ())
_FIRST = RuleHit("first-contact", "you have never written to this address", Action.NOTIFY, ())
_REFUSED = Answer(550, "5.1.1", "no such mailbox here", "mx.example.net:25")
_ORIGINAL = f"From: {ANNA}\r\nTo: {JANE}\r\nSubject: {SUBJECT}\r\nMessage-ID: <4711@example.org>\r\n".encode()


@dataclass(frozen=True, slots=True)
class Specimen:
    """One mail: ``notice`` is the folder of its templates, or the kind of mail where it has none."""

    name: str
    notice: str
    sentence: str
    content: bytes


def _pickup(notices: Notices = _NOTICES, *, further: bool = False) -> bytes:
    return notices.pickup(
        reader=JANE,
        sender=ANNA,
        sender_name="Anna Baker",
        link_path=PATH,
        until=UNTIL,
        now=SENT,
        further=further,
    ).content


def _receipt(*lines: ReceiptLine, receipts: ReceiptNotices = _RECEIPTS) -> bytes:
    return receipts.receipt(
        to=ANNA,
        control=_CONTROL,
        lines=lines,
        subject=SUBJECT,
        original_message_id="<4711@example.org>",
        now=SENT,
    ).content


_ASKED = Asked(ANNA, f"Re: Sealed: {SUBJECT}", ("<4711@example.org>",), _CONTROL)
_READ = RecipientLine(JANE, Progress.READ, SENT, (Read(SENT + timedelta(hours=2), "Jane Roe"),))
_OPENED = RecipientLine(JOHN, Progress.LINK_OPENED, SENT + timedelta(hours=5))
_DIRECT = RecipientLine(BEN, Progress.DIRECT, SENT + timedelta(seconds=2))


def _state(
    *done: Done, recipients: Sequence[RecipientLine] = (_READ, _OPENED, _DIRECT), passed_over: Sequence[str] = ()
) -> bytes:
    return _CONTROLS.state(
        _ASKED,
        "en",
        done=done,
        recipients=recipients,
        until=UNTIL,
        now=LATER,
        message_id=f"<1@{DOMAIN}>",
        passed_over=passed_over,
    ).content


def _recalled(line: RecipientLine) -> RecipientLine:
    return RecipientLine(line.address, line.progress, line.at, line.reads, LATER)


def _misunderstood(why: Misunderstanding, line: str, *, choices: Choices | None = None) -> bytes:
    return _CONTROLS.help(
        _ASKED, "en", why, line, reader="" if choices else JANE, now=LATER, message_id=f"<1@{DOMAIN}>", choices=choices
    ).content


def _decision(sentence: str) -> bytes:
    asked = Asked(ANNA, f"Re: Waits for your answer: {SUBJECT}", ("<4711@example.org>",), _CONTROL)
    return _CONTROLS.said(asked, "en", [sentence], now=LATER, message_id=f"<1@{DOMAIN}>").content


def _question(*waiting: Waiting, plain: bool) -> bytes:
    return _HOLDS.question(
        to=ANNA,
        control=_CONTROL,
        waiting=waiting,
        plain=plain,
        until=LATER,
        subject=SUBJECT,
        original_message_id="<4711@example.org>",
        now=SENT,
    ).content


def _report(
    address: str, action: Report, answer: Answer, *, kind: Kind = Kind.MAIL, headers: bytes = _ORIGINAL
) -> bytes:
    recipient = ReportedRecipient(
        address, action, answer, LATER, until=SENT.astimezone(ZONE) + timedelta(days=5), kind=kind
    )
    return _REPORTER.compose(to=ANNA, recipients=[recipient], headers=headers, arrival=SENT, now=LATER)


def _answer() -> bytes:
    mail = ReplyMail(_LETTERHEAD)
    return mail.write(
        Heading(
            from_=mail.via(JANE, f"r.k3b5q2x7m4d6zj3w5yhc2tva6e.mt4vq7n2xk5jw3h6bzt2mc4yvd7pfa5s@{DOMAIN}"),
            to=[ANNA],
            cc=[],
            subject=f"Re: {SUBJECT}",
            message_id=f"<2@{DOMAIN}>",
            thread=["<4711@example.org>"],
            at=SENT + timedelta(hours=3),
        ),
        mail.body(
            "Dear Anna,\n\nThursday is fine. May my brother come with me?\nHe has the papers from 2019.\n\nJane\n",
            [Enclosure("Notes on the medicine.txt", "text/plain", lambda: [b"twice a day\n"])],
            name="Jane Roe",
        ),
    )


def _alert(*problems: Problem) -> bytes:
    gateway = Gateway(domain=DOMAIN, hostname="gate.example.org", admin_alert="it@example.org")
    return alert_mail("Example Council", gateway, problems, message_id=f"<3@{DOMAIN}>", now=SENT)


TO_READERS = (
    Specimen("pickup", "pickup", "What an outside recipient gets instead of the message.", _pickup()),
    Specimen("pickup-nl", "pickup", "The same in Dutch.", _pickup(Notices(_letterhead("nl")))),
    Specimen("pickup-de", "pickup", "The same in German.", _pickup(Notices(_letterhead("de")))),
    Specimen("pickup-fr", "pickup", "The same in French.", _pickup(Notices(_letterhead("fr")))),
    Specimen("pickup-further", "pickup", "Another message in a conversation that is there.", _pickup(further=True)),
    Specimen(
        "code",
        "code",
        "The code; the page of the link asks for it.",
        _NOTICES.code(reader=JANE, code="49203751", until=SENT + timedelta(minutes=10), now=SENT).content,
    ),
    Specimen(
        "reminder",
        "reminder",
        "After three days without reading: one reminder, without a link.",
        _REMINDERS.reminder(reader=JANE, sender=ANNA, sent_at=SENT, until=UNTIL, now=LATER).content,
    ),
)

TO_SENDERS = (
    Specimen(
        "receipt",
        "receipt",
        "The receipt: for whom, why, until when, and the commands that an answer may hold.",
        _receipt(ReceiptLine.of(JANE, [_NHS], UNTIL)),
    ),
    Specimen(
        "receipt-merged",
        "receipt",
        "Three transactions of one message, one receipt: sealed for two, noticed for a third.",
        _receipt(
            ReceiptLine.of(JANE, [_NHS, _TAG], UNTIL),
            ReceiptLine.of(JOHN, [_TAG], UNTIL, [_FIRST]),
            ReceiptLine.of(CLINIC, [_FIRST]),
        ),
    ),
    Specimen(
        "receipt-noticed",
        "receipt",
        "Nothing was sealed; a rule wants the sender to look.",
        _receipt(ReceiptLine.of(CLINIC, [_FIRST])),
    ),
    Specimen(
        "receipt-de",
        "receipt",
        "A receipt in German.",
        _receipt(ReceiptLine.of(JANE, [_NHS], UNTIL), receipts=ReceiptNotices(_letterhead("de"))),
    ),
    Specimen(
        "read",
        "read",
        "For a sender who asked their mail program for a read receipt.",
        _RECEIPTS.read(
            to=ANNA,
            lines=[ReadLine(JANE, SENT + timedelta(hours=2), "Jane Roe")],
            thread=["<4711@example.org>"],
            now=SENT + timedelta(hours=2),
        ).content,
    ),
    Specimen(
        "answer",
        Kind.REPLY,
        "A reader's answer as staff get it; they answer it like any mail.",
        _answer(),
    ),
    Specimen(
        "unread",
        "unread",
        "Who has not read after three days, and how far each has come.",
        _REMINDERS.unread(
            to=ANNA,
            silent=[Silent(JANE, SENT, opened=False), Silent(JOHN, SENT, opened=True)],
            sent_at=SENT,
            until=UNTIL,
            now=LATER,
        ).content,
    ),
    Specimen(
        "new-link",
        "new_link",
        "A reader pressed the button on the page of a link that opens nothing any more.",
        _REPLIES.new_link(to=ANNA, reader=JANE, written_at=SENT, now=LATER, message_id=f"<4@{DOMAIN}>").content,
    ),
)

ABOUT_COMMANDS = (
    Specimen("status", "control", "Answer to `status`: how far each recipient is.", _state()),
    Specimen(
        "recall",
        "control",
        "Answer to `recall`: what went out directly is named as out of reach.",
        _state(
            Done(Outcome.RECALLED, JANE),
            Done(Outcome.RECALLED, JOHN),
            Done(Outcome.OUT_OF_REACH, BEN),
            recipients=(_recalled(_READ), _recalled(_OPENED), _DIRECT),
        ),
    ),
    Specimen("restore", "control", "Answer to `restore jane@example.net`.", _state(Done(Outcome.RESTORED, JANE))),
    Specimen(
        "resend",
        "control",
        "Answer to `resend jane@example.net`, where the new link cannot be given all older messages.",
        _state(Done(Outcome.RESENT_IN_PART, JANE)),
    ),
    Specimen("extend", "control", "Answer to `extend 14`.", _state(Done(Outcome.EXTENDED, until=UNTIL))),
    Specimen(
        "add",
        "control",
        "Answer to `add intake@clinic.example.com`, with a line below it that was no command.",
        _state(
            Done(Outcome.ADDED, CLINIC),
            recipients=(_READ, _OPENED, RecipientLine(CLINIC, Progress.WAITING)),
            passed_over=["and tell them that it is urgent"],
        ),
    ),
    Specimen(
        "remove",
        "control",
        "Answer to `remove john.smith@example.net`.",
        _state(Done(Outcome.REMOVED, JOHN), recipients=(_READ, RecipientLine(JOHN, Progress.REMOVED))),
    ),
    Specimen(
        "not-understood",
        "control",
        "An answer that is no command changes nothing, and is answered with what can be said.",
        _misunderstood(Misunderstanding.UNKNOWN, "Please stop this from being read"),
    ),
)

ABOUT_HOLDS = (
    Specimen(
        "hold",
        "hold",
        "A rule holds a copy: the question to its sender.",
        _question(Waiting(JANE, (("second-look", "it speaks of the merger"),)), plain=True),
    ),
    Specimen(
        "hold-two",
        "hold",
        "Two copies wait, and the rules let them leave sealed only.",
        _question(
            Waiting(JANE, (("second-look", "it speaks of the merger"),)),
            Waiting(CLINIC, (("second-look", "it speaks of the merger"), ("mailing-list", "a list would read it"))),
            plain=False,
        ),
    ),
    Specimen("hold-sealed", "control", "Answer to `send sealed`.", _decision(_HOLDS.say(Decision.SEALED, [JANE]))),
    Specimen("hold-sent", "control", "Answer to `send`.", _decision(_HOLDS.say(Decision.SENT, [JANE]))),
    Specimen("hold-dropped", "control", "Answer to `drop`.", _decision(_HOLDS.say(Decision.DROPPED, [JANE]))),
    Specimen(
        "hold-corrected",
        "control",
        "Answer to `to john.smith@example.net`: the address was wrong.",
        _decision(_HOLDS.say(Decision.CORRECTED_SEALED, [JANE], right=JOHN)),
    ),
    Specimen(
        "hold-not-understood",
        "control",
        "An answer that decides nothing.",
        _misunderstood(Misunderstanding.UNKNOWN, "Yes, that is fine", choices=Choices(plain=False, several=False)),
    ),
    Specimen(
        "hold-decided",
        "hold_decided",
        "An administrator decided with `letterlock held release`.",
        _HOLDS.decided(
            to=ANNA,
            said=[_HOLDS.say(Decision.SEALED, [JANE])],
            subject=SUBJECT,
            original_message_id="<4711@example.org>",
            now=LATER,
        ).content,
    ),
    Specimen(
        "hold-returned",
        Kind.DSN,
        "Nobody answered within three working days: the copy comes back.",
        _report(
            JANE,
            Report.FAILED,
            local_answer(
                "5.7.1",
                _HOLDS.why_returned([("second-look", "it speaks of the merger")], days=3),
            ),
        ),
    ),
)

REPORTS = (
    Specimen(
        "bounce",
        Kind.DSN,
        "The notice came back, at once or days later: the sender is told once.",
        _report(JANE, Report.FAILED, _REFUSED, kind=Kind.NOTICE, headers=b""),
    ),
    Specimen("bounce-mail", Kind.DSN, "The next hop refused an ordinary mail.", _report(JANE, Report.FAILED, _REFUSED)),
    Specimen(
        "delay",
        Kind.DSN,
        "A mail is late.",
        _report(JANE, Report.DELAYED, Answer(451, "4.7.1", "greylisted, please try again", "mx.example.net:25")),
    ),
    Specimen(
        "handed-on",
        Kind.DSN,
        "For a sender who asked for a report of success, from a server that gives none.",
        _report(JANE, Report.RELAYED, Answer(250, "2.0.0", "ok", "mx.example.net:25")),
    ),
)

TO_THE_ORGANISATION = (
    Specimen(
        "undelivered-reply",
        "undelivered_reply",
        "A reader's answer reached nobody inside for a day: the organisation's mailbox gets it.",
        _REPLIES.undelivered(
            to="post@example.org",
            reader=JANE,
            recipient=ANNA,
            why="550 5.1.1 this mailbox was closed",
            now=LATER,
            message_id=f"<5@{DOMAIN}>",
            answer=_answer(),
        ).content,
    ),
    Specimen(
        "alert",
        Kind.ALERT,
        "The gateway's own faults, to `gateway.admin_alert`.",
        _alert(
            Problem("mail has been due for 22 minutes", urgent=True, fault="queue"),
            Problem("the certificate of listen.submission ends on 2026-11-30", urgent=False, fault="certificate"),
        ),
    ),
    Specimen("all-clear", Kind.ALERT, "After an hour without a fault.", _alert()),
)

SECTIONS: dict[str, tuple[Specimen, ...]] = {
    "Mail to readers": TO_READERS,
    "Mail to senders": TO_SENDERS,
    "Answers to commands": ABOUT_COMMANDS,
    "Held mail": ABOUT_HOLDS,
    "Reports of delivery": REPORTS,
    "Mail to the organisation": TO_THE_ORGANISATION,
}
