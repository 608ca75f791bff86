"""The hash of a body in relaxed form, against dkimpy's canonicalisation and the examples of the RFCs."""

import base64
import hashlib
from itertools import pairwise

import pytest
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.dkim.body import PIECE, BodyHash, hash_body

WORDS = [b"\r\n", b"\r\n\r\n", b" ", b"  ", b"\t", b"a", b"word", b".", b"\xc3\xa9", b"\xff\x00", b"x" * 80]
BODIES = st.lists(st.sampled_from(WORDS) | st.binary(max_size=5).map(lambda octets: octets.translate(None, b"\r\n")))


def digest(*pieces: bytes) -> bytes:
    body = BodyHash()
    for piece in pieces:
        body.update(piece)
    return body.digest()


@pytest.mark.parametrize(
    ("body", "relaxed"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\n" * 200_000, b""),
        (b" \r\n\t\r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # RFC 6376 section 3.4.5
        (b"\r\n\r\na\r\n", b"\r\n\r\na\r\n"),
        (b"a\t\t\tb\t\r\n", b"a b\r\n"),
        (b"\ta\r\n", b" a\r\n"),
        (b"a" + b"\r\n" * 140_000 + b"b\r\n", b"a" + b"\r\n" * 140_000 + b"b\r\n"),
        (b"no end", b"no end\r\n"),
        (b"no end \t", b"no end\r\n"),
        (b"a\r\n ", b"a\r\n"),
        (b"v\x0bt \x0c \r\n", b"v\x0bt \x0c\r\n"),  # only space and tab are white space here
        (b"\x80\xff \r\n", b"\x80\xff\r\n"),
    ],
)
def test_a_body_is_hashed_in_relaxed_form(body: bytes, relaxed: bytes) -> None:
    """White space is squeezed, line ends and empty lines at the end do not count; nothing at all stays nothing."""
    assert digest(body) == hashlib.sha256(relaxed).digest()
    assert digest(*(body[at : at + 1] for at in range(min(len(body), 2000))), body[2000:]) == digest(body)


def test_the_sample_of_the_standard_has_its_hash() -> None:
    """The body of RFC 8463 appendix A.3, two spaces included, has the bh= that stands there."""
    body = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
    assert base64.b64encode(digest(body)) == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="


@settings(deadline=None)  # a machine that is busy proves nothing
@given(BODIES, st.lists(st.integers(0, 200), max_size=6))
def test_pieces_make_no_difference_and_dkimpy_agrees(words: list[bytes], cuts: list[int]) -> None:
    """However a body is cut, its hash is the one of dkimpy's relaxed form of what goes over the wire."""
    body = b"".join(words)
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:stop] for start, stop in pairwise(places)]
    wire = body if body.endswith(b"\r\n") or not body else body + b"\r\n"
    assert digest(*pieces) == hashlib.sha256(Relaxed.canonicalize_body(wire)).digest()
    message = b"\r\n" + body
    assert hash_body(message, 2, hashlib.sha256(body).digest()) == digest(body)


@given(st.lists(st.sampled_from([b"one two", b"\r\n", b" ", b"\r\n.\r\n", b"three"]), max_size=8))
def test_the_digest_of_a_tidy_body_is_its_hash(words: list[bytes]) -> None:
    """A body that is its own relaxed form is not hashed again; any other is."""
    body = b"".join([*words, b"end\r\n"])
    tidy = Relaxed.canonicalize_body(body) == body
    assert hash_body(b"\r\n" + body, 2, b"known") == (b"known" if tidy else digest(body))


@pytest.mark.parametrize("shift", range(-4, 5))
def test_white_space_across_two_pieces_is_one_run(shift: int) -> None:
    """A border between pieces within spaces, or within CRLF, is not seen in the hash."""
    message = b"\r\n" + b"x" * (PIECE + shift - 2) + b" \t \r\n \r\n\r\ny  z\r\n"
    relaxed = b"x" * (PIECE + shift - 2) + b"\r\n\r\n\r\ny z\r\n"
    assert hash_body(message, 2) == hash_body(message, 2, b"known") == hashlib.sha256(relaxed).digest()
    border = b"\r\n" + b"x" * (PIECE + shift - 2) + b"  y\r\n"
    assert hash_body(border, 2, b"known") == hash_body(border, 2)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("space", [b" ", b"\t", b" \t"])
def test_a_line_of_spaces_takes_linear_time(space: bytes) -> None:
    """Millions of spaces in one line, on which a regular expression would work for days, are one space."""
    assert digest(b"a" + space * 4_000_000 + b"b\r\n") == hashlib.sha256(b"a b\r\n").digest()
