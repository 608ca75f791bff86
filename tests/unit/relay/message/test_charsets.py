import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.charsets import codec_of, decode, decode_short


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("utf-8", "utf_8"),
        ('"UTF8"', "utf_8"),
        ("iso-8859-1", "cp1252"),
        ("us-ascii", "cp1252"),
        ("windows-1252", "cp1252"),
        ("GB2312", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("cp-850", "cp850"),
        ("rot13", ""),
        ("unicode_escape", ""),
        ("zlib", ""),
        ("idna", ""),
        ("../../etc", ""),
        ("x" * 10_000, ""),
        ("", ""),
    ],
)
def test_a_label_stands_for_a_charset_or_for_nothing(label: str, codec: str) -> None:
    """Registered and usual wrong names are known; codecs that are no charsets are not reached."""
    assert codec_of(label) == codec


def test_every_known_codec_can_decode() -> None:
    """No label in the table leads to a codec that Python lacks."""
    for label in (
        "utf-7",
        "hz-gb-2312",
        "iso-2022-jp",
        "cp037",
        "big5",
        "euc-kr",
        "koi8-u",
        "macintosh",
        "utf-32",
        "iso-8859-16",
    ):
        assert codec_of(label)
        assert decode_short(b"", label) == ""


@pytest.mark.parametrize(
    ("data", "label", "text"),
    [
        (b"plain", "", "plain"),
        ("caf\u00e9".encode(), "", "caf\u00e9"),
        (b"caf\xe9", "", "caf\u00e9"),
        (b"caf\xe9", "us-ascii", "caf\u00e9"),
        (b"\x93quoted\x94", "iso-8859-1", "\u201cquoted\u201d"),
        (b"caf\xe9", "windows-1252", "caf\u00e9"),
        ("\u65e5\u672c".encode("iso2022_jp"), "iso-2022-jp", "\u65e5\u672c"),
        ("\u4f60".encode("gb18030"), "gb2312", "\u4f60"),
        (b"\xff\xfeh\x00i\x00", "us-ascii", "hi"),
        (b"\xef\xbb\xbfhi", "", "hi"),
        (b"+AGEAYg-", "utf-7", "ab"),
    ],
)
def test_text_is_decoded_as_mail_programs_do(data: bytes, label: str, text: str) -> None:
    """The label counts, a mark in the octets counts more, and no label means UTF-8 or Windows."""
    assert decode(data, label).text == text


@pytest.mark.parametrize(
    ("data", "label", "other"),
    [
        (b"943 476 5919", "utf-7", ""),
        (b"+ADk-43 476 5919", "utf-7", "+ADk-43 476 5919"),
        (b"943 476 5919", "utf-16", "943 476 5919"),
        (b"943 476 5919", "cp037", "943 476 5919"),
        ("943".encode("utf_16_le"), "", "943"),
        ("943".encode("utf_16_be"), "us-ascii", "943"),
        ("na\u00efve".encode(), "iso-8859-1", "na\u00efve"),
        (b"943\x00476 5919", "", "943476 5919"),
        (b"\xc3\xa9 943\x00476", "utf-8", "\u00e9 943476"),
    ],
)
def test_a_misleading_label_hides_nothing(data: bytes, label: str, other: str) -> None:
    """What a program that ignores the label would show is there as the other reading."""
    assert decode(data, label).other == other


def test_an_unknown_label_makes_a_guess_only_where_it_matters() -> None:
    """Plain ASCII is certain under any name; other octets under an unknown name are a guess."""
    assert decode(b"plain", "x-unknown").sure
    assert not decode(b"caf\xe9", "x-unknown").sure
    assert decode(b"caf\xe9", "").sure


@given(
    st.binary(max_size=200),
    st.text(max_size=20) | st.sampled_from(["utf-7", "utf-16", "hz", "big5", "cp037", "iso-2022-kr"]),
)
def test_decoding_never_raises(data: bytes, label: str) -> None:
    """Any octets under any label give text."""
    assert isinstance(decode(data, label).text, str)
