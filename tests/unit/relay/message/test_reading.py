import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest

from relay.message.parts import Part, Reading
from relay.message.reading import read

HEADER = b"From: Ann Lee <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\n"


def _multipart(subtype: str, *parts: bytes, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    body = b"".join(b"--frontier\r\n" + part + b"\r\n" for part in parts)
    return (
        f"Content-Type: multipart/{subtype}; boundary=frontier\r\n\r\n".encode()
        + preamble
        + body
        + b"--frontier--\r\n"
        + epilogue
    )


def _texts(reading: Reading) -> list[str]:
    return [part.text.strip() for part in reading.parts if part.kind in {"text", "html"}]


def _only(mail: bytes) -> Part:
    (part,) = read(mail).parts
    return part


def test_a_plain_mail_gives_its_facts_and_one_text() -> None:
    """Everything that policies, vault and portal need of an ordinary mail."""
    reading = read(
        HEADER
        + b"Cc: c@example.com, D <d@example.com>\r\nDate: Mon, 2 Nov 2026 10:11:12 +0100\r\nMessage-ID: <1@example.org>\r\n"
        b"In-Reply-To: <0@example.org>\r\nReferences: <a@x> <b@x>\r\n\r\nhello\r\n"
    )
    assert (reading.from_, reading.from_name) == ("ann@example.org", "Ann Lee")
    assert (reading.to, reading.cc) == (("bob@example.net",), ("c@example.com", "d@example.com"))
    assert reading.date == datetime(2026, 11, 2, 10, 11, 12, tzinfo=timezone(timedelta(hours=1)))
    assert (reading.message_id, reading.in_reply_to, reading.references) == (
        "<1@example.org>",
        ("<0@example.org>",),
        ("<a@x>", "<b@x>"),
    )
    assert (reading.subject, reading.auto_submitted, reading.problems) == ("hello", False, ())
    assert reading.parts == (Part("text", "text", type="text/plain", data=b"hello\r\n", text="hello\r\n"),)


def test_both_alternatives_are_read() -> None:
    """Which one a program shows is not ours to guess."""
    mail = _multipart(
        "alternative",
        b"Content-Type: text/plain\r\n\r\nharmless",
        b"Content-Type: text/html\r\n\r\n<p>943 476 5919</p>",
    )
    assert _texts(read(mail)) == ["harmless", "<p>943 476 5919</p>"]


def test_a_second_subject_is_judged_too() -> None:
    """Some programs show the first, some the last."""
    reading = read(b"Subject: one\r\nSubject: two\r\n\r\n")
    assert reading.subject == "one"
    assert [text.text for text in reading.also] == ["one", "two"]


@pytest.mark.parametrize(
    ("field", "judged"),
    [
        (b"Comments: 943\r\n", True),
        (b"Keywords: cancer\r\n", True),
        (b"Thread-Topic: cancer\r\n", True),
        (b'To: "943 476 5919" <a@example.org>\r\n', True),
        (b'To: "Cancer Services" <a@example.org>\r\n', False),
        (b"X-Mailer: 943 476 5919\r\n", False),
    ],
)
def test_header_texts_that_people_see_are_judged(field: bytes, judged: bool) -> None:
    """Comments and identifiers in names count; the name of a team and machine fields do not."""
    assert bool(read(field + b"\r\n").also) is judged


def test_text_around_the_parts_is_judged() -> None:
    """Programs without MIME show it; the usual sentence is no content."""
    part = b"Content-Type: text/plain\r\n\r\nx"
    reading = read(_multipart("mixed", part, preamble=b"943 before\r\n", epilogue=b"943 behind\r\n"))
    assert [text.text.strip() for text in reading.also] == ["943 before", "943 behind"]
    assert read(_multipart("mixed", part, preamble=b"This is a multi-part message in MIME format.\r\n")).also == ()


def test_a_missing_last_border_loses_nothing() -> None:
    """The last part goes to the end."""
    mail = _multipart("mixed", b"Content-Type: text/plain\r\n\r\none", b"Content-Type: text/plain\r\n\r\ntwo").replace(
        b"--frontier--\r\n", b""
    )
    assert _texts(read(mail)) == ["one", "two"]


def test_parts_behind_the_closing_border_are_read() -> None:
    """Some programs go on there."""
    mail = _multipart("mixed", b"\r\none") + b"--frontier\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--frontier--\r\n"
    assert _texts(read(mail)) == ["one", "two"]


def test_nested_multiparts_end_with_the_outer_border() -> None:
    """An inner group without its end does not swallow the outer parts."""
    inner = b'Content-Type: multipart/alternative; boundary="frontier2"\r\n\r\n--frontier2\r\n\r\ninner\r\n'
    reading = read(_multipart("mixed", inner, b"Content-Type: text/plain\r\n\r\nouter"))
    assert _texts(reading) == ["inner", "outer"]
    assert reading.problems == ()


@pytest.mark.parametrize(
    ("mail", "problem"),
    [
        (b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\n", "two different ways"),
        (b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\n", "two different ways"),
        (b"From: a@example.org\r\nFrom: b@example.org\r\n\r\n", "several From"),
        (b"Subject: x\r\nthis is no field\r\nTo: y\r\n\r\n", "no header fields"),
        (b" continues nothing\r\nTo: y\r\n\r\n", "no header fields"),
        (b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n", "read differently"),
        (b"Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nx\r\n", "where they begin"),
        (b"Content-Type: multipart/mixed; boundary=a\r\n\r\nno border here\r\n", "announces parts"),
        (
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--ab\r\n\r\ny\r\n--a--\r\n",
            "border of a part",
        ),
        (
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a--\r\n",
            "same border",
        ),
        (
            b"Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\nLS1hDQoNCng=\r\n",
            "encodes a group",
        ),
        (
            b"\r\nlook\r\n--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nOTQz\r\n--x--\r\n",
            "further parts",
        ),
        (b"Content-Transfer-Encoding: rot13\r\n\r\n943\r\n", "unknown way"),
        (b"Content-Type: text/plain; charset=x-none\r\n\r\n\xe9\r\n", "unknown character set"),
        (b"Content-Type : text/html\r\n\r\n", "read differently"),
        (b"Subject: x\rContent-Type: text/html\r\n\r\n", "control characters"),
        (b"Subject: x\x00y\r\n\r\n", "control characters"),
        (b"Content-Type: multipart/mixed; boundary=\xe9\r\n\r\n--\xe9\r\n\r\nx\r\n", "read differently"),
        (b"Subject: x\r\n" * 3_000 + b"\r\n", "too many header fields"),
        (b"Subject: " + b"x" * 300_000 + b"\r\n\r\n", "too long"),
    ],
)
def test_what_programs_read_differently_is_a_problem(mail: bytes, problem: str) -> None:
    """Each doubt is told in plain words, and seals."""
    assert any(problem in found for found in read(mail).problems)


def test_plain_text_under_the_label_base64_is_judged_as_it_stands() -> None:
    """Programs that cannot decode it show the text."""
    reading = read(b"Content-Transfer-Encoding: base64\r\n\r\nThe number is 943 476 5919.\r\n")
    assert "943 476 5919" in reading.also[0].text
    assert read(b"Content-Transfer-Encoding: base64\r\n\r\nSGVs\r\nbG8=\r\n").also == ()


def test_an_encoded_group_is_read_all_the_same() -> None:
    """A doubt does not keep the policies from seeing what some program shows."""
    mail = b"Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(
        b"--a\r\n\r\n943\r\n--a--\r\n"
    )
    assert _texts(read(mail)) == ["943"]


@pytest.mark.parametrize(
    ("header", "kind", "name"),
    [
        (b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n", "attachment", "attachment 1.txt"),
        (b"Content-Type: text/plain\r\nContent-Disposition: inline; filename=a.txt\r\n", "attachment", "a.txt"),
        (b"Content-Type: text/html; name=a.html\r\n", "attachment", "a.html"),
        (b"Content-Type: application/octet-stream; name=a.txt\r\n", "attachment", "a.txt"),
        (b"Content-Type: text/calendar\r\n", "attachment", "attachment 1.ics"),
        (b"Content-Type: application/pdf; name*=utf-8''caf%C3%A9.pdf\r\n", "attachment", "caf\u00e9.pdf"),
        (b'Content-Type: application/pdf; name="=?utf-8?q?caf=C3=A9.pdf?="\r\n', "attachment", "caf\u00e9.pdf"),
        (b'Content-Type: application/pdf; name="C:\\\\temp\\\\..\\\\a.pdf"\r\n', "attachment", "a.pdf"),
        (b"Content-Type: application/pdf; name*=utf-8''a%E2%80%AEfdp.exe%0D%0A\r\n", "attachment", "afdp.exe"),
        (b"Content-Type: image/png\r\nContent-ID: <logo@x>\r\n", "inline", "attachment 1.png"),
        (
            b"Content-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Disposition: attachment\r\n",
            "attachment",
            "attachment 1.png",
        ),
        (b"Content-Type: image/png\r\n", "attachment", "attachment 1.png"),
        (b"Content-Type: nonsense\r\n", "text", ""),
        (b"Content-Type: nonsense; name=a.bin\r\n", "attachment", "a.bin"),
        (b"Content-Type: text/enriched\r\n", "text", ""),
        (b"Content-Type: message/delivery-status\r\n", "text", ""),
    ],
)
def test_a_part_is_what_the_recipient_gets(header: bytes, kind: str, name: str) -> None:
    """Kind and name follow disposition, type and both ways of writing names."""
    part = _only(header + b"\r\ncontent\r\n")
    assert (part.kind, part.name) == (kind, name)


def test_files_without_a_name_are_counted_as_files() -> None:
    """Bodies and pictures in them do not move the numbers: the third file is number three."""
    mail = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"".join(
        b"--a\r\n" + header + b"\r\ncontent\r\n"
        for header in (
            b"Content-Type: text/plain\r\n",
            b"Content-Type: text/html\r\n",
            b"Content-Type: image/png\r\nContent-ID: <logo@x>\r\n",
            b"Content-Type: text/csv\r\nContent-Disposition: attachment\r\n",
            b"Content-Type: application/pdf; name=a.pdf\r\n",
            b"Content-Type: text/csv\r\nContent-Disposition: attachment\r\n",
        )
    )
    names = [part.name for part in read(mail + b"--a--\r\n").parts if part.kind == "attachment"]
    assert names == ["attachment 1.csv", "a.pdf", "attachment 3.csv"]


def test_a_picture_of_the_html_is_found_by_its_id() -> None:
    """Without angle brackets, as cid: links write it (RFC 2392)."""
    mail = _multipart(
        "related",
        b"Content-Type: text/html\r\n\r\n<img src='cid:logo@x'>",
        b"Content-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Disposition: attachment; filename=l.png\r\n\r\nPNG",
    )
    assert [(part.kind, part.cid) for part in read(mail).parts] == [("html", ""), ("inline", "logo@x")]


def test_a_nested_message_is_an_attachment_named_after_its_subject() -> None:
    """Its octets are kept whole; the extractor reads it like any message."""
    inner = b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\ninner\r\n"
    part = read(_multipart("mixed", b"Content-Type: message/rfc822\r\n\r\n" + inner)).parts[0]
    assert (part.kind, part.name, part.type, part.data) == (
        "attachment",
        "caf\u00e9.eml",
        "message/rfc822",
        inner,
    )
    part = read(_multipart("digest", b"\r\n" + inner)).parts[0]
    assert part.type == "message/rfc822"


@pytest.mark.parametrize(("kind", "problem"), [("message/partial", "fragment"), ("message/external-body", "elsewhere")])
def test_content_that_is_not_there_is_a_problem(kind: str, problem: str) -> None:
    """A fragment or a pointer cannot be judged."""
    assert problem in _only(f"Content-Type: {kind}\r\n\r\nx\r\n".encode()).problem


def test_soft_line_ends_do_not_cut_a_number() -> None:
    """format=flowed is put together as programs show it (RFC 3676)."""
    header = b"Content-Type: text/plain; format=flowed%b\r\n\r\n943 \r\n476 5919\r\n> quote \r\nmine\r\n-- \r\nAnn\r\n"
    assert _only(header % b"").text.splitlines() == ["943 476 5919", "> quote ", "mine", "-- ", "Ann"]
    assert _only(header % b"; delsp=yes").text.splitlines()[0] == "943476 5919"


def test_the_charset_of_html_may_stand_in_the_html() -> None:
    """Where the header says nothing, the meta element counts."""
    html = '<meta charset="koi8-r"><p>\u043f\u0440\u0438\u0432\u0435\u0442</p>'
    assert _only(b"Content-Type: text/html\r\n\r\n" + html.encode("koi8_r")).text == html


@pytest.mark.parametrize(
    ("field", "automatic"),
    [
        (b"Auto-Submitted: auto-replied\r\n", True),
        (b"Auto-Submitted: auto-generated (rejected)\r\n", True),
        (b"Auto-Submitted: no\r\n", False),
        (b"Precedence: bulk\r\n", True),
        (b"Precedence: first-class\r\n", False),
        (b"Content-Type: multipart/report; boundary=x; report-type=delivery-status\r\n", True),
        (b"", False),
    ],
)
def test_what_a_machine_sent_is_known(field: bytes, automatic: bool) -> None:
    """So that no machine answers it (RFC 3834)."""
    assert read(field + b"\r\n").auto_submitted is automatic


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (b"Mon, 2 Nov 2026 10:11:12 GMT", datetime(2026, 11, 2, 10, 11, 12, tzinfo=UTC)),
        (b"2 Nov 2026 10:11 -0000", datetime(2026, 11, 2, 10, 11, tzinfo=UTC)),
        (b"Mon, 2 Nov 2026 10:11:60 +0000 (leap)", datetime(2026, 11, 2, 10, 11, 59, tzinfo=UTC)),
        (b"32 Nov 2026 10:11:12 +0000", None),
        (b"Mon, 2 Nov 2026 10:11:12 +9999", None),
        (b"yesterday", None),
        (b"", None),
        (b"(" * 90, None),
    ],
)
def test_a_date_is_aware_or_absent(date: bytes, expected: datetime | None) -> None:
    """What cannot be read as a moment is no moment."""
    assert read(b"Date: " + date + b"\r\n\r\n").date == expected


def test_line_ends_of_unix_and_an_mbox_line_do_not_matter() -> None:
    """Files that people hand to the policy test come so."""
    reading = read(b"From ann Mon Nov  2\nSubject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n")
    assert (reading.subject, _texts(reading), reading.problems) == ("x", ["one"], ())
