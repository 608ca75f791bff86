import base64
import datetime as dt
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from policies.model import Attachment
from relay.message.content import content_of
from relay.message.extraction import Extractor
from relay.message.reading import read

SECONDS = 60.0
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----\r\n\r\nwsBzBAEBCAAnBQ==\r\n-----END PGP SIGNATURE-----\r\n"


@pytest.fixture(scope="module")
def extractor() -> Iterator[Extractor]:
    """A pool of one helper."""
    pool = Extractor(1)
    pool.start()
    yield pool
    pool.close()


def _mixed(*parts: bytes) -> bytes:
    return (
        b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
        + b"--b--\r\n"
    )


def test_everything_that_can_be_read_is_judged(extractor: Extractor) -> None:
    """Subject, bodies, other readings and attachments, each with its place; names of files inside others too."""
    mail = _mixed(
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n+ADk-43",
        b"Content-Type: text/html\r\n\r\n<p title=hint>shown</p>",
        b"Content-Type: text/csv; name=list.csv\r\n\r\na,b",
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nnested",
    )
    content = content_of(read(mail), extractor, SECONDS)
    assert content.subject == "s"
    assert content.problems == ()
    assert [(text.where, text.text.strip()) for text in content.texts] == [
        ("text", "943"),
        ("text", "+ADk-43"),
        ("HTML text", "shown\nhint"),
        ("list.csv", "a,b"),
        ("inner.eml, subject", "inner"),
        ("inner.eml, text", "nested"),
    ]
    assert content.attachments == (
        Attachment("list.csv", "text/csv", 3),
        Attachment("inner.eml", "message/rfc822", 24),
    )


def test_a_problem_of_an_attachment_is_kept(extractor: Extractor) -> None:
    """Whether the reader or the extractor found it."""
    mail = _mixed(
        b"Content-Type: application/x-what; name=a.bin\r\n\r\n\x00\x01\x02\x03",
        b"Content-Type: message/partial\r\n\r\nx",
    )
    first, second = content_of(read(mail), extractor, SECONDS).attachments
    assert "cannot be read" in first.problem
    assert "fragment" in second.problem


def test_files_in_an_archive_are_attachments_too(extractor: Extractor) -> None:
    """Rules about names see what is inside."""
    mail = _mixed(b"Content-Type: message/rfc822; name=m.eml\r\n\r\nContent-Type: text/csv; name=in.csv\r\n\r\nx")
    names = [attachment.name for attachment in content_of(read(mail), extractor, SECONDS).attachments]
    assert names == ["m.eml", "m.eml, in.csv"]


@pytest.mark.parametrize(
    ("subject", "name"),
    [(b"Visit 12/03/2026", "Visit 12_03_2026.eml"), (b"a\\b", "a_b.eml"), (b"", "message.eml")],
)
def test_a_message_inside_is_named_by_its_subject(subject: bytes, name: str, extractor: Extractor) -> None:
    """All of it: a subject is no path."""
    mail = _mixed(b"Content-Type: message/rfc822\r\n\r\nSubject: " + subject + b"\r\n\r\nx")
    assert [attachment.name for attachment in content_of(read(mail), extractor, SECONDS).attachments] == [name]


def test_signatures_and_pictures_in_the_text_are_no_attachments(extractor: Extractor) -> None:
    """Only what a person would call one; a signature part with something else in it is."""
    signature = b"Content-Type: application/pgp-signature; name=signature.asc\r\n\r\n"
    picture = b"Content-Type: image/png\r\nContent-ID: <a>\r\n\r\n\x89PNG\r\n\x1a\n"
    assert content_of(read(_mixed(signature + SIGNATURE, picture)), extractor, SECONDS).attachments == ()
    (attachment,) = content_of(read(_mixed(signature + b"943 476 5919")), extractor, SECONDS).attachments
    assert attachment.name == "signature.asc"


