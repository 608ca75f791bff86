"""Reports of delivery as their readers get them: people, and programs that follow RFC 3464."""

import base64
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from relay.languages import load_languages
from relay.notices.letterhead import catalogue_folders
from relay.queue.dsn import ReportedRecipient, Reporter
from relay.queue.outcomes import Answer, local_answer, remote_answer
from relay.queue.settling import Report
from relay.store.tables.queue import Kind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEADERS = b"From: bob@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n"
LANGUAGES = load_languages(catalogue_folders(), ["en", "nl", "de", "fr"])
REFUSED = Answer(550, "5.1.1", "no such user", "mx.example.net:25")


def reporter(tag: str = "en") -> Reporter:
    return Reporter("Example Council", "letter.example.org", "gw.example.org", LANGUAGES[tag])


def recipient(address: str = "ann@example.net", **more: Any) -> ReportedRecipient:
    values: dict[str, Any] = {"address": address, "action": Report.FAILED, "answer": REFUSED, "at": NOW}
    return ReportedRecipient(**(values | more))


def composed(*recipients: ReportedRecipient, tag: str = "en", headers: bytes = HEADERS, envid: str = "") -> bytes:
    return reporter(tag).compose(
        to="bob@example.org",
        recipients=recipients or (recipient(),),
        headers=headers,
        arrival=NOW - timedelta(days=5),
        now=NOW,
        envid=envid,
    )


def parsed(content: bytes) -> tuple[EmailMessage, list[EmailMessage]]:
    message = message_from_bytes(content, policy=policy.default)
    assert not message.defects
    return message, list(message.iter_parts())  # type: ignore[arg-type]


def test_a_report_is_a_multipart_report() -> None:
    """Three parts in the order of RFC 6522; the top says who, to whom, and that no person wrote it."""
    message, parts = parsed(composed())
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"].addresses[0].addr_spec == "mailer-daemon@letter.example.org"
    assert message["Message-ID"].endswith("@letter.example.org>")


def test_the_status_fields_of_a_failure() -> None:
    """Machine-readable fields: reporting MTA, envelope id, arrival, and per recipient what RFC 3464 asks."""
    refused = recipient(orcpt="rfc822;Ann+2Bwork@example.net")
    _, parts = parsed(
        composed(refused, recipient("ben@example.net", answer=local_answer("4.4.1", "no one")), envid="A+3D1")
    )
    general, ann, ben = (dict(block.items()) for block in parts[1].iter_parts())
    assert general["Reporting-MTA"] == "dns; gw.example.org"
    assert general["Original-Envelope-Id"] == "A=1"
    assert "Arrival-Date" in general
    assert ann == {
        "Original-Recipient": "rfc822; Ann+work@example.net",
        "Final-Recipient": "rfc822; ann@example.net",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example.net",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Last-Attempt-Date": "Sun, 22 Nov 2026 12:00:00 +0000",
    }
    assert "Diagnostic-Code" not in ben, "no mail server said this"


def test_a_reply_without_a_status_is_quoted_without_one() -> None:
    """The status field is ours to fill (RFC 3464 section 2.3.4); the diagnostic is the reply as it came (2.3.6)."""
    _, parts = parsed(composed(recipient(answer=remote_answer(550, "No such user here", "mx.example.net:25", ""))))
    fields = dict(list(parts[1].iter_parts())[1].items())
    assert (fields["Status"], fields["Diagnostic-Code"]) == ("5.0.0", "smtp; 550 No such user here")
    assert "answered: 550 No such user here" in parts[0].get_content()


def test_a_delay_says_until_when() -> None:
    """A delayed report carries Will-Retry-Until and tells people that they need not do anything."""
    late = recipient(action=Report.DELAYED, until=NOW + timedelta(days=4))
    message, parts = parsed(composed(late))
    assert message["Subject"] == "Your message is delayed"
    assert "You need not do anything" in parts[0].get_content()
    assert "26 November 2026, 12:00 UTC" in parts[0].get_content()
    assert dict(list(parts[1].iter_parts())[1].items())["Will-Retry-Until"] == "Thu, 26 Nov 2026 12:00:00 +0000"


def test_a_delay_is_no_permanent_status() -> None:
    """A refusal that waits for an operator, such as 530, is delayed with class 4; what was said stands beside it."""
    asked = recipient(action=Report.DELAYED, answer=Answer(530, "5.7.0", "sign in first", "mx.example.net:25"))
    _, parts = parsed(composed(asked))
    _, ann = (dict(block.items()) for block in parts[1].iter_parts())
    assert ann["Status"] == "4.7.0"
    assert ann["Diagnostic-Code"] == "smtp; 530 5.7.0 sign in first"


def test_a_delay_is_told_in_the_time_of_the_organisation() -> None:
    """Until when it is tried stands there in the zone that the organisation lives in, like every other time."""
    writer = Reporter("Example", "letter.example.org", "gw.example.org", LANGUAGES["de"], ZoneInfo("Europe/Berlin"))
    late = recipient(action=Report.DELAYED, until=NOW + timedelta(days=4))
    content = writer.compose(to="bob@example.org", recipients=[late], headers=HEADERS, arrival=NOW, now=NOW)
    assert "26. November 2026, 13:00 MEZ" in parsed(content)[1][0].get_content()


