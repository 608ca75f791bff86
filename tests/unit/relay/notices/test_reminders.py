from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from relay.conversation.control.commands import Instructions, Verb, parse
from relay.message.reading import read
from relay.notices.letterhead import Composed, Letterhead
from relay.notices.reminders import ReminderNotices, Silent

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SENT = NOW - timedelta(days=3)
TAGS = ("en", "nl", "de", "fr")


def notices(*tags: str) -> ReminderNotices:
    """Notices of a made-up council, whose first language is the first of ``tags``."""
    return ReminderNotices(
        Letterhead(
            organisation="Example Council",
            contact="+44 20 7946 0000",
            domain="letter.example.org",
            base_url="https://post.example.org",
            tags=tags or TAGS,
        )
    )


def parts(composed: Composed) -> tuple[EmailMessage, str, str]:
    """The mail, its text, its HTML."""
    mail = message_from_bytes(composed.content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    bodies = [mail.get_body((kind,)) for kind in ("plain", "html")]
    text, html = (body.get_content() for body in bodies if body is not None)
    return mail, text, html


@pytest.mark.parametrize("tag", TAGS)
def test_a_reminder_leads_nowhere_but_to_the_sender(tag: str) -> None:
    """In every language: who, when, until when, whom to ask, and not one link."""
    composed = notices(tag).reminder(
        reader="jane@example.net",
        sender="anna@example.org",
        sent_at=SENT,
        until=NOW + timedelta(days=20),
        now=NOW,
    )
    mail, text, html = parts(composed)
    assert (mail["Reply-To"], mail["Content-Language"]) == ("anna@example.org", tag)
    for said in ("anna@example.org", "jane@example.net", "2026", "+44 20 7946 0000"):
        assert said in text
        assert said in html
    for link in ("http", "post.example.org", "href"):
        assert link not in text
        assert link not in html


@pytest.mark.parametrize("tag", TAGS)
def test_the_note_teaches_a_command_that_is_understood(tag: str) -> None:
    """What the sender is told to write is a whole command, in that language, for one who has not read."""
    silent = [Silent("jane@example.net", SENT, opened=True), Silent("bob@example.net", SENT, opened=False)]
    composed = notices(tag).unread(
        to="anna@example.org",
        silent=silent,
        sent_at=SENT,
        until=NOW + timedelta(days=20),
        now=NOW,
        thread=[("In-Reply-To", "<receipt@letter.example.org>")],
    )
    mail, text, _ = parts(composed)
    assert mail["In-Reply-To"] == "<receipt@letter.example.org>"
    taught = text.split('"')[1]
    understood = parse(read(f"Content-Type: text/plain; charset=utf-8\r\n\r\n{taught}\r\n".encode()))
    assert isinstance(understood, Instructions)
    assert [(one.verb, one.addresses) for one in understood.commands] == [(Verb.RESEND, ("jane@example.net",))]
    assert text.index("jane@example.net") < text.index("bob@example.net")


def test_what_a_stranger_wrote_into_an_address_stays_text() -> None:
    """An address with markup or line ends in it is neither in the HTML nor in the header."""
    composed = notices().reminder(
        reader="jane@example.net",
        sender='"<b>\r\nBcc: x"@example.org',
        sent_at=SENT,
        until=NOW,
        now=NOW,
    )
    mail, _, html = parts(composed)
    assert mail["Bcc"] is None
    assert "<b>" not in html
