import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.parameters import parse_value
from tests.proportion import grows_linearly


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"attachment; filename=a.txt", "a.txt"),
        (b'attachment; filename="a b.txt"', "a b.txt"),
        (b'attachment; filename="a\\"b.txt"', 'a"b.txt'),
        (b'attachment; FileName = "a.txt" ; size=3', "a.txt"),
        (b'attachment; filename="unclosed.txt', "unclosed.txt"),
        (b"attachment; filename*=utf-8''caf%C3%A9.txt", "caf\u00e9.txt"),
        (b"attachment; filename*=iso-8859-1'en'caf%E9.txt", "caf\u00e9.txt"),
        (b"attachment; filename*0=a; filename*1=b.txt", "ab.txt"),
        (b"attachment; filename*1=b.txt; filename*0=a", "ab.txt"),
        (b"attachment; filename*0*=utf-8''caf%C3; filename*1*=%A9; filename*2=.txt", "caf\u00e9.txt"),
        (b"attachment; filename=plain.txt; filename*=utf-8''caf%C3%A9.txt", "caf\u00e9.txt"),
        (b'attachment; filename="=?utf-8?q?caf=C3=A9.txt?="', "caf\u00e9.txt"),
        (b"attachment;\r\n\tfilename=a.txt", "a.txt"),
        (b"attachment (really); filename=a.txt (so)", "a.txt"),
        (b"attachment filename=a.txt", ""),
        (b"attachment; filename=a;b.txt", "a"),
    ],
)
def test_file_names_are_read_in_every_way_of_writing_them(raw: bytes, name: str) -> None:
    """Quotes, escapes, RFC 2231, RFC 2047 in quotes and broken quoting all give the name that programs show."""
    assert parse_value(raw).parameters.get("filename", "") == name


def test_the_word_is_in_lower_case_and_without_comments() -> None:
    """The word before the first semicolon is what decides."""
    assert parse_value(b" Text/HTML (formatted) ; charset=x").word == "text/html"


@pytest.mark.parametrize(
    ("raw", "odd"),
    [
        (b"multipart/mixed; boundary=a; boundary=b", True),
        (b"multipart/mixed; boundary=a; boundary=a", False),
        (b"multipart/mixed; boundary*0=a; boundary*1=b", True),
        (b"text/plain; charset*=utf-8''utf-7", True),
        (b"text/plain; charset=utf-8", False),
    ],
)
def test_what_programs_disagree_about_is_odd(raw: bytes, odd: bool) -> None:
    """Two different values for one name, and RFC 2231 where few expect it, are told."""
    assert parse_value(raw).odd is odd


def test_a_boundary_is_never_decoded() -> None:
    """Its octets are compared with the body as they stand."""
    assert parse_value(b'multipart/mixed; boundary="=?utf-8?q?x?="').parameters["boundary"] == "=?utf-8?q?x?="


@pytest.mark.parametrize("filling", [b";", b" ", b'a="', b"(", b"x", b" x ", b"a=b;", b"*=", b"\\"])
def test_hostile_values_take_no_time(filling: bytes) -> None:
    """The time grows with the length, not with its square."""
    assert grows_linearly(lambda count: parse_value(b"text/plain; " + filling * count), 2_500)


@given(st.binary(max_size=200))
def test_any_value_can_be_parsed(raw: bytes) -> None:
    """Whatever stands in the field gives a value."""
    parse_value(b"attachment; filename*0*=" + raw)
    parse_value(raw)
