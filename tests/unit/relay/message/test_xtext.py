"""xtext stands for a text, and never for a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.xtext import decode_xtext


@pytest.mark.parametrize(
    ("xtext", "text"),
    [
        ("a+2Bb+3Dc+20d", "a+b=c d"),
        ("+C3+BC", "ü"),
        ("zoë@example.net", "zoë@example.net"),
        ("a+b", "a+b"),
        ("+", "+"),
        ("+GG", "+GG"),
        ("+c3", "+c3"),
        ("+FF", "\ufffd"),
    ],
)
def test_what_it_stands_for(xtext: str, text: str) -> None:
    """Escapes are octets of UTF-8, written in capitals (RFC 3461 section 4); what is malformed stays as it is."""
    assert decode_xtext(xtext) == text


@given(st.text(st.characters(codec="utf-8")))
def test_anything_is_decoded(text: str) -> None:
    """What another system wrote never ends a report."""
    escaped = "".join(f"+{octet:02X}" for octet in text.encode())
    assert decode_xtext(escaped) == text
    decode_xtext(text)
