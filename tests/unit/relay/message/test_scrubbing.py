"""No secret of an address leaves the mailbox that it was mailed to: answers and forwards carry real addresses."""

import base64
import quopri
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.scrubbing import scrub
from relay.message.secret_address import AddressKind, SecretAddress

DOMAIN = "letter.example.org"
JANE = SecretAddress(AddressKind.READER, bytes(range(16)), bytes(range(100, 120)))
ANNA = SecretAddress(AddressKind.CONTROL, bytes(range(40, 56)), bytes(range(200, 220)))
STRANGER = SecretAddress(AddressKind.READER, b"s" * 16, b"t" * 20)
SECRET = JANE.write(DOMAIN)
LOCAL = SECRET.partition("@")[0]
REAL = {JANE: "jane@example.net", ANNA: "notices@letter.example.org"}


def clean(content: bytes) -> bytes:
    return scrub(content, DOMAIN, REAL.get)


def mail(body: bytes, *header: str) -> bytes:
    return "\r\n".join(["From: anna@example.org", "MIME-Version: 1.0", *header, "", ""]).encode() + body


def part(kind: str, encoding: str, body: bytes) -> bytes:
    return mail(body, f"Content-Type: {kind}", f"Content-Transfer-Encoding: {encoding}")


def body_of(content: bytes) -> str:
    message = message_from_bytes(content, policy=policy.SMTP)
    return str(message.get_content())


def test_mail_without_a_secret_is_the_same_object() -> None:
    """What holds no address of ours is not even copied, whatever its encoding."""
    for content in (
        mail(b"Dear Jane\r\n", f"Message-ID: <abc@{DOMAIN}>"),
        part("text/plain; charset=utf-8", "base64", base64.encodebytes(b"Dear Jane" * 30)),
        part("text/html", "quoted-printable", b"<p>Dear =4Aane, write to help@letter.example.org</p>=\r\n"),
    ):
        assert clean(content) is content


def test_header_fields_name_the_person() -> None:
    """To, Cc, Reply-To, folded or in capitals, with a display name or without: the real address stands there."""
    content = mail(
        b"Dear Jane\r\n",
        f'To: "jane (example.net) via Example Council"\r\n <{SECRET}>',
        f"Cc: {SECRET.upper()}, bob@example.net",
        f"Reply-To: {ANNA.write(DOMAIN)}",
        f"X-Original-To: {LOCAL}",
    )
    assert clean(content) == mail(
        b"Dear Jane\r\n",
        'To: "jane (example.net) via Example Council"\r\n <jane@example.net>',
        "Cc: jane@example.net, bob@example.net",
        "Reply-To: notices@letter.example.org",
        "X-Original-To: jane@example.net",
    )


def test_encoded_words_are_written_anew() -> None:
    """A display name or subject in encoded words that holds the address, even cut in two words, is cleaned."""
    word = base64.b64encode(f"Grüße an {SECRET}".encode()).decode()
    halves = [base64.b64encode(piece).decode() for piece in (SECRET[:30].encode(), SECRET[30:].encode())]
    content = mail(
        b"x\r\n",
        f"Subject: =?utf-8?B?{word}?=",
        f"Comments: =?utf-8?B?{halves[0]}?=\r\n =?utf-8?B?{halves[1]}?= now",
        "Keywords: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=",
    )
    message = message_from_bytes(clean(content), policy=policy.SMTP)
    assert message["Subject"] == "Grüße an jane@example.net"
    assert message["Comments"] == "jane@example.net now"
    assert b"Keywords: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n" in clean(content)


SPELLINGS = {
    "plain": (SECRET, "jane@example.net"),
    "capitals": (SECRET.upper(), "jane@example.net"),
    "mailto, percent-encoded": (f"mailto:{LOCAL}%40{DOMAIN}?subject=x", "mailto:jane%40example.net?subject=x"),
    "in a rewritten link": (
        f"https://safe.example/?url=mailto%3A{LOCAL}%2540{DOMAIN}&data=1",
        "https://safe.example/?url=mailto%3Ajane%2540example.net&data=1",
    ),
    "dots percent-encoded": (SECRET.replace(".", "%2E").replace("@", "%40"), "jane%40example.net"),
    "decimal reference": (SECRET.replace("@", "&#64;"), "jane@example.net"),
    "hexadecimal references": (SECRET.replace("@", "&#x0040;").replace(".", "&#x2e;"), "jane@example.net"),
    "named references": (SECRET.replace("@", "&commat;").replace(".", "&period;"), "jane@example.net"),
    "without its domain": (f"({LOCAL})", "(jane@example.net)"),
    "a reader whom nobody knows": (STRANGER.write(DOMAIN), f"undisclosed@{DOMAIN}"),
}


