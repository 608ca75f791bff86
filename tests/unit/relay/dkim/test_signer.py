"""Which mail is signed, and which is left as it is."""

from datetime import UTC, datetime

import pytest

from relay.dkim.body import hash_body
from relay.dkim.signature import SigningKey
from relay.dkim.signer import Signer
from tests.proportion import grows_linearly
from tests.signatures import Receiver

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REST = b"To: jane@example.net\r\nSubject: hello\r\n\r\nHello\r\n"
BOTH = ["r1.example.org rsa-sha256", "e1.example.org ed25519-sha256"]


@pytest.mark.parametrize(
    "author",
    [
        b"From: a@example.org\r\n",
        b"FROM:A@Example.ORG\r\n",
        b'From: "ceo@example.com" <a@example.org>\r\n',
        b"From: Anna\r\n Baker\r\n <a@example.org> (office)\r\n",
        "From: Jörg <jörg@example.org>\r\n".encode(),
        b"From: a@example.org\r\nSender: b@example.com\r\n",
        b"From: a@example.org\r\nDKIM-Signature: v=1; d=sub.example.org; s=example.org; b=\r\n",
    ],
)
def test_mail_from_a_domain_with_keys_is_signed(signer: Signer, receiver: Receiver, author: bytes) -> None:
    """What counts is the domain of the address in From, not a display name, Sender or another's signature."""
    signed = signer.sign(author + REST, NOON)
    assert signed.endswith(author + REST)
    assert receiver.verified(signed.replace(b"DKIM-Signature: v=1; d=sub.", b"X-Other: d=")) == BOTH


@pytest.mark.parametrize(
    "header",
    [
        b"From: a@example.com\r\n",
        b"From: a@sub.example.org\r\n",
        b"From: a@xexample.org\r\n",
        b"",
        b"From:\r\n",
        b"From: nobody\r\n",
        b"From: a@example.org\r\nFrom: b@example.org\r\n",
        b"From: a@example.org\r\nfrom: b@example.com\r\n",
        b"From: a@example.org, b@example.com\r\n",
        b"From : a@example.org\r\n",
        b"From: a@example.org\r\nno field\r\n",
        b"From: a@example.org\r\nX\xff: y\r\n",
        b"From: a@example.org\r\nX: a\rb\r\n",
        b"From: a@example.org\r\nX: a\nY: b\r\n",
        b"From: a@example.org\r\nX: \x0b\r\n",
        b"From a@example.org Sun Nov 22\r\nFrom: a@example.org\r\n",
        b" From: b@example.org\r\nFrom: a@example.org\r\n",
        b"From: a@example.org\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; b=AAAA\r\n",
        b"From: a@example.org\r\ndkim-signature:v=1;d\r\n\t=\r\n Example.ORG ;s=x\r\n",
    ],
)
def test_other_mail_is_left_as_it_is(signer: Signer, header: bytes) -> None:
    """No key, no single author, a header that programs read differently, or a signature of the domain already."""
    assert signer.sign(header + REST, NOON) == header + REST


def test_a_header_without_end_is_left_as_it_is(signer: Signer) -> None:
    """Bytes that are not even a whole header field are not signed."""
    assert signer.sign(b"From: a@example.org", NOON) == b"From: a@example.org"
    assert signer.sign(b"", NOON) == b""


def test_a_mail_of_nothing_but_a_header_is_signed(signer: Signer, receiver: Receiver) -> None:
    """A mail without body and without the empty line before it verifies."""
    assert receiver.verified(signer.sign(b"From: a@example.org\r\n", NOON)) == BOTH


def test_a_signed_mail_is_not_signed_again(signer: Signer) -> None:
    """Our own signatures are those of the domain: a mail that comes back to us keeps them as they are."""
    once = signer.sign(b"From: a@example.org\r\n" + REST, NOON)
    assert signer.sign(once, NOON) == once


def test_an_international_domain_is_found_by_its_a_labels(keys: tuple[SigningKey, SigningKey]) -> None:
    """An author at a domain beyond ASCII is signed for under the name that the DNS knows (RFC 8616)."""
    signer = Signer([SigningKey("xn--bcher-kva.example", "r1", keys[0].private)])
    signed = signer.sign("From: jörg@Bücher.example\r\n\r\n".encode(), NOON)
    assert b" d=xn--bcher-kva.example;" in signed


def test_without_keys_nothing_is_signed() -> None:
    """An installation without [[dkim]] sends mail as it is."""
    assert Signer().sign(b"From: a@example.org\r\n" + REST, NOON) == b"From: a@example.org\r\n" + REST


@pytest.mark.parametrize("filling", [b" ", b"\t ", b"\r\n ", b",", b";", b"; d", b"=", b"("])
def test_hostile_headers_take_linear_time(filling: bytes, signer: Signer) -> None:
    """Long runs of spaces, folds, commas and semicolons in a header are read once."""

    def sign(length: int) -> None:
        long = filling * (length // len(filling))
        signer.sign(b"From: a@example.org\r\nDKIM-Signature:" + long + b"x\r\nTo:" + long + b"x\r\n\r\n", NOON)
        signer.sign(b"From: " + long + b"a@example.org\r\n\r\n", NOON)

    assert grows_linearly(sign, 25_000)


def test_a_head_alone_is_signed_like_the_whole(signer: Signer) -> None:
    """Where the body lies elsewhere its hash is enough; without a key nobody asks for it."""
    head = b"From: a@example.org\r\nSubject: x\r\n\r\n"
    body = b"one  line\r\n\r\n"
    assert signer.sign_apart(head, lambda: hash_body(body, 0), NOON) + head + body == signer.sign(head + body, NOON)
    assert Signer().sign_apart(head, _never, NOON) == b""
    assert signer.sign_apart(b"From: a@elsewhere.example\r\n\r\n", _never, NOON) == b""


def _never() -> bytes:
    raise AssertionError("nothing is signed: no body need be read")
