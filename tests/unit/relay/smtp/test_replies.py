"""Replies on the wire."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp import replies
from relay.smtp.values import Reply

TABLE = {name: value for name, value in vars(replies).items() if isinstance(value, Reply)}


@given(st.text(max_size=60), st.integers(1, 40), st.booleans())
def test_any_text_is_safe(text: str, times: int, utf8: bool) -> None:
    """Whatever the text: lines of at most 512 octets with one code, printable, the last with a space."""
    wire = replies.encode(Reply(550, "5.7.1", text * times), utf8=utf8)
    assert wire.endswith(b"\r\n")
    *first, last = wire[:-2].split(b"\r\n")
    assert last.startswith(b"550 5.7.1")
    assert all(line.startswith(b"550-5.7.1 ") for line in first)
    for line in (*first, last):
        assert len(line) <= 510
        assert line.decode().isprintable()
        assert utf8 or line.isascii()


def test_nothing_is_lost_by_folding() -> None:
    """Long text is cut between words and all words arrive."""
    words = [f"word{number}" for number in range(400)]
    wire = replies.encode(Reply(451, "4.7.1", " ".join(words))).decode()
    assert re.findall(r"word\d+", wire) == words


def test_one_word_longer_than_a_line() -> None:
    """A word without end is cut where the line ends, never within a character."""
    wire = replies.encode(Reply(550, "5.7.1", "ü" * 1000), utf8=True).decode()
    assert wire.count("ü") == 1000


@pytest.mark.parametrize("name", TABLE)
def test_codes_agree(name: str) -> None:
    """The enhanced code is of the same class as the reply code and has the form of RFC 3463; 3xx has none."""
    reply = TABLE[name]
    assert reply.code // 100 in {2, 3, 4, 5}
    if reply.code // 100 == 3:
        assert reply.enhanced == ""
    else:
        assert re.fullmatch(rf"{reply.code // 100}\.[0-7]\.\d{{1,3}}", reply.enhanced)
    assert replies.encode(reply).count(b"\r\n") == 1


@pytest.mark.parametrize("wrong", [None, "250 OK", Reply(354, "", "go on")])
def test_only_final_replies_end_a_transaction(wrong: Reply) -> None:
    """An intake cannot answer nothing, a text, or a 354."""
    with pytest.raises(TypeError):
        replies.final(wrong)
