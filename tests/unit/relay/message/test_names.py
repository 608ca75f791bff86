"""Names of attachments: bounded, on one line, and still telling what the file is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.names import MAX_NAME, clean_name


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a" * 300 + ".docx", "a" * 194 + "\u2026.docx"),
        ("a" * 195 + ".docx", "a" * 195 + ".docx"),
        ("a" * 196 + ".docx", "a" * 194 + "\u2026.docx"),
        ("folder/" + "\u00e9" * 5000 + ".tar.gz", "\u00e9" * 196 + "\u2026.gz"),
        ("a" * 300, "a" * 199 + "\u2026"),
        ("a." + "b" * 300, "a." + "b" * 197 + "\u2026"),
        ("." + "b" * 16, "." + "b" * 16),
        ("a" * 300 + ".p\u202edf\r\n", "a" * 195 + "\u2026.pdf"),
    ],
)
def test_a_long_name_keeps_its_suffix(name: str, clean: str) -> None:
    """The stem is cut, the end of the name is not, unless it is no suffix."""
    assert clean_name(name) == clean


@given(st.text(), st.integers(0, 400), st.text(max_size=20))
def test_every_name_stays_within_its_limit(start: str, length: int, end: str) -> None:
    """Whatever the name, at most 200 characters, and cleaning again changes nothing."""
    name = clean_name(start + "x" * length + end)
    assert len(name) <= MAX_NAME
    assert clean_name(name) == name
