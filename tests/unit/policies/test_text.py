"""Folding: one spelling for what looks the same."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.text import encode, fold


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("943\u00a0476\u20095919", "943 476 5919"),
        ("943\u2013476\u22125919", "943-476-5919"),
        ("94\u00ad3\u200b476\u2060\ufeff5919", "9434765919"),
        ("\uff19\uff14\uff13 \U0001d7d7\U0001d7d2\U0001d7d1", "943 943"),
        ("\u0669\u0664\u0663", "943"),
        ("943&nbsp;476&#8203;5919 &amp; &#x201c;x", '943 4765919 & "x'),
        ("9\x004\x003\x00", "943"),
        ("a\u2028b\u0085c\x0bd", "a\nb\nc d"),
        ("Cafe\u0301 \ufb01ne \u2026", "Caf\u00e9 fine ..."),
        ("secret\U000e0041\ufe0f", "secret"),
        ("AT&T and R&D; x < y", "AT&T and R&D; x < y"),
        ("\u0440\u0430ypal", "\u0440\u0430ypal"),
        ("Alzheimer\u2019s \u201ccare\u201d", 'Alzheimer\'s "care"'),
    ],
)
def test_what_looks_the_same_is_spelt_the_same(written: str, read: str) -> None:
    """Spaces, dashes, digits, invisible marks and leftover entities have one spelling; letters keep their script."""
    assert fold(written) == read


@settings(deadline=None)
@given(st.text())
def test_folding_takes_any_text(text: str) -> None:
    """Folding never raises, leaves no odd space, dash or digit behind, and gives valid UTF-8."""
    folded = fold(text)
    kinds = {(unicodedata.category(character), character) for character in folded if not character.isascii()}
    assert not [character for category, character in kinds if category in {"Zs", "Nd"}]
    assert encode(folded).decode("utf-8") is not None


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="&")))
def test_folding_twice_changes_nothing(text: str) -> None:
    """What is folded stays as it is (entities apart, which are read once)."""
    assert fold(fold(text)) == fold(text)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&")))
def test_plain_text_is_left_alone(text: str) -> None:
    """Printable ASCII is not touched."""
    assert fold(text) == text