@pytest.mark.parametrize(("spelled", "real"), SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_every_spelling_in_every_encoding(spelled: str, real: str, encoding: str) -> None:
    """HTML as mail programs quote and link addresses; only the address changes, in the encoding of its part."""
    text = f'<p class="x">Grüße an <a href="mailto:x">{spelled}</a></p>\r\n' * 3
    data = text.encode()
    encoded = {
        "8bit": data,
        "quoted-printable": quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n"),
        "base64": base64.encodebytes(data).replace(b"\n", b"\r\n"),
    }[encoding]
    cleaned = clean(part("text/html; charset=utf-8", encoding, encoded))
    assert f"Content-Transfer-Encoding: {encoding}\r\n".encode() in cleaned
    assert body_of(cleaned).replace("\r\n", "\n") == text.replace(spelled, real).replace("\r\n", "\n")
    assert max(map(len, cleaned.split(b"\r\n"))) <= (76 if encoding != "8bit" else 998)


def test_what_is_not_ours_stays() -> None:
    """Such an address at another house, one that is no identifier, one without a domain that is unknown: untouched."""
    others = [
        STRANGER.write("letter.example.com"),
        STRANGER.write(DOMAIN).partition("@")[0],
        f"r.{'7' * 26}.{'a' * 32}",
    ]
    content = mail("\r\n".join(others).encode() + b"\r\n")
    assert clean(content) == content


def test_quoted_printable_lines_without_a_find_keep_their_octets() -> None:
    """Odd but legal encodings elsewhere in the part stay as they were; a soft break inside the address is no hiding."""
    lines = [b"=47r=c3=bc=C3=9Fe =", b"an " + SECRET[:20].encode() + b"=", SECRET[20:].encode() + b" =", b"Ende", b""]
    cleaned = clean(part("text/plain; charset=utf-8", "quoted-printable", b"\r\n".join(lines)))
    assert b"\r\n\r\n=47r=c3=bc=C3=9Fe =\r\nan jane@example.net =\r\nEnde\r\n" in cleaned


def test_text_in_two_octets_a_character() -> None:
    """Base64 of UTF-16 is read and written in UTF-16."""
    data = base64.encodebytes(f"an {SECRET}".encode("utf-16")).replace(b"\n", b"\r\n")
    assert body_of(clean(part("text/plain; charset=utf-16", "base64", data))).strip() == "an jane@example.net"


@pytest.mark.parametrize("encoding", ["8bit", "base64"])
def test_a_message_within_the_message(encoding: str) -> None:
    """A forwarded message is searched like the one around it, even one in base64, which RFC 2046 forbids."""
    inner = part("text/plain", "base64", base64.encodebytes(SECRET.encode())).replace(b"\n", b"\r\n")
    inner = inner.replace(b"\r\r\n", b"\r\n").replace(b"From: anna@example.org", f"From: x <{SECRET}>".encode())
    body = inner if encoding == "8bit" else base64.encodebytes(inner).replace(b"\n", b"\r\n")
    cleaned = clean(part("message/rfc822", encoding, body))
    inside = cleaned.partition(b"\r\n\r\n")[2]
    inside = inside if encoding == "8bit" else base64.b64decode(inside)
    assert b"From: x <jane@example.net>\r\n" in inside
    assert body_of(inside).strip() == "jane@example.net"


def test_files_are_not_touched() -> None:
    """An attachment that is no text stays as it is, whatever its octets look like."""
    image = base64.encodebytes(SECRET.encode()).replace(b"\n", b"\r\n")
    content = part("image/png", "base64", image)
    assert clean(content) == content


def test_an_odd_address_does_not_break_markup() -> None:
    """A real address with signs that mean something in HTML is escaped there, and only there."""
    odd = '"<b>&"@example.net'
    html = scrub(part("text/html", "7bit", f"<i>{SECRET}</i>\r\n".encode()), DOMAIN, {JANE: odd}.get)
    assert b"<i>&quot;&lt;b&gt;&amp;&quot;@example.net</i>" in html
    plain = scrub(part("text/plain", "7bit", SECRET.encode()), DOMAIN, {JANE: odd}.get)
    assert plain.endswith(odd.encode())


OCTETS = st.binary(max_size=200) | st.lists(
    st.sampled_from(
        [SECRET.encode(), LOCAL.encode(), b"=\r\n", b"=40", b"\r\n", b"=?utf-8?B?", b"?=", b"--x\r\n", b"."]
    ),
    max_size=12,
).map(b"".join)
TYPES = st.sampled_from(["text/plain", "text/html; charset=utf-16", "message/rfc822", "multipart/mixed; boundary=x"])


@given(kind=TYPES, encoding=st.sampled_from(["7bit", "base64", "quoted-printable", "odd"]), octets=OCTETS)
def test_hostile_octets_raise_nothing(kind: str, encoding: str, octets: bytes) -> None:
    """Whatever stands in a message: nothing is raised, cleaning twice changes nothing, and no plain secret is left."""
    once = clean(part(kind, encoding, octets))
    assert clean(once) == once
    if encoding == "7bit":
        assert SECRET.encode() not in once


@given(before=st.text(max_size=90), after=st.text(max_size=90), encoding=st.sampled_from(["8bit", "qp", "base64"]))
def test_the_text_around_an_address_stays(before: str, after: str, encoding: str) -> None:
    """Whatever stands before and behind an address on its line is the same afterwards, in each encoding."""
    lines = [f"({text})".replace("\r", " ").replace("\n", " ").replace("\0", " ") for text in (before, after)]
    data = f"{lines[0]} {SECRET} {lines[1]}.\r\n".encode()
    expected = data.replace(SECRET.encode(), b"jane@example.net")
    if encoding == "8bit":
        assert clean(mail(data)) == mail(expected)
    elif encoding == "base64":
        body = clean(part("text/plain", "base64", base64.encodebytes(data))).partition(b"\r\n\r\n")[2]
        assert base64.b64decode(body) == expected
    else:
        encoded = quopri.encodestring(data[:-2]).replace(b"\n", b"\r\n") + b"\r\n"
        body = clean(part("text/plain", "quoted-printable", encoded)).partition(b"\r\n\r\n")[2]
        assert quopri.decodestring(body.replace(b"\r\n", b"\n")).rstrip(b"\n") == expected[:-2].replace(b"\r\n", b"\n")


@pytest.mark.parametrize("encoding", ["7bit", "quoted-printable", "base64"])
@pytest.mark.parametrize(
    "kind", ["text/calendar; method=REQUEST", "application/ics", 'application/x; name="invite.ics"']
)
def test_invitations_are_searched_across_their_folds(kind: str, encoding: str) -> None:
    """RFC 5545 cuts lines after 75 octets: in the middle of an address. The names of others keep their octets."""
    line = f"ATTENDEE;ROLE=REQ-PARTICIPANT;CN=Zoë Zürn;RSVP=TRUE:mailto:{SECRET}".encode()
    event = b"BEGIN:VEVENT\r\n" + line[:75] + b"\r\n " + line[75:140] + b"\r\n " + line[140:] + b"\r\nEND:VEVENT\r\n"
    encoded = event
    if encoding != "7bit":
        encoded = base64.encodebytes(event) if encoding == "base64" else quopri.encodestring(event)
    cleaned = clean(part(kind, encoding, encoded))
    found = message_from_bytes(cleaned).get_payload(decode=True)
    assert isinstance(found, bytes)
    whole = found.replace(b"\r\n ", b"").replace(b"\n ", b"")
    assert b"CN=Zo\xc3\xab Z\xc3\xbcrn;RSVP=TRUE:mailto:jane@example.net" in whole
    assert LOCAL.encode() not in whole
    assert max(map(len, found.splitlines())) <= 75


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ('application/octet-stream; name="Re.eml"', f"To: <{SECRET}>\r\n\r\nDear Jane\r\n"),
        ('application/octet-stream; name="note.txt"', SECRET),
        ("application/rtf", "{\\rtf1 " + SECRET + "}"),
        ("application/json", f'{{"to": "{SECRET}"}}'),
    ],
)
def test_attached_texts_are_searched_whatever_they_are_called(kind: str, text: str) -> None:
    """Mail programs attach messages and texts under types that say nothing."""
    cleaned = clean(part(kind, "base64", base64.encodebytes(text.encode())))
    assert message_from_bytes(cleaned).get_payload(decode=True) == text.replace(SECRET, "jane@example.net").encode()


def test_a_mail_full_of_made_up_addresses_is_searched_in_bounded_time() -> None:
    """Each address is looked up once, a thousand at most, and a text without line ends is no reason to look twice."""
    asked: list[SecretAddress] = []
    made_up = [
        SecretAddress(AddressKind.READER, bytes([1, n >> 8, n & 255]) + bytes(13), bytes(20)) for n in range(3000)
    ]
    text = " ".join(one.write(DOMAIN) for one in made_up for _ in range(2)).encode()
    for encoding in ("8bit", "quoted-printable"):
        asked.clear()
        scrub(part("text/plain", encoding, text), DOMAIN, asked.append)
        assert len(asked) == len(set(asked)) == 1000
