"""Dot-stuffing and the check for line ends, however the pieces are cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.queue.content import DotStuffer, UncleanError, header_section

LINES = st.lists(st.sampled_from([b"a line\r\n", b".", b"..\r\n", b"\r\n", b"b" * 20, b"\n", b"\0"]), max_size=8)
TEXT = st.text(alphabet=".\rab\n", max_size=40).map(lambda text: text.encode()) | LINES.map(b"".join)


def stuffed(pieces: list[bytes]) -> bytes:
    stuffer = DotStuffer()
    return b"".join([*(stuffer.stuff(piece) for piece in pieces), stuffer.finish()])


def clean(data: bytes) -> bool:
    return not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", data)


@given(data=TEXT, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_any_cut_gives_the_same_octets(data: bytes, cuts: list[int]) -> None:
    """What leaves is the same however a message is cut: unstuffing gives it back, or it is refused."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    if not clean(data):
        with pytest.raises(UncleanError):
            stuffed(pieces)
        return
    sent = stuffed(pieces)
    assert sent.endswith(b".\r\n")
    lines = sent.removesuffix(b".\r\n").splitlines(keepends=True)
    whole = data if data.endswith(b"\r\n") or not data else data + b"\r\n"
    assert b"".join(line.removeprefix(b".") for line in lines) == whole
    assert b".\r\n" not in lines


@pytest.mark.parametrize(
    ("pieces", "header"),
    [
        ([b"A: 1\r\nB: 2\r\n\r\nbody\r\n\r\n"], b"A: 1\r\nB: 2\r\n"),
        ([b"A: 1\r\n\r", b"\nbody"], b"A: 1\r\n"),
        ([b"\r\nbody"], b""),
        ([b"A: 1\r\n"], b"A: 1\r\n"),
        ([b""], b""),
        ([b"A: " + b"x" * 300_000], b""),
        ([b"A: 1\r\nB: " + b"x" * 300_000], b"A: 1\r\n"),
    ],
)
def test_the_header_section_ends_at_the_first_empty_line(pieces: list[bytes], header: bytes) -> None:
    """The header section is what stands before the first empty line, in whole lines, at most 256 KiB."""
    assert header_section(pieces) == header
