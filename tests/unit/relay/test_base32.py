"""Octets as links, addresses and queue ids write them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import base32


@given(st.binary(max_size=100))
def test_text_is_that_of_the_standard_and_leads_back(octets: bytes) -> None:
    """RFC 4648 section 6 but for case and padding; any case is read."""
    text = base32.encode(octets)
    assert text == base64.b32encode(octets).decode("ascii").rstrip("=").lower()
    assert base32.decode(text) == base32.decode(text.upper()) == octets


@pytest.mark.parametrize("text", ["a", "mz=xw", "mzxw1", "mzxw é"])
def test_what_is_no_base32_is_refused(text: str) -> None:
    """Wrong lengths and characters have no octets."""
    with pytest.raises(ValueError):
        base32.decode(text)
