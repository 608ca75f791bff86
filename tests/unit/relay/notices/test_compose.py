"""Notices as their readers get them: strangers on a phone, colleagues in Outlook, screen readers, plain text."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.model import Action, Finding, Recipient, RuleHit, Verdict
from relay.notices.compose import Notices
from relay.notices.letterhead import Composed, Letterhead
from relay.notices.receipts import ReadLine, ReceiptLine, ReceiptNotices
from tests.chromium import launched

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
UNTIL = NOW + timedelta(days=30)
TAGS = ("en", "nl", "de", "fr")
PATH = "/p/" + "a" * 26 + "/" + "b" * 52
HIT = RuleHit(
    "nhs-numbers", "the message contains an NHS number", Action.SEAL, (Finding("nhs", "report.xlsx", "943 *** ***9"),)
)


def letterhead(**more: Any) -> Letterhead:
    values: dict[str, Any] = {
        "organisation": "Example Council",
        "contact": "Help desk, +44 20 7946 0000",
        "domain": "letter.example.org",
        "base_url": "https://letter.example.org/",
        "tags": TAGS,
    }
    return Letterhead(**(values | more))


def notices(tags: Sequence[str] = TAGS, *, original_subject: bool = False) -> Notices:
    return Notices(letterhead(tags=tags), original_subject=original_subject)


def pickup(writer: Notices | None = None, *, tags: Sequence[str] = TAGS, **more: Any) -> Composed:
    values: dict[str, Any] = {
        "reader": "ann@example.net",
        "sender": "bob@example.org",
        "sender_name": "Bob Müller",
        "link_path": PATH,
        "until": UNTIL,
        "now": NOW,
        "subject": "Your test results",
    }
    return (writer or notices(tags)).pickup(**(values | more))


def code(writer: Notices | None = None, *, tags: Sequence[str] = TAGS, **more: Any) -> Composed:
    values: dict[str, Any] = {"reader": "ann@example.net", "code": "12345678", "until": NOW + timedelta(minutes=10)}
    return (writer or notices(tags)).code(**(values | {"now": NOW} | more))


def receipt(*, tags: Sequence[str] = TAGS, **more: Any) -> Composed:
    values: dict[str, Any] = {
        "to": "bob@example.org",
        "control": "c.aeaq.s3cret@letter.example.org",
        "lines": [ReceiptLine.of("ann@example.net", (HIT,), UNTIL)],
        "subject": "Your test results",
        "original_message_id": "<1@example.org>",
        "now": NOW,
    }
    return ReceiptNotices(letterhead(tags=tags)).receipt(**(values | more))


def read(*, tags: Sequence[str] = TAGS, **more: Any) -> Composed:
    values: dict[str, Any] = {
        "to": "bob@example.org",
        "lines": [ReadLine("ann@example.net", NOW, "Ann"), ReadLine("eve@partner.test", NOW)],
        "thread": ["<1@example.org>"],
        "now": NOW,
    }
    return ReceiptNotices(letterhead(tags=tags)).read(**(values | more))


ALL = pytest.mark.parametrize("write", [pickup, code, receipt, read])


def parsed(composed: Composed) -> tuple[EmailMessage, str, str]:
    """Return the message, its text and its HTML."""
    message = message_from_bytes(composed.content, policy=policy.default)
    assert not message.defects
    assert message["Message-ID"] == composed.message_id
    text, html = cast("list[EmailMessage]", list(message.iter_parts()))
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    return message, text.get_content().replace("\r\n", "\n"), html.get_content()


class Elements(HTMLParser):
    """What an HTML part consists of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data


@ALL
@pytest.mark.parametrize("tag", TAGS)
def test_every_notice_is_text_and_html_that_loads_nothing(write: Any, tag: str) -> None:
    """Two alternatives that say the same; the HTML has no image, script, form or remote part, and names its language."""
    message, text, html = parsed(write(tags=[tag]))
    found = Elements(html)
    assert set(found.tags) <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "div",
        "h1",
        "h2",
        "p",
        "a",
        "b",
        "bdi",
        "br",
        "ul",
        "li",
    }
    links = [value for name, value in found.attributes if name in ("href", "src", "background")]
    assert links == (["https://letter.example.org" + PATH] if write is pickup else [])
    assert "url(" not in html
    inside = Elements(html.partition("<body")[2])  # what a web mail keeps
    assert ("lang", tag) in found.attributes
    assert ("lang", tag) in inside.attributes
    assert message["Content-Language"] == tag
    assert message["Auto-Submitted"] == "auto-generated"
    assert "Precedence" not in message
    squeezed = "".join(found.words.split())
    for line in filter(None, (line.strip().removeprefix("- ") for line in text.splitlines())):
        assert "".join(line.split()) in squeezed, "each line of the text stands in the HTML"


