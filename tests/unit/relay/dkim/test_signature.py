"""Signatures as dkimpy verifies them, whatever the header and the body look like."""

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.dkim.signature import SigningKey, relaxed
from relay.dkim.signer import Signer
from tests.signatures import Receiver

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOTH = ["r1.example.org rsa-sha256", "e1.example.org ed25519-sha256"]
HEADER = (
    b"Received: from desk (desk [192.0.2.1])\r\n\tby letter.example.org; Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    b"From: Anna Baker <anna.baker@example.org>\r\nTo: jane@example.net\r\nSubject: Thursday\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@desk.example.org>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
)
BODY = b"Shall we meet on  Thursday? \r\n"
MAIL = HEADER + b"\r\n" + BODY


def tags(content: bytes) -> dict[str, str]:
    """Return the tags of the first signature, without its folds."""
    [value] = re.findall(rb"\ADKIM-Signature:((?:[^\r]|\r\n[ \t])*)\r\n", content)
    pairs = (tag.split("=", 1) for tag in re.sub(r"\s", "", value.decode()).split(";"))
    return {name: text for name, text in pairs}  # noqa: C416  # the pairs are lists


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"\r\n" * 50,
        b" \t \r\n",
        BODY,
        b"trailing \t \r\n\t\r\n  two  words\t\r\n\r\n",
        b"x" * 100_000 + b"\r\n",
        "Größe \u2603\r\n".encode(),
        bytes(set(range(256)) - {10, 13}) + b"\r\n",
        b".\r\n..\r\n",
        b"b=abc; bh=def\r\n",
    ],
)
def test_any_body_verifies(signer: Signer, receiver: Receiver, body: bytes) -> None:
    """Both signatures are good for empty, blank, long and 8-bit bodies."""
    assert receiver.verified(signer.sign(HEADER + b"\r\n" + body, NOON)) == BOTH


@pytest.mark.parametrize(
    "field",
    [
        b"Subject:\r\n",
        b"Subject: \r\n",
        b"Subject:no space\r\n",
        b"sUBJECT:  \t wide \t  open  \r\n",
        b"Subject: folded\r\n  over\r\n\tlines\r\n",
        b"Subject:\r\n folded at once\r\n",
        b"Subject: a line\r\n \t\r\n of nothing but space\r\n",
        b"Subject: one\r\nSubject: two\r\nSubject: three\r\n",
        "Subject: Größe\r\n".encode(),
        b"Subject: \xff\xfe raw\r\n",
        b"Cc: " + b",\r\n ".join(b"reader%d@example.net" % number for number in range(200)) + b"\r\n",
        b"Reply-To: b@example.org\r\nIn-Reply-To: <0@x>\r\nReferences: <0@x>\r\n <1@x>\r\nSender: c@example.org\r\n",
        b"Auto-Submitted: auto-generated\r\nContent-Transfer-Encoding: 8bit\r\n",
        b"List-Unsubscribe: <https://example.org/>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
        b"X-b: b=1; d=example.org\r\n",
        b"DKIM-Signature: v=1; d=example.net; s=x; a=rsa-sha256; h=from; bh=AAAA; b=AAAA\r\n",
    ],
)
def test_any_header_verifies(signer: Signer, receiver: Receiver, field: bytes) -> None:
    """Folds, odd spacing, repeated, empty, long and raw fields do not matter; nothing below is touched."""
    mail = HEADER + field + b"\r\n" + BODY
    signed = signer.sign(mail, NOON)
    assert signed.endswith(mail)
    assert receiver.verified(signed.replace(b"DKIM-Signature: v=1; d=example.net", b"X-Other: v=1")) == BOTH


def test_the_sample_of_the_standard_has_its_signature() -> None:
    """The header of RFC 8463 appendix A.3 under the private key of A.1 gives the b= that stands there."""
    signature = (
        b" v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;"
        b"\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b="
    )
    header = [
        (b"From", b" Joe SixPack <joe@football.example.com>"),
        (b"To", b" Suzie Q <suzie@shopping.example.net>"),
        (b"Subject", b" Is dinner ready?"),
        (b"Date", b" Fri, 11 Jul 2003 21:00:37 -0700 (PDT)"),
        (b"Message-ID", b" <20030712040037.46341.5F8J@football.example.com>"),
        (b"DKIM-Signature", signature),
    ]
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
    data = b"".join(relaxed(name, value) for name, value in header).removesuffix(b"\r\n")
    assert base64.b64encode(SigningKey("football.example.com", "brisbane", private).sign(data)) == (
        b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    )