def _smime_signed(encoding: serialization.Encoding) -> bytes:
    """Sign a small MIME part with a certificate made for it: a whole multipart/signed, or the signature alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ann")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + dt.timedelta(days=9))
    part = b"Content-Type: text/plain\r\n\r\nsigned words\r\n"
    signing = pkcs7.PKCS7SignatureBuilder().set_data(part)
    signing = signing.add_signer(builder.sign(key, hashes.SHA256()), key, hashes.SHA256())
    return signing.sign(encoding, [pkcs7.PKCS7Options.DetachedSignature])


def test_a_mail_signed_with_smime_is_as_clean_as_its_text(extractor: Extractor) -> None:
    """A detached signature (multipart/signed) is no attachment and no doubt; its text is judged."""
    content = content_of(read(_smime_signed(serialization.Encoding.SMIME)), extractor, SECONDS)
    assert (content.problems, content.attachments) == ((), ())
    assert "signed words" in [text.text.strip() for text in content.texts]


@pytest.mark.parametrize(
    "kind", [b"application/pkcs7-signature", b"application/x-pkcs7-signature", b"application/octet-stream"]
)
def test_only_a_whole_signature_is_left_out(extractor: Extractor, kind: bytes) -> None:
    """Under each of its labels, but not when its structure is broken: then it could be anything."""
    head = b"Content-Type: " + kind + b"; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    signature = _smime_signed(serialization.Encoding.DER)
    content = content_of(read(_mixed(head + base64.encodebytes(signature))), extractor, SECONDS)
    assert (content.problems, content.attachments) == ((), ())
    (broken,) = content_of(read(_mixed(head + base64.encodebytes(signature[:-40]))), extractor, SECONDS).attachments
    assert "could not be read" in broken.problem


def test_a_report_without_the_message_is_clean(extractor: Extractor) -> None:
    """A sentence stands where the message was, under either label (RFC 3462 section 2)."""
    mail = _mixed(
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n",
        b"Content-Type: message/rfc822\r\n\r\n[too large to be returned]\r\n",
        b"Content-Type: text/rfc822-headers\r\n\r\n[no header either]\r\n",
    )
    content = content_of(read(mail), extractor, SECONDS)
    assert content.problems == ()
    assert [attachment.problem for attachment in content.attachments] == [""]
    texts = [text.text.strip() for text in content.texts]
    assert {"[too large to be returned]", "[no header either]"} <= set(texts)


def test_an_encrypted_body_is_a_fact(extractor: Extractor) -> None:
    """It stands among the attachments, without a problem."""
    packet = b"wRQDAAAAAAAAAAAAAAAAAAAAAAAA"
    mail = b"\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n" + packet + b"\r\n-----END PGP MESSAGE-----\r\n"
    (attachment,) = content_of(read(mail), extractor, SECONDS).attachments
    assert attachment.encrypted
    assert attachment.problem == ""


ARMOUR = (
    b"-----BEGIN PGP MESSAGE-----\r\nVersion: GnuPG v2\r\n\r\nwRQDAAAAAAAAAAAAAAAAAAAAAAAA\r\n=AAAA\r\n"
    b"-----END PGP MESSAGE-----\r\n"
)
CONTROL = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"


@pytest.mark.parametrize(
    ("mail", "encrypted"),
    [
        (b"\r\n" + ARMOUR, True),
        (b"\r\n\r\n  \r\n" + ARMOUR + b"\r\n", True),
        (b"\r\nDear Jane,\r\n" + ARMOUR, False),
        (b"\r\n" + ARMOUR + b"best wishes\r\n", False),
        (b"\r\n" + ARMOUR.replace(b"=AAAA", b"943 476 5919\r\n=AAAA"), False),
        (b"\r\n" + ARMOUR.replace(b"Version: GnuPG v2", b"Comment: the diagnosis is asthma"), False),
        (b"\r\n" + ARMOUR + ARMOUR, False),
        (_mixed(b"Content-Type: text/plain\r\n\r\n" + ARMOUR, CONTROL), False),
        (_mixed(b"Content-Type: text/plain\r\n\r\nhello", b"Content-Type: text/plain\r\n\r\n" + ARMOUR), False),
        (
            _mixed(CONTROL, b"Content-Type: application/octet-stream; name=e.asc\r\n\r\n" + ARMOUR).replace(
                b"mixed", b"encrypted"
            ),
            True,
        ),
        (_mixed(CONTROL, b"Content-Type: application/octet-stream; name=e.pdf\r\n\r\n%PDF"), False),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nin clear\r\n--b\r\n\r\n" + ARMOUR + b"--b--\r\n", False),
        (b"", False),
    ],
)
def test_the_whole_message_is_encrypted_or_it_is_not(mail: bytes, encrypted: bool, extractor: Extractor) -> None:
    """One word in clear beside the encrypted part, and the sender has not encrypted the message."""
    assert content_of(read(mail), extractor, SECONDS).encrypted is encrypted


def test_heavy_html_is_read_by_the_helper(extractor: Extractor) -> None:
    """A body that would hold the relay for seconds is read elsewhere, with the same result or a problem."""
    html = b"<p>" + b"<b></b>" * 5_000 + b"943 476 5919</p>"
    content = content_of(read(b"Content-Type: text/html\r\n\r\n" + html), extractor, SECONDS)
    assert "943 476 5919" in content.texts[0].text
    nested = content_of(read(b"Content-Type: text/html\r\n\r\n" + b"<div>" * 300_000), extractor, 1.0)
    assert nested.problems


def test_without_a_helper_nothing_is_clean() -> None:
    """A pool that does not run makes every document a problem."""
    content = content_of(read(_mixed(b"Content-Type: text/csv; name=a.csv\r\n\r\nx")), Extractor(1), 0.01)
    assert content.attachments[0].problem