def test_a_report_names_the_message_by_its_subject() -> None:
    """People need not look for it in the header that comes along."""
    headers = HEADERS.replace(b"hello", b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n und mehr")
    assert "Subject: Gr\u00fc\u00dfe und mehr\r\n" in parsed(composed(headers=headers))[1][0].get_content()


@pytest.mark.parametrize("kind", [Kind.NOTICE, Kind.CODE, Kind.REMINDER])
@pytest.mark.parametrize("tag", ["en", "nl", "de", "fr"])
def test_who_was_not_reached_stands_in_the_subject_and_what_to_do_in_the_text(tag: str, kind: Kind) -> None:
    """Their message is sealed: its subject is not at hand, but a way on is."""
    message, parts = parsed(composed(recipient(kind=kind), tag=tag, headers=b""))
    assert message["Subject"].endswith(": ann@example.net")
    taught = LANGUAGES[tag].gettext("resend %(reader)s") % {"reader": "ann@example.net"}
    assert f"\r\n  {taught}\r\n" in parts[0].get_content()


@pytest.mark.parametrize("tag", ["nl", "de", "fr"])
def test_the_words_are_in_the_language_of_the_organisation(tag: str) -> None:
    """The part for people is translated; the part for machines is not."""
    message, parts = parsed(composed(tag=tag))
    assert message["Subject"] != "Your message could not be delivered"
    assert "could not be delivered" not in parts[0].get_content()
    assert b"Action: failed" in composed(tag=tag)


@pytest.mark.parametrize(
    ("noted", "subject"),
    [
        (b"Accept-Language: de-CH, en;q=0.5\r\nContent-Language: fr\r\n", "de"),
        (b"Content-Language: nl-NL\r\n", "nl"),
        (b"Accept-Language: ja\r\nContent-Language: fr\r\n", "fr"),
        (b"Accept-Language: ja, xx;q=\xff\r\n", "en"),
        (b"Accept-Language:\r\n\tnl,\r\n\ten;q=0.1\r\n", "nl"),
        (b"", "en"),
    ],
)
def test_the_words_are_in_the_language_that_the_sender_reads(noted: bytes, subject: str) -> None:
    """What the mail program noted in the original counts (RFC 3282), if the organisation has it; else its first."""
    writer = Reporter(
        "Example Council", "letter.example.org", "gw.example.org", LANGUAGES["en"], offered=dict(LANGUAGES)
    )
    content = writer.compose(
        to="bob@example.org", recipients=[recipient()], headers=HEADERS + noted, arrival=NOW, now=NOW
    )
    expected = LANGUAGES[subject].gettext("Your message could not be delivered")
    assert parsed(content)[0]["Subject"] == expected


@pytest.mark.parametrize(
    ("next_hop", "name"),
    [
        ("mx.example.net:25", "mx.example.net"),
        ("mx.example.net[192.0.2.1]:25", "mx.example.net"),
        ("192.0.2.1:2525", "[192.0.2.1]"),
        ("[2001:db8::1]:25", "[IPv6:2001:db8::1]"),
        ("[192.0.2.1]:25", "[192.0.2.1]"),
        ("mx.example.net", "mx.example.net"),
    ],
)
def test_the_next_hop_is_named_as_mail_servers_are(next_hop: str, name: str) -> None:
    """Remote-MTA holds a domain name or an address literal, and no port (RFC 3464 section 2.3.5)."""
    content = composed(recipient(answer=Answer(550, "5.1.1", "no such user", next_hop)))
    assert f"Remote-MTA: dns; {name}\r\n".encode() in content


def test_an_address_beyond_ascii() -> None:
    """An internationalised recipient is readable in the words and encoded in the fields (RFC 6533)."""
    content = composed(recipient("jürgen@example.net"))
    _, parts = parsed(content)
    assert "jürgen@example.net" in parts[0].get_content()
    assert b"Final-Recipient: utf-8; j\\x{FC}rgen@example.net\r\n" in content


def test_headers_beyond_ascii_or_of_absurd_length_stay_intact() -> None:
    """Original headers that 7-bit mail cannot carry are encoded, not changed; at most 32 KiB of them come back."""
    raw = "Subject: grüße\r\n".encode() + b"X: " + b"y" * 2000 + b"\r\n"
    content = composed(headers=raw)
    returned = content[content.index(b"Content-Type: message/global-headers") :]
    encoded = returned.partition(b"base64\r\n\r\n")[2].partition(b"--")[0]
    assert base64.b64decode(encoded) == raw
    huge = b"".join(b"X-%d: %s\r\n" % (number, b"z" * 100) for number in range(1000))
    content = composed(headers=huge)
    assert len(content) < 36 * 1024
    assert b"X-0: " in content


@pytest.mark.parametrize("hostile", ["550\r\nX: y", "\u202eevil", "\x00\x1b[31m", "x" * 5000, "=?utf-8?q?=0A?="])
def test_hostile_answers_and_addresses_stay_in_their_field(hostile: str) -> None:
    """What a next hop or a sender made up can add no line, no field and no control character to a report."""
    bad = recipient(f"{hostile}@example.net", answer=Answer(550, "5.0.0", hostile, "mx:25"), orcpt=f"rfc822;{hostile}")
    content = composed(bad, envid=hostile)
    assert b"\0" not in content
    assert b"\x1b" not in content
    assert b"\n\n" not in content.replace(b"\r", b"\0")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    _, parts = parsed(content)
    blocks = list(parts[1].iter_parts())
    assert [sorted(block.keys()) for block in blocks][1:] == [
        [
            "Action",
            "Diagnostic-Code",
            "Final-Recipient",
            "Last-Attempt-Date",
            "Original-Recipient",
            "Remote-MTA",
            "Status",
        ]
    ]
