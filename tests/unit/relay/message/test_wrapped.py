import base64
import binascii
import datetime as dt
import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st

from relay.message.cms import read_cms
from relay.message.inline_files import find_inline_files
from relay.message.pgp import is_encrypted
from relay.message.reading import read
from relay.message.rtf_compression import decompress_rtf
from relay.message.tnef import SIGNATURE, read_tnef

INNER = b"Content-Type: text/plain\r\n\r\nsigned 943 476 5919\r\n"
ARMOUR = b"-----BEGIN PGP MESSAGE-----\r\n\r\n%b\r\n-----END PGP MESSAGE-----\r\n"
SESSION_KEY_PACKET = base64.b64encode(bytes([0xC1, 20, 3]) + bytes(19))
LITERAL_PACKET = base64.b64encode(bytes([0xCB, 20]) + b"b\0\0\0\0\0plain text   ")


@pytest.fixture(scope="module")
def signer() -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """A throw-away certificate and its key."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ann")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + dt.timedelta(days=9))
    return builder.sign(key, hashes.SHA256()), key


def _signed(signer: tuple[x509.Certificate, rsa.RSAPrivateKey], *options: pkcs7.PKCS7Options) -> bytes:
    builder = pkcs7.PKCS7SignatureBuilder().set_data(INNER).add_signer(*signer, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary, *options])


def test_a_signed_only_p7m_is_opened(signer: tuple[x509.Certificate, rsa.RSAPrivateKey]) -> None:
    """Its content is what the recipient's program shows, so it is read as parts of the message."""
    data = _signed(signer)
    assert read_cms(data).content == INNER
    mail = b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    reading = read(mail + base64.encodebytes(data))
    assert [part.text.strip() for part in reading.parts] == ["signed 943 476 5919"]
    assert reading.problems == ()


def test_a_detached_signature_is_only_a_signature(signer: tuple[x509.Certificate, rsa.RSAPrivateKey]) -> None:
    """Nothing is in it to be read."""
    assert read_cms(_signed(signer, pkcs7.PKCS7Options.DetachedSignature)).signature


def test_an_enveloped_p7m_is_encrypted_whatever_its_label_says(
    signer: tuple[x509.Certificate, rsa.RSAPrivateKey],
) -> None:
    """The structure decides, not the smime-type parameter."""
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(INNER).add_recipient(signer[0])
    data = builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    mail = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    (part,) = read(mail + base64.encodebytes(data)).parts
    assert part.encrypted
    assert part.problem == ""


def test_indefinite_lengths_and_pieces_are_read() -> None:
    """Streaming writers produce BER; so do those who hope that it is not read."""

    def indefinite(tag: int, *content: bytes) -> bytes:
        return bytes([tag, 0x80]) + b"".join(content) + b"\0\0"

    def definite(tag: int, content: bytes) -> bytes:
        return bytes([tag, len(content)]) + content

    oid_signed, oid_data = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")
    pieces = indefinite(0x24, definite(4, b"one "), definite(4, b"two"))
    info = indefinite(0x30, oid_data, indefinite(0xA0, pieces))
    signed = indefinite(0x30, definite(2, b"\1"), definite(0x31, b""), info)
    assert read_cms(indefinite(0x30, oid_signed, indefinite(0xA0, signed))).content == b"one two"


@given(st.binary(max_size=200))
def test_damaged_cms_holds_nothing(data: bytes) -> None:
    """Any octets are told apart without an exception, also behind a good beginning."""
    read_cms(data)
    assert read_cms(b"\x30\x80\x06\x09" + bytes.fromhex("2a864886f70d010702") + data).encrypted is False


def test_a_million_tiny_elements_cost_no_minute() -> None:
    """The walk is counted and stops."""
    assert read_cms(b"\x30\x80" + b"\x04\x00" * 1_000_000).content is None


