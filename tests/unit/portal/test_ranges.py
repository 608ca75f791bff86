"""Byte ranges: RFC 9110 §14, and what is ignored."""

import pytest

from portal.access.ranges import Span, choose_span

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("value", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=0-100000000000000000", 0, 100),
        ("bytes=99-", 99, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-1000", 0, 100),
        ("Bytes=5-7", 5, 8),
        (" bytes=5-7 ", 5, 8),
    ],
)
def test_satisfiable(value: str, start: int, stop: int) -> None:
    """One range, from, until or the last octets."""
    assert choose_span(100, value, None, ETAG) == Span(start, stop, 100, partial=True)


@pytest.mark.parametrize("value", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=999999999999999999-"])
def test_unsatisfiable(value: str) -> None:
    """Nothing of the part lies in the range: 416."""
    assert choose_span(100, value, None, ETAG) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=0-1,5-6",
        "lines=1-2",
        "bytes=a-b",
        "bytes=1--2",
        "bytes=" + "9" * 40 + "-",
    ],
)
def test_ignored(value: str | None) -> None:
    """What is no single byte range gets the whole."""
    assert choose_span(100, value, None, ETAG) == Span(0, 100, 100, partial=False)


@pytest.mark.parametrize(
    ("if_range", "partial"),
    [(ETAG, True), ('"abd"', False), ('W/"abc"', False), ("Sun, 22 Nov 2026 12:00:00 GMT", False), ("", False)],
)
def test_if_range(if_range: str, *, partial: bool) -> None:
    """Only our own strong tag resumes; a date or a weak tag gets the whole."""
    span = choose_span(100, "bytes=5-", if_range, ETAG)
    assert span
    assert span.partial is partial


def test_nothing_of_an_empty_part() -> None:
    """An empty part has no range; without one it is sent."""
    assert choose_span(0, "bytes=0-", None, ETAG) is None
    assert choose_span(0, "bytes=-5", None, ETAG) is None
    assert choose_span(0, None, None, ETAG) == Span(0, 0, 0, partial=False)