@ALL
def test_the_wire_form_is_seven_bit_with_whole_lines(write: Any) -> None:
    """CRLF only, ASCII only, no line beyond 998 octets: every next hop can carry it unchanged."""
    content = write().content
    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998


@ALL
@pytest.mark.parametrize("tag", TAGS[1:])
def test_translations_differ_from_english(write: Any, tag: str) -> None:
    """No sentence of the English text is left in a translated notice."""
    english = {line for line in parsed(write(tags=["en"]))[1].splitlines() if line.count(" ") > 4 and "***" not in line}
    assert english
    assert not english & set(parsed(write(tags=[tag]))[1].splitlines())


def test_the_pickup_notice_says_who_where_and_how_to_check() -> None:
    """Organisation, sender, until when, the link in full, how to check that it is genuine; an answer goes to a person."""
    message, text, html = parsed(pickup())
    assert message["From"].addresses[0].addr_spec == "notices@letter.example.org"
    assert message["From"].addresses[0].display_name == "Example Council"
    assert message["Reply-To"].addresses[0].addr_spec == "bob@example.org"
    assert message["Subject"] == "A message for you from Example Council"
    assert "\nhttps://letter.example.org" + PATH + "\n" in text
    for words in (
        "Bob Müller <bob@example.org>",
        "22 December 2026, 12:00 UTC",
        "+44 20 7946 0000",
        "Is this genuine?",
    ):
        assert words in text
    assert ">https://letter.example.org" + PATH + "</a>" in html


def test_the_original_subject_shows_only_where_it_is_allowed() -> None:
    """The subject of a sealed message stands in the notice only when the configuration says so."""
    assert b"test results" not in pickup().content
    message, text, _ = parsed(pickup(notices(original_subject=True)))
    assert message["Subject"] == "Your test results"
    assert "Subject: Your test results" in text
    message, _, _ = parsed(pickup(notices(original_subject=True), subject=""))
    assert message["Subject"] == "A message for you from Example Council"


def test_the_code_is_first_in_the_text_and_not_in_the_subject() -> None:
    """Phones preview the first line; subjects end up in tracking logs. Four and four digits, its life in minutes."""
    message, text, html = parsed(code())
    assert not re.search(r"\d", message["Subject"])
    assert text.splitlines()[0] == "Your code: 1234 5678"
    assert "10 minutes" in text
    assert Elements(html).words.split("Your code")[2].startswith(": 1234 5678")


def test_the_receipt_says_for_whom_and_why_in_the_thread() -> None:
    """Recipient, rule, reason, masked evidence, until when; in reply to the original, with its subject."""
    relayed = ReceiptLine.of(
        "eve@partner.test", (RuleHit("stranger", "you have never written to her", Action.NOTIFY, ()),)
    )
    message, text, _ = parsed(receipt(lines=[ReceiptLine.of("ann@example.net", (HIT,), UNTIL), relayed]))
    assert message["Subject"] == "Sealed: Your test results"
    assert message["In-Reply-To"] == message["References"] == "<1@example.org>"
    for words in (
        "ann@example.net",
        "until 22 December 2026, 12:00 UTC",
        "Why: the message contains an NHS number (rule nhs-numbers)",
        "report.xlsx: 943 *** ***9",
        "eve@partner.test\n  Sent as it was.",
    ):
        assert words in text


def test_the_receipt_keeps_apart_what_decided_and_what_was_noticed() -> None:
    """A rule that held and asked for less is not given as the reason."""
    stranger = RuleHit("first-contact", "you have never written to this address", Action.NOTIFY, ())
    verdict = Verdict(Recipient("ann@example.net", "example.net", inside=False), Action.SEAL, (stranger, HIT))
    line = ReceiptLine.of("ann@example.net", verdict.deciding, UNTIL, verdict.milder)
    _, text, _ = parsed(receipt(lines=[line]))
    assert "  Why: the message contains an NHS number (rule nhs-numbers)\n  - report.xlsx" in text
    assert "  Also noticed: you have never written to this address (rule first-contact)\n" in text
    assert text.count("Why:") == 1