def test_only_a_real_openpgp_message_counts_as_encrypted() -> None:
    """Armour around plain text is no encryption."""
    assert is_encrypted(ARMOUR % SESSION_KEY_PACKET)
    assert is_encrypted(b"before\n" + ARMOUR.replace(b"\r\n\r\n", b"\r\nVersion: 1\r\n\r\n") % SESSION_KEY_PACKET)
    assert is_encrypted(base64.b64decode(SESSION_KEY_PACKET))
    assert not is_encrypted(ARMOUR % LITERAL_PACKET)
    assert not is_encrypted(ARMOUR % b"!!!!")
    assert not is_encrypted(b"-----BEGIN PGP MESSAGE-----")
    assert not is_encrypted(b"\x85\x01\x0c\x09 begins like one")
    assert not is_encrypted(b"")


@pytest.mark.parametrize(
    ("packet", "encrypted", "problem"), [(SESSION_KEY_PACKET, True, False), (LITERAL_PACKET, False, True)]
)
def test_a_multipart_that_claims_encryption_is_checked(packet: bytes, encrypted: bool, problem: bool) -> None:
    """PGP/MIME is opaque and no failure; a false claim is a problem."""
    mail = (
        b'Content-Type: multipart/encrypted; boundary="b"; protocol="application/pgp-encrypted"\r\n\r\n'
        b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
        b"--b\r\nContent-Type: application/octet-stream; name=encrypted.asc\r\n\r\n" + ARMOUR % packet + b"--b--\r\n"
    )
    control, content = read(mail).parts
    assert control.encrypted
    assert content.encrypted is encrypted
    assert bool(content.problem) is problem


def test_encrypted_and_clear_signed_text() -> None:
    """An inline encrypted block is a fact of its text; a clear-signed text is simply read."""
    (part,) = read(b"\r\n" + ARMOUR % SESSION_KEY_PACKET).parts
    assert part.encrypted
    (part,) = read(
        b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nclear 943\r\n-----BEGIN PGP SIGNATURE-----\r\n"
    ).parts
    assert not part.encrypted
    assert "clear 943" in part.text


def _attribute(level: int, identifier: int, content: bytes) -> bytes:
    return struct.pack("<BII", level, identifier, len(content)) + content + struct.pack("<H", sum(content) & 0xFFFF)


def _property(identifier: int, kind: int, content: bytes) -> bytes:
    return struct.pack("<HHII", kind, identifier, 1, len(content)) + content + b"\0" * (-len(content) % 4)


def _properties(*properties: bytes) -> bytes:
    return struct.pack("<I", len(properties)) + b"".join(properties)


def _winmail(*attachments: tuple[str, bytes], body: bytes = b"") -> bytes:
    stream = SIGNATURE + b"\1\0" + _attribute(1, 0x00069007, struct.pack("<II", 1252, 0))
    if body:
        plain = struct.pack("<IIII", len(body) + 12, len(body), 0x414C454D, 0) + body
        number = struct.pack("<HHI", 3, 0x3FDE, 65001)
        named = (
            struct.pack("<HH", 0x1E, 0x8001)
            + bytes(16)
            + struct.pack("<II", 0, 7)
            + struct.pack("<II", 1, 2)
            + b"x\0\0\0"
        )
        stream += _attribute(1, 0x00069003, _properties(number, named, _property(0x1009, 0x102, plain)))
    for name, data in attachments:
        stream += (
            _attribute(2, 0x00069002, bytes(14))
            + _attribute(2, 0x00018010, b"SHORT~1.TXT\0")
            + _attribute(2, 0x0006800F, data)
        )
        stream += _attribute(2, 0x00069005, _properties(_property(0x3707, 0x1F, (name + "\0").encode("utf_16_le"))))
    return stream


def _mail_with(data: bytes) -> bytes:
    return (
        b"Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(data)
    )


def test_a_winmail_dat_is_replaced_by_what_is_in_it() -> None:
    """Attachments keep their long names, the formatted body becomes a file of its own."""
    data = _winmail(("r\u00e9sum\u00e9.txt", b"943 476 5919"), ("b.txt", b"two"), body=b"{\\rtf1 body}")
    parts = read(_mail_with(data)).parts
    assert [(part.name, part.data) for part in parts] == [
        ("winmail.dat text.rtf", b"{\\rtf1 body}"),
        ("r\u00e9sum\u00e9.txt", b"943 476 5919"),
        ("b.txt", b"two"),
    ]
    assert all(part.problem == "" for part in parts)


