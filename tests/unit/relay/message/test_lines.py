"""The one look at lines: what it lets pass needs nothing done, and what it stops is named exactly."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.lines import Faults, are_plain, faults_of

TOKENS = st.sampled_from(
    [b"\r", b"\n", b".", b"x", b"\r\n", b"\r\n.", b"..", b"\0", b"\xff\x80", b"x" * 64, b"y\r\n" * 30]
)
OCTETS = st.lists(TOKENS, max_size=12).map(b"".join)
TROUBLE = (b"\r", b"\n", b"\0", b"\n\r", b"\r\r\n", b"\r\n\n", b"\r\n.", b"\r\n.\r\n")


@given(OCTETS)
def test_the_look_agrees_with_the_definition(octets: bytes) -> None:
    """Plain is what has no bare CR or LF, no NUL, and no dot behind a CRLF."""
    assert are_plain(octets) == (re.search(rb"\r(?!\n)|(?<!\r)\n|\0|\r\n\.", octets) is None)


@given(OCTETS)
def test_faults_are_told_apart(octets: bytes) -> None:
    """Each fault is seen beside every other."""
    bare = octets.replace(b"\r\n", b"")
    assert faults_of(octets) == Faults(b"\r" in bare, b"\n" in bare, b"\0" in octets)
    assert bool(faults_of(octets)) == any((b"\r" in bare, b"\n" in bare, b"\0" in octets))


@pytest.mark.parametrize("trouble", TROUBLE)
def test_nothing_hides_in_a_long_piece(trouble: bytes) -> None:
    """Trouble is found at the beginning, at the end and anywhere within a piece of 64 KiB; without it nothing is."""
    line = b"x" * 76 + b"\r\n"
    piece = line * 840
    assert are_plain(piece)
    for at in (0, 1, 15, 16, 31, 63, 64, 65, 30_000, len(piece) - 3, len(piece)):
        octets = piece[:at] + b"a" + trouble + b"a" + piece[at:]
        assert not are_plain(octets)
    assert not are_plain(piece + trouble)
    assert are_plain(piece + b"\r\n" + piece)
