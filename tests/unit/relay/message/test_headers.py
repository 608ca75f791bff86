import re
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.headers import (
    field,
    header_value,
    named_address,
    phrase,
    prepend,
    remove_blind_copies,
    remove_field,
    structured,
)
from relay.message.original import Original

FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
MAIL = b"From: ann@example.org\r\nSubject: hello\r\n there\r\nBcc: eve@example.net\r\nTo: bob@example.net\r\n\r\nBcc: not a field\r\n"


@given(st.text(), st.integers(min_value=1, max_value=200))
def test_header_value_never_lets_a_forbidden_character_through(text: str, limit: int) -> None:
    """No control, line separator, bidi mark or half character survives, and the length is capped."""
    value = header_value(text, limit)
    assert not FORBIDDEN.search(value)
    assert len(value) <= limit
    assert header_value(value, limit) == value


def test_header_value_keeps_words_apart() -> None:
    """What was on two lines stays two words on one."""
    assert header_value("one\r\nBcc: two\u2028three") == "one Bcc: two three"


@given(st.text(), st.integers(1, 40))
def test_a_field_is_always_exactly_one_field(text: str, times: int) -> None:
    """Whatever the text, the result is one field of short ASCII lines whose continuation lines are not empty."""
    line = field("Subject", text * times)
    assert line.startswith(b"Subject:")
    assert line.endswith(b"\r\n")
    assert line.isascii()
    lines = line[:-2].split(b"\r\n")
    assert all(part.startswith(b" ") and part.strip() for part in lines[1:])
    assert all(len(part) <= 998 for part in lines)
    assert b"\r" not in line.replace(b"\r\n", b"")
    assert b"\n" not in line.replace(b"\r\n", b"")


@given(st.text(max_size=300))
def test_a_field_reads_back_as_what_was_written(text: str) -> None:
    """A reader that knows RFC 2047 sees the safe value, whichever characters it holds."""
    raw = field("Subject", text).partition(b":")[2].decode("ascii")
    unfolded = re.sub(r"\r\n(?= )", "", raw).strip()
    assert str(make_header(decode_header(unfolded))).split() == header_value(text, 100_000).split()


def test_an_encoded_word_that_a_stranger_typed_is_not_decoded() -> None:
    """Text that looks like an encoded word is encoded itself, so that it arrives as typed."""
    assert b"=?utf-8?B?" in field("Subject", "=?utf-8?q?hi=0ABcc:_x?=")


def test_a_token_that_cannot_be_folded_is_encoded() -> None:
    """A value without spaces does not make a line beyond 998 octets."""
    assert max(map(len, field("Subject", "x" * 5000).split(b"\r\n"))) <= 78


@pytest.mark.parametrize("name", ["", "Sub ject", "Subject:", "Sub\r\nject", "S\u00fc", "x" * 77])
def test_a_name_that_is_no_field_name_is_refused(name: str) -> None:
    """Field names are ours; a wrong one is a mistake of ours and is told."""
    with pytest.raises(ValueError):
        field(name, "x")
    with pytest.raises(ValueError):
        structured(name, "x")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ann Lee", "Ann Lee <a@example.org>"),
        ("Lee, Ann", '"Lee, Ann" <a@example.org>'),
        ('Ann "A" Lee\\', '"Ann \\"A\\" Lee\\\\" <a@example.org>'),
        ("", "a@example.org"),
        ("\r\n", "a@example.org"),
        ("Zo\u00eb", "=?utf-8?B?Wm/Dqw==?= <a@example.org>"),
    ],
)
def test_a_display_name_is_quoted_or_encoded_as_it_needs(name: str, expected: str) -> None:
    """A name cannot end itself early and add an address."""
    assert named_address(name, "a@example.org") == expected


def test_structured_values_are_folded_but_never_encoded() -> None:
    """Addresses stay syntax, with encoded words only where phrase() put them."""
    name = phrase("Zo\u00eb")
    value = ", ".join(f"{name} <z{number}@example.org>" for number in range(9))
    written = structured("To", value)
    assert re.sub(rb"\r\n(?= )", b"", written) == f"To: {value}\r\n".encode()
    with pytest.raises(ValueError):
        structured("To", "z\u00f6@example.org")


