import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.words import header_text
from tests.proportion import grows_linearly


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b" plain \r\n", "plain"),
        (b" one\r\n two\r\n", "one two"),
        (b"=?utf-8?Q?caf=C3=A9_bar?=", "caf\u00e9 bar"),
        (b"=?utf-8?B?Y2Fmw6k=?=", "caf\u00e9"),
        (b"=?UTF-8?b?Y2Fmw6k?=", "caf\u00e9"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\r\n\t=?utf-8?q?b?= c", "ab c"),
        (b"=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "a\u00e9"),
        (b"=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "\u00e9"),
        (b"=?utf-8*en?q?a?=", "a"),
        (b"a =?utf-8?q?b?=c", "a bc"),
        (b"=?utf-8?Q?What?s up?=", "What?s up"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?open", "=?utf-8?q?open"),
        (b"=?no-such-charset?q?=E9?=", "\u00e9"),
        (b"=?utf-8?B?!!!!?=", ""),
        ("r\u00e4w".encode(), "r\u00e4w"),
        (b"r\xe4w", "r\u00e4w"),
        (b"=?utf-8?q?943?= =?us-ascii?q?_476?= =?utf-8?q?_5919?=", "943 476 5919"),
    ],
)
def test_header_text_reads_as_people_see_it(raw: bytes, text: str) -> None:
    """Encoded words, raw octets and folds come out as a mail program shows them."""
    assert header_text(raw) == text


@pytest.mark.parametrize("filling", [b"=?a?q?", b"=?", b"=?a?q?x?= ", b"=", b" \r\n"])
def test_hostile_headers_take_no_time(filling: bytes) -> None:
    """The time grows with the length, not with its square."""
    assert grows_linearly(lambda count: header_text(filling * count + b"?="), 2_500)


@given(st.binary(max_size=300))
def test_any_header_can_be_read(raw: bytes) -> None:
    """Whatever stands in a header becomes text."""
    header_text(raw)
    header_text(b"=?utf-8?b?" + raw + b"?= =?utf-8?q?" + raw + b"?=")