@pytest.mark.parametrize(
    ("because", "finding"),
    [
        ("the attachment “plan.zip” is damaged", Finding("not-inspectable", "plan.zip", "is damaged")),
        (
            "it could not be inspected completely: its body is broken",
            Finding("not-inspectable", "message", "its body is broken"),
        ),
        ("you have never written to this address", Finding("first-contact", "recipient", "ann@example.net")),
    ],
)
def test_the_receipt_says_nothing_twice(because: str, finding: Finding) -> None:
    """Evidence that the reason or the name of the recipient says already is not repeated; other places are."""
    other = Finding(finding.detector, "other.zip", "is damaged, too")
    hit = RuleHit("not-inspectable", because, Action.SEAL, (finding, other))
    _, text, _ = parsed(receipt(lines=[ReceiptLine.of("Ann@example.net", (hit,), UNTIL)]))
    assert f"{finding.where}: {finding.evidence}" not in text
    assert "  - other.zip: is damaged, too\n" in text


def test_a_pickup_notice_says_that_a_reply_is_not_protected() -> None:
    """Where a reply goes to the sender's ordinary mailbox, the notice says so; else it has no Reply-To."""
    assert "An answer on that page is protected; a plain reply to this e-mail is not." in parsed(pickup())[1]
    message, text, _ = parsed(pickup(sender="jürgen@example.org"))
    assert "Reply-To" not in message
    assert "a plain reply to this e-mail" not in text


def test_the_notices_look_like_one_house() -> None:
    """Styled on the elements themselves, at once readable in Chromium: no serif text, the code large and spaced."""
    with launched() as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        for write in (pickup, code, receipt):
            # As mail programs do it: what stands in the body, without the head and the body's own styles.
            inside = parsed(write())[2].partition("<body")[2].partition(">")[2].partition("</body>")[0]
            page.set_content(inside)
            fonts = page.eval_on_selector_all("h1, p, li", "all => all.map(one => getComputedStyle(one).fontFamily)")
            assert fonts
            assert all("sans-serif" in font for font in fonts)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert page.locator("div > div > bdi").first.inner_text() == "Example Council"
            if write is code:
                shown = page.locator("h1 bdi")
                assert shown.inner_text() == "1234 5678"
                assert shown.evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 32


def test_a_receipt_for_relayed_copies_only_does_not_speak_of_sealing() -> None:
    """A notify verdict alone: the mail was sent, and the receipt says so."""
    hit = RuleHit("stranger", "you have never written to her", Action.NOTIFY, ())
    message, text, _ = parsed(receipt(lines=[ReceiptLine.of("eve@partner.test", (hit,))], subject=""))
    assert message["Subject"] == "For your attention: (no subject)"
    assert "ealed" not in text


@pytest.mark.parametrize("reference", ["", "<a\r\nX: y>", "no brackets", "<ünïcode@example.org>"])
def test_an_odd_message_id_is_no_reference(reference: str) -> None:
    """What is no proper Message-ID is left out of the threading fields and breaks nothing."""
    message, _, _ = parsed(receipt(original_message_id=reference))
    assert "X" not in message
    assert (message["In-Reply-To"] or "<>")[0] == "<"


def test_an_internationalised_reader_stands_as_they_are() -> None:
    """A recipient beyond ASCII is written raw (RFC 6532): such mail needs SMTPUTF8 anyway."""
    assert "To: jürgen@example.net\r\n".encode() in code(reader="jürgen@example.net").content


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        "a\r\nBcc: eve@evil.test",
        "<script>alert(1)</script>",
        "\u202egpj.exe",
        '"><img src=x onerror=y>',
        "{{ 7*7 }}",
        "%(x)s %s",
    ]
)


@given(name=HOSTILE, subject=HOSTILE)
def test_what_strangers_type_stays_where_it_belongs(name: str, subject: str) -> None:
    """No name or subject adds a header, a tag or a control character, or turns the direction of the text."""
    writer = _WRITER
    hit = RuleHit("r", name, Action.SEAL, (Finding("d", subject, name),))
    for composed in (
        pickup(writer, sender_name=name, subject=subject),
        receipt(subject=subject, lines=[ReceiptLine.of("ann@example.net", (hit,), UNTIL)]),
    ):
        message, text, html = parsed(composed)
        assert "Bcc" not in message
        assert not set(Elements(html).tags) & {"script", "img"}
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text + html)


_WRITER = notices(original_subject=True)
