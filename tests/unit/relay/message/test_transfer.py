import base64
import binascii
import quopri
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.transfer import PIECE, decode_base64, decode_transfer, encoding_of


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        (b"aGVsbG8gd29ybGQ=", b"hello world"),
        (b"aGVs\r\nbG8g\r\nd29ybGQ=\r\n", b"hello world"),
        (b"aGVsbG8gd29ybGQ", b"hello world"),
        (b"aGVs!bG8g*d29y bGQ=", b"hello world"),
        (b"aGVsbG8=IHdvcmxk", b"hello world"),
        (b"aGVsbG8=\r\nIHdvcmxk\r\n", b"hello world"),
        (b"aGVsbG8====IHdvcmxk", b"hello world"),
        (b"aGVsb", b"hel"),
        (b"", b""),
        (b"====", b""),
    ],
)
def test_base64_is_read_past_junk_and_padding(encoded: bytes, plain: bytes) -> None:
    """Nothing behind the first odd character or the first padding is hidden from the policies."""
    assert decode_base64(encoded) == plain


def by_the_bit(encoded: bytes) -> bytes:
    """Decode base64 as tolerantly as it can be meant: padding ends a run, junk is nothing."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    decoded = b""
    for run in encoded.split(b"="):
        digits = [alphabet.index(octet) for octet in run if octet in alphabet]
        octets = len(digits) * 6 // 8
        bits = sum(digit << 6 * place for place, digit in enumerate(reversed(digits)))
        decoded += (bits >> (len(digits) * 6 - octets * 8)).to_bytes(octets, "big")
    return decoded


def test_base64_of_every_short_text_is_read_by_the_bit() -> None:
    """However digits, padding, line ends and junk follow one another, every whole octet comes out, and no other."""
    for length in range(7):
        for one in product(b"AR/=-\n", repeat=length):
            assert decode_base64(bytes(one)) == by_the_bit(bytes(one))


@given(st.lists(st.sampled_from([b"QUJD", b"Rr", b"/", b"\r\n", b"=", b"==", b"-", b"\xff", b"x" * 76]), max_size=30))
def test_base64_of_longer_texts_is_read_by_the_bit(tokens: list[bytes]) -> None:
    """The same for texts that decoders read in strides of many octets."""
    encoded = b"".join(tokens)
    assert decode_base64(encoded) == by_the_bit(encoded)


@given(st.binary(max_size=300))
def test_base64_reads_what_was_encoded(data: bytes) -> None:
    """Well-formed base64 gives exactly its octets."""
    assert decode_base64(base64.encodebytes(data)) == data


def test_odd_base64_is_decoded_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one call cannot do it all, none holds the interpreter for more than a mebibyte."""
    taken: list[int] = []

    def decode(data: bytes, *, validate: bool) -> bytes:
        taken.append(len(data))
        return base64.b64decode(data, validate=validate)

    monkeypatch.setattr("relay.message.transfer.b64decode", decode)
    assert decode_base64(b"QQ==" + b"QUJD" * PIECE) == b"A" + b"ABC" * PIECE
    assert len(taken) >= 4
    assert max(taken) <= PIECE + 3


def test_base64_is_decoded_in_pieces() -> None:
    """A piece border in the middle of a group changes nothing."""
    data = bytes(range(256)) * (3 * PIECE // 256)
    assert decode_base64(base64.b64encode(data)) == data
    assert decode_base64(base64.encodebytes(data)) == data


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        (b"caf=C3=A9", b"caf\xc3\xa9"),
        (b"caf=c3=a9", b"caf\xc3\xa9"),
        (b"943=\r\n 476", b"943 476"),
        (b"943= \t\r\n476", b"943476"),
        (b"943=\n476", b"943476"),
        (b"a=ZZb=", b"a=ZZb"),
        (b"943=\r476\n5919", b"9434765919"),
        (b"under_score", b"under_score"),
    ],
)
def test_quoted_printable_is_read_as_programs_do(encoded: bytes, plain: bytes) -> None:
    """Soft line ends join also with space behind them or a bare CR; wrong escapes stay."""
    decoded = decode_transfer(encoded, "quoted-printable")
    assert decoded is not None
    assert decoded.translate(None, b"\r\n") == plain.translate(None, b"\r\n")


def test_quoted_printable_is_decoded_in_pieces() -> None:
    """A piece border never cuts an escape in two, with line ends or without."""
    data = ("\u00e9" * 40 + "\n").encode() * (PIECE // 60)
    assert decode_transfer(quopri.encodestring(data), "quoted-printable") == data
    endless = b"=C3=A9" * (PIECE // 3)
    assert decode_transfer(endless, "quoted-printable") == b"\xc3\xa9" * (PIECE // 3)


def test_uuencode_as_a_transfer_encoding_is_read() -> None:
    """An old encoding that many programs still undo."""
    lines = b"begin 644 x\n" + binascii.b2a_uu(b"hello world") + b"`\nend\n"
    assert decode_transfer(lines, "x-uuencode") == b"hello world"


def test_an_unknown_encoding_is_told() -> None:
    """None says that the octets could not be decoded; the caller makes it a problem."""
    assert decode_transfer(b"x", "x-rot13") is None


@pytest.mark.parametrize("raw", [b"7bit", b"8BIT", b"binary", b"8-bit", b"7bits", b"8bits"])
def test_misspelt_plain_octets_are_plain_octets(raw: bytes) -> None:
    """No program undoes anything for these."""
    assert decode_transfer(b"=41 QUJD", encoding_of(raw)) == b"=41 QUJD"


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [(b" Base64\r\n", "base64"), (b"(old) 8bit;", "8bit"), (b'"quoted-printable"', "quoted-printable"), (b"", "")],
)
def test_the_name_of_an_encoding_is_found(raw: bytes, encoding: str) -> None:
    """Case, comments, quotes and trailing semicolons do not matter."""
    assert encoding_of(raw) == encoding


@pytest.mark.parametrize("raw", [b"7bit base64", b"8bit; base64", b"binary, quoted-printable", b"7bit uuencode"])
def test_an_encoding_that_says_two_things_is_unknown(raw: bytes) -> None:
    """Some programs believe the first word, others the second."""
    assert decode_transfer(b"OTQz", encoding_of(raw)) is None


@given(st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit"]))
def test_any_octets_can_be_decoded(data: bytes, encoding: str) -> None:
    """Decoding never raises."""
    assert decode_transfer(data, encoding) is not None
