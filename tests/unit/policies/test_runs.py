"""Where numbers stand: the fast search against one that is slow and plain to read."""

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.identifiers.runs import RUN_SOURCE, numbers_in
from policies.prefilter import Expression, Prefilter

MARKS = [before + mark + after for before, mark, after in product(("", " "), ".-", ("", " "))]
WRAPS = [
    before + line_break + "".join(quotation)
    for before, line_break, count in product(("", " "), ("\n", "\r\n"), range(4))
    for quotation in product((">", "> "), repeat=count)
]
SEPARATORS = [" ", "  ", *MARKS, *WRAPS]
NEARLY = ["   ", " -  ", "\n\n", "\r", "\n> > > > ", "..", "/", ",", "x", "\u00e9", "\t", ""]

PIECES = st.one_of(
    st.integers(1, 12).flatmap(lambda length: st.text("0123456789", min_size=length, max_size=length)),
    st.sampled_from(SEPARATORS),
    st.sampled_from(NEARLY),
)


def plainly(data: bytes) -> tuple[dict[int, list[int]], list[list[tuple[int, int]]]]:
    """Walk over everything between digits: a separator joins two groups, anything else parts two runs."""
    joining = {separator.encode() for separator in SEPARATORS}
    runs: list[list[tuple[int, int]]] = [[]]
    for piece in re.finditer(rb"[0-9]+|[^0-9]+", data):
        if piece[0].isdigit():
            runs[-1].append(piece.span())
        elif piece[0] not in joining:
            runs.append([])
    single: dict[int, list[int]] = {}
    grouped = []
    for run in runs:
        if sum(end - start for start, end in run) < 8:
            continue
        if len(run) == 1:
            single.setdefault(run[0][1] - run[0][0], []).append(run[0][0])
        else:
            grouped.append(run)
    return single, grouped


def same(data: bytes) -> None:
    found, (single, grouped) = numbers_in(data), plainly(data)
    assert list(found.single.items()) == list(single.items())
    assert [list(zip(run.starts, run.ends, strict=True)) for run in found.runs] == grouped
    assert all(
        list(run.lengths) == [min(255, end - start) for start, end in zip(run.starts, run.ends, strict=True)]
        for run in found.runs
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join), st.integers(1, 9))
def test_every_run_is_found_where_it_stands(text: str, times: int) -> None:
    """Groups, separators and what only looks like one, in short stretches and in long ones."""
    data = text.encode() * times
    same(data)
    if any(numbers_in(data)):
        assert Prefilter([Expression(RUN_SOURCE)]).occurring(data) == [0]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_separator_joins(separator: str) -> None:
    """One mark, at most two spaces, or the break of a wrapped and quoted line, in a short strip and in a long one."""
    for count in (2, 200):
        data = separator.join(["9434"] * count).encode()
        assert len(numbers_in(data).runs[0].starts) == count
        same(data)


@pytest.mark.parametrize("length", [7, 8, 254, 255, 256, 100_000])
def test_a_group_has_any_length(length: int) -> None:
    """A number in one piece needs eight digits; lengths beyond 255 all count as 255."""
    same(b"7" * length)
    same(b"1 " + b"7" * length + b" 2")