def test_a_winmail_dat_within_another_is_unpacked_too() -> None:
    """Down to a depth; what is deeper is a problem."""
    data = _winmail(("deep.txt", b"943"))
    assert [part.name for part in read(_mail_with(_winmail(("inner.dat", data)))).parts] == ["deep.txt"]
    for _ in range(5):
        data = _winmail(("inner.dat", data))
    assert "could not be read" in read(_mail_with(data)).parts[0].problem


@pytest.mark.parametrize("cut", [7, 20, 40, 100, -1])
def test_a_damaged_winmail_dat_is_a_problem(cut: int) -> None:
    """It is kept as an attachment that could not be read."""
    (part,) = read(_mail_with(_winmail(("a.txt", b"x" * 100))[:cut] + b"\xff" * 40)).parts
    assert part.problem


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=400))
def test_any_stream_is_read_or_refused(data: bytes, position: int) -> None:
    """Whatever the octets, only ValueError says that they are damaged."""
    good = _winmail(("a.txt", b"x" * 100), body=b"{\\rtf1 body}")
    for stream in (SIGNATURE + data, good[:position] + data + good[position + len(data) :]):
        try:
            read_tnef(stream)
        except ValueError:
            continue


def test_compressed_rtf_is_expanded() -> None:
    """Text from the agreed dictionary, literal octets and references to what was just written."""
    # Literal "ab", a reference to it of length 6, then the end marker: a reference to the place of writing.
    packed = bytes([0b00001100]) + b"ab" + ((207 << 4) | 4).to_bytes(2, "big") + ((215 << 4) | 0).to_bytes(2, "big")
    data = struct.pack("<IIII", len(packed) + 12, 8, 0x75465A4C, 0) + packed
    assert decompress_rtf(data) == b"abababab"
    with pytest.raises(ValueError):
        decompress_rtf(b"short")
    with pytest.raises(ValueError):
        decompress_rtf(struct.pack("<IIII", 12, 1 << 31, 0x75465A4C, 0))


@given(st.binary(max_size=100), st.integers(min_value=0, max_value=1000))
def test_any_compressed_rtf_is_expanded_within_its_size(data: bytes, size: int) -> None:
    """The announced size is never exceeded."""
    assert len(decompress_rtf(struct.pack("<IIII", 0, size, 0x75465A4C, 0) + data)) <= size


UUENCODED = b"begin 644 a b.txt\r\n" + binascii.b2a_uu(b"943 476 5919").strip(b"\n") + b"\r\n`\r\nend\r\n"


def test_files_in_the_text_are_found() -> None:
    """Old encodings (uuencode, yEnc) still show as attachments in many programs."""
    encoded = bytes((octet + 42) % 256 for octet in b"943 476 5919")
    yenc = b"=ybegin line=128 size=12 name=y.txt\r\n" + encoded + b"\r\n=yend size=12\r\n"
    parts = read(b"Subject: x\r\n\r\nsee\r\n" + UUENCODED + b"and\r\n" + yenc).parts
    assert [(part.name, part.data) for part in parts[1:]] == [("a b.txt", b"943 476 5919"), ("y.txt", b"943 476 5919")]


def test_yenc_escapes_are_undone() -> None:
    """An escaped octet is 64 too high."""
    (file,) = find_inline_files(
        b"=ybegin line=128 size=1 name=x\r\n=" + bytes([(0x13 + 42 + 64) % 256]) + b"\r\n=yend\r\n"
    )
    assert file.data == b"\x13"


def test_a_sentence_that_begins_with_begin_is_no_file() -> None:
    """Only what decodes is one."""
    assert find_inline_files(b"begin 644 days later\r\n\r\nwe met\r\n") == ()
    assert find_inline_files(b"to begin with\r\n") == ()


@given(st.binary(max_size=200))
def test_any_text_is_searched(data: bytes) -> None:
    """Files in a text are found or not, without an exception."""
    find_inline_files(UUENCODED[:25] + data)
    find_inline_files(b"=ybegin name=x\n" + data)