SPACE = st.sampled_from([b"", b" ", b"  ", b"\t", b"\r\n ", b"\r\n\t ", b" \r\n\t\r\n "])
VALUE = st.lists(
    st.sampled_from([b"word", b"\xc3\xbc", b"\x80", b";", b"=", b"b=", b'"', b"<a@b>"]) | SPACE, max_size=8
)
NAMES = [b"Subject", b"TO", b"Cc", b"reply-to", b"Content-Type", b"References", b"X-Other", b"received", b"b"]
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), VALUE.map(b"".join)), max_size=6)
LINES = st.lists(st.sampled_from([b"", b" ", b"\t ", b"text", b"two  words ", b"\xe2\x98\x83", b"."]), max_size=6)


@settings(max_examples=60, deadline=None)  # RSA in pure Python verifies each, on a machine that may be busy
@given(FIELDS, LINES)
def test_whatever_is_signed_verifies(
    signer: Signer, receiver: Receiver, fields: list[tuple[bytes, bytes]], lines: list[bytes]
) -> None:
    """The library agrees with our canonical forms on generated headers and bodies."""
    header = b"".join(name + b":" + value + b"\r\n" for name, value in fields)
    mail = header + b"From: a@example.org\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)
    assert receiver.verified(signer.sign(mail, NOON)) == BOTH


def test_a_signature_says_what_it_covers(signer: Signer) -> None:
    """Relaxed/relaxed, domain, selector and time; the whole body; every name once more than it occurs."""
    found = tags(signer.sign(HEADER + b"References: <0@x>\r\n\r\n" + BODY, NOON))
    assert (found["v"], found["a"], found["c"]) == ("1", "rsa-sha256", "relaxed/relaxed")
    assert (found["d"], found["s"], found["t"]) == ("example.org", "r1", str(int(NOON.timestamp())))
    assert "l" not in found
    names = found["h"].split(":")
    once_more = ["from", "to", "subject", "date", "message-id", "mime-version", "content-type", "references"]
    assert sorted(names) == sorted([*once_more, *once_more, "cc", "reply-to"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"To: jane", b"To: john"),
        (b"Thursday\r\n", b"Thursdays\r\n"),
        (b"Subject:", b"Subject: Pay at once\r\nSubject:"),
        (b"From:", b"From: ceo@example.org\r\nFrom:"),
        (b"To: jane", b"Reply-To: thief@example.com\r\nTo: jane"),
        (b"To: jane", b"Cc: thief@example.com\r\nTo: jane"),
        (b"MIME-Version: 1.0", b"Content-Type: text/html\r\nMIME-Version: 1.0"),
        (BODY, BODY + b"P.S. pay at once\r\n"),
        (b"meet on", b"meeton"),
    ],
)
def test_what_was_changed_on_the_way_is_noticed(signer: Signer, receiver: Receiver, old: bytes, new: bytes) -> None:
    """A changed or added field or line breaks each signature, also where the field was not there before."""
    signed = signer.sign(MAIL, NOON)
    changed = signed.replace(old, new)
    assert changed != signed
    assert not receiver.accepts(changed)


def test_what_servers_do_on_the_way_is_not(signer: Signer, receiver: Receiver) -> None:
    """Trace in front, other white space at line ends and other folds leave the signatures good."""
    signed = signer.sign(MAIL, NOON)
    travelled = b"Received: by mx.example.net\r\n" + signed.replace(BODY, BODY.rstrip() + b"\r\n\r\n\r\n")
    assert receiver.verified(travelled.replace(b"Subject: Thursday", b"subject:\r\n Thursday")) == BOTH


def test_the_same_mail_at_the_same_moment_has_the_same_signatures(signer: Signer) -> None:
    """RSA (PKCS #1 v1.5) and Ed25519 draw no random numbers: nothing but the time makes a difference."""
    assert signer.sign(MAIL, NOON) == signer.sign(MAIL, NOON)
    assert signer.sign(MAIL, NOON) != signer.sign(MAIL, NOON + timedelta(seconds=1))


def test_lines_stay_short(signer: Signer) -> None:
    """No line that is written is longer than 78 octets, so that nobody folds it anew (RFC 5322 section 2.1.1)."""
    many = b"".join(b"Subject: %d\r\n" % number for number in range(100))
    signed = signer.sign(many + MAIL, NOON)
    assert max(map(len, signed.removesuffix(many + MAIL).split(b"\r\n"))) <= 78
