"""The search for borders finds what a plain search would, whatever stands around them."""

from hypothesis import given
from hypothesis import strategies as st

from relay.message.borders import next_border

TOKENS = st.sampled_from(
    [b"-", b"\n", b"\n--", b"\n--b", b"\n--b" * 3, b"b", b"-" * 40, b"x" * 30, b"x-" * 20, b"x" * 70_000]
)


@given(
    st.lists(TOKENS, max_size=12).map(b"".join),
    st.sampled_from([b"\n--b", b"\n--", b"\n--b\n--b", b"\n--" + b"-" * 30, b"\n--" + b"x" * 70_000]),
    st.integers(0, 300),
    st.integers(0, 300),
)
def test_borders_are_found_as_by_a_plain_search(buffer: bytes, border: bytes, start: int, behind: int) -> None:
    """Dashes that begin no border, borders cut off by the end, long boundaries: the answer is that of ``find``."""
    end = len(buffer) - behind
    assert next_border(buffer, border, start, end) == buffer.find(border, start, max(0, end))