def test_prepending_leaves_the_original_as_it_is() -> None:
    """New fields stand on top in their order; below them every byte is the old one."""
    result = prepend([("Received", "from a by b"), ("X-Note", "gr\u00fc\u00dfe")], MAIL)
    assert result.endswith(MAIL)
    assert result.startswith(b"Received: from a by b\r\nX-Note: =?utf-8?B?")


@given(st.binary(), st.text())
def test_prepending_leaves_any_bytes_as_they_are(original: bytes, text: str) -> None:
    """It holds for every original and every value."""
    assert prepend([("X-Note", text)], original).endswith(original)


def test_removing_bcc_cuts_the_field_out_of_the_header_only() -> None:
    """The field and its folds go; a body line that looks like one stays."""
    assert remove_field(Original(MAIL), b"Bcc").octets == MAIL.replace(b"Bcc: eve@example.net\r\n", b"")


@pytest.mark.parametrize(
    "written",
    [
        b"Bcc: a@example.org\r\n",
        b"BCC:a@example.org\r\n",
        b"bcc \t: a@example.org\r\n",
        b"bCc: a@example.org,\r\n\tb@example.org,\r\n  c@example.org\r\n",
        b"Bcc:\r\n a@example.org\r\n",
        b"Bcc: a@example.org\r\n \r\n",
        b"Bcc: a@example.org\n",
        b"Bcc: a@example.org\r\nbcc: b@example.org\r\n",
        b"Bcc:\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", b"From: x\r\n", b"From: x\r\n y\r\n", b"a line that is no field\r\n"])
@pytest.mark.parametrize("after", [b"To: y\r\n\r\nbody", b"\r\nbody\r\nBcc: z\r\n", b"\nbody", b""])
def test_removing_bcc_finds_every_way_of_writing_it(before: bytes, written: bytes, after: bytes) -> None:
    """Case, odd spacing, folds and repetition do not hide the field, wherever it stands."""
    assert remove_field(Original(before + written + after), b"Bcc").octets == before + after


@given(st.binary(), st.binary())
def test_removing_touches_no_body(header: bytes, body: bytes) -> None:
    """Whatever the header is, the bytes from its end on are the same, and without the field nothing changes."""
    original = header.replace(b"\n", b"").replace(b"\r", b"") + b"\r\n\r\n" + body
    result = remove_field(Original(original), b"Bcc").octets
    assert result.endswith(b"\r\n" + body)
    if b"bcc" not in original.lower():
        assert result == original


def test_blind_copies_of_a_message_sent_again_go_too() -> None:
    """Resent-Bcc tells as much as Bcc does (RFC 5322 section 3.6.6); other fields of the resending stay."""
    mail = Original(b"Resent-To: a\r\nRESENT-BCC: b,\r\n c\r\nBcc: d\r\nTo: e\r\n\r\nResent-Bcc: f\r\n")
    assert remove_blind_copies(mail).octets == b"Resent-To: a\r\nTo: e\r\n\r\nResent-Bcc: f\r\n"


def test_a_field_with_another_name_is_not_removed() -> None:
    """Resent-Bcc, X-Bcc and Bcc2 are other fields."""
    mail = b"Resent-Bcc: a\r\nX-Bcc: b\r\nBcc2: c\r\n\r\n"
    assert remove_field(Original(mail), b"Bcc").octets == mail


@given(
    st.text("Xy-", min_size=1, max_size=76),
    st.lists(st.text("a", max_size=100) | st.sampled_from(["", "b" * 77, "b" * 78, "b" * 900]), max_size=30),
)
def test_a_line_takes_as_many_words_as_it_can(name: str, words: list[str]) -> None:
    """The first word stays beside the name; of several spaces none begins a line but the last."""
    text = " ".join(words).strip(" ")
    lines = [f"{name}:"]
    for word in text.split(" "):
        if word and lines[-1] != f"{name}:" and len(lines[-1]) + 1 + len(word) > 78:
            lines.append("")
        lines[-1] += f" {word}"
    assert structured(name, text).decode("ascii") == "\r\n".join(line.rstrip(" ") for line in lines) + "\r\n"
